"""A Ray cluster on loopback: a head without CPUs, and nodes that come and go."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from typing import Any

from tests.conftest import ROOT

TOKEN = secrets.token_hex(20)  # a process reads it once
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A lost node is noticed within a few seconds.
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
}


class Machines:
    """The cluster, in a process of its own. `environment` is what a process needs to use it."""

    def __init__(self, nodes: int = 2) -> None:
        self.environment = ENVIRONMENT | {"RAY_AUTH_TOKEN": TOKEN}
        os.environ.update(self.environment)  # for executors of the tests' own process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.ray_machines"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = str(self._ask("head"))
        self.nodes = [self.add() for _ in range(nodes)]

    def add(self, cpus: int = 1, **environment: str) -> str:
        """Adds a node whose processes have these variables too; returns its name."""
        return str(self._ask("add", cpus=str(cpus), **environment))

    def lose(self, node: str) -> None:
        """Kills a node's daemon, as a power cut would; its processes end with it."""
        self._ask("lose", node=node)

    def close(self) -> None:
        self._process.communicate()
        for name in self.environment:
            os.environ.pop(name, None)

    def _ask(self, what: str, **more: str) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, more]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def main() -> None:
    """Serves orders until its input ends."""
    from ray.cluster_utils import Cluster

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints
    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes: dict[str, Any] = {}
    for line in sys.stdin:
        what, more = json.loads(line)
        answer = cluster.address
        if what == "add":
            before = dict(os.environ)
            cpus = int(more.pop("cpus"))
            os.environ.update(more)
            node = cluster.add_node(num_cpus=cpus)
            for name in more.keys() - before.keys():
                del os.environ[name]
            nodes[node.node_id] = node
            answer = node.node_id
        elif what == "lose":
            cluster.remove_node(nodes.pop(more["node"]), allow_graceful=False)
        print(json.dumps(answer), file=answers, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
