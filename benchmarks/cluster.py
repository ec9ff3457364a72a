"""`python -m benchmarks.cluster`: what the Ray engine costs, and how it grows.

Two figures, on a cluster on this machine, its start not counted. The search of 30 short trials with
`--engine ray` against the stacked engine on the same cores (aim: 1.5 times as long). And 1,000
trials that sleep 10 s on 64 slots by random search (aim: 95% of linear), which shows what the owner
can keep busy; no machine of 64 cores is needed, because they sleep.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe, save, table
from tests.support.ray_machines import Machines
from trainer.contract import provenance
from tuner.execution.ray_executor import RayExecutor
from tuner.execution.ray_node import NodeSettings
from tuner.execution.scheduler import Interrupts, Scheduler
from tuner.execution.trial import Outcome
from tuner.execution.trial_command import Task
from tuner.search.objective import Scores
from tuner.search.trial_store import Study
from tuner.spec.loader import load
from tuner.spec.study_spec import RANDOM

ROOT = Path(__file__).parent.parent
SMOKE = (ROOT / "templates" / "smoke.yaml").read_text(encoding="utf-8")
SHORT_TRIALS, MOST_RATIO = 30, 1.5
NODES, SLOTS_EACH, LEAST_EFFICIENCY = 8, 8, 0.95
# Takes trials as `trainer.batch` does; each reports a score, and ends after its time.
SLEEPER = """
import json, sys, threading
turn = threading.Lock()
def end(order):
    line = {"global_step": "1", order["environ"]["CLOUD_ML_HP_METRIC_TAG"]: "1.0"}
    open(order["environ"]["CLOUD_ML_HP_METRIC_FILE"], "w").write(json.dumps(line) + "\\n")
    with turn:
        print(json.dumps({"id": order["id"], "exit_code": 0, "cpu_seconds": 0.0}), flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if not order.get("stop"):
        open(order["log"], "a").close()
        timer = threading.Timer(float(order["arguments"][0]), end, [order])
        timer.daemon = True
        timer.start()
"""


def search_seconds(folder: Path, *flags: str, environment: dict[str, str]) -> float:
    """Seconds from the first line of a search to its last trial's."""
    text = SMOKE.replace("maxTrials: 4", f"maxTrials: {SHORT_TRIALS}")
    folder.mkdir()
    (folder / "space.yaml").write_text(text.replace("maxParallelTrials: 1", "maxParallelTrials: 8"))
    words = ["run", "space.yaml", "--job-dir", "study", "--candidates", "1", *flags]
    process = subprocess.Popen(
        [sys.executable, "-m", "tuner", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    begun = ended = 0.0
    assert process.stdout is not None
    for line in process.stdout:
        begun = begun or (time.monotonic() if line.startswith("tune: ") else 0.0)
        ended = ended or (time.monotonic() if line.startswith("confirm: ") else 0.0)
    if process.wait():
        raise RuntimeError(f"the search ended with exit code {process.returncode}")
    return ended - begun


def engine_cost(repeats: int) -> dict[str, list[float]]:
    """Seconds of the same search with both engines, by turns."""
    found: dict[str, list[float]] = {"stacked": [], "ray": []}
    machines = Machines(0)
    machines.add(os.cpu_count() or 1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for i in range(repeats):
                for engine in ("stacked", "ray") if i % 2 else ("ray", "stacked"):
                    flags = ["--engine", engine]
                    flags += ["--address", machines.address] if engine == "ray" else []
                    place = Path(folder, f"{engine}-{i}")
                    seconds = search_seconds(place, *flags, environment=machines.environment)
                    found[engine].append(seconds)
    finally:
        machines.close()
    return found


def growth(trials: int, seconds: float) -> float:
    """Seconds of a search whose trials sleep, on 64 slots that are warm."""
    spec = load(SMOKE.encode(), "smoke.yaml")
    machines = Machines(0)
    for _ in range(NODES):
        machines.add(SLOTS_EACH)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            settings = NodeSettings(
                program=("-c", "raise SystemExit(1)"),
                batch=("-c", SLEEPER),
                metric="mean_score",
                job="study",
                time_limit=math.inf,
                folder=folder,
                bucket="",
                cpus=1.0,
                versions=provenance.versions(),
            )
            executor = RayExecutor(machines.address, settings, folder)
            scheduler = Scheduler(executor, NODES * SLOTS_EACH, Interrupts())
            warm = [
                Task(f"warm {n}", n, folder / f"warm-{n}", ("1",))
                for n in range(NODES * SLOTS_EACH)
            ]
            scheduler.run(lambda: warm.pop() if warm else None, lambda task, outcome: None)
            study = Study(folder, spec.parameters, RANDOM, "MAXIMIZE", {}, {})

            def supply() -> Task | None:
                record = study.next_trial(trials, late=False)
                if record is None:
                    return None
                number = record.number
                return Task(f"trial {number}", number, folder / str(number), (str(seconds),))

            def done(task: Task, outcome: Outcome) -> None:
                study.tell(task.trial, outcome, Scores((1.0,)), 1.0)

            begun = time.monotonic()
            scheduler.run(supply, done)
            took = time.monotonic() - begun
            executor.close()
            return took
    finally:
        machines.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="of the search of short trials")
    parser.add_argument("--trials", type=int, default=1000, help="that sleep")
    parser.add_argument("--seconds", type=float, default=10.0, help="that each sleeps")
    options = parser.parse_args()
    took = growth(options.trials, options.seconds)
    efficiency = options.trials * options.seconds / (NODES * SLOTS_EACH * took)
    costs = engine_cost(options.repeats)
    stacked, ray = (statistics.median(costs[engine]) for engine in ("stacked", "ray"))
    print(f"{describe()['processor']}, {describe()['cores']} cores\n")
    print(
        table(
            [
                ["figure", "value", "target"],
                [f"{SHORT_TRIALS} short trials, stacked", f"{stacked:.1f} s", ""],
                ["the same on Ray", f"{ray:.1f} s", ""],
                ["ratio", f"{ray / stacked:.2f}", f"at most {MOST_RATIO:g}"],
                [f"{options.trials} sleeping trials", f"{took:.1f} s", ""],
                ["of linear", f"{efficiency:.1%}", f"at least {LEAST_EFFICIENCY:.0%}"],
            ]
        )
    )
    save("cluster", {"search_seconds": costs, "sleeping_seconds": took, "efficiency": efficiency})


if __name__ == "__main__":
    main()
