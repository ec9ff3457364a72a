"""A Ray cluster on loopback: a head without CPUs, and nodes of one CPU that come and go."""

from __future__ import annotations

import os
import secrets
from typing import Any

TOKEN = secrets.token_hex(20)  # a process reads it once
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    # A lost node is noticed within a second or two.
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
}


class Machines:
    """The cluster. `environment` is what a process needs to use it."""

    def __init__(self, nodes: int = 2) -> None:
        self.environment = ENVIRONMENT | {"RAY_AUTH_TOKEN": TOKEN}
        os.environ.update(self.environment)
        from ray.cluster_utils import Cluster  # reads them

        self._cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        self.nodes = [self.add() for _ in range(nodes)]

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self, **environment: str) -> Any:
        """Adds a node of one CPU, whose processes have these variables too."""
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            return self._cluster.add_node(num_cpus=1)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def lose(self, node: Any) -> None:
        """Kills a node's raylet, as a machine that loses its power; its processes end with it."""
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()
        for name in (*ENVIRONMENT, "RAY_AUTH_TOKEN"):
            os.environ.pop(name, None)
