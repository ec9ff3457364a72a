"""Two checkouts by turns: `python -m benchmarks.compare OTHER`, where OTHER is a folder.

Each workload of `benchmarks.throughput` that is ours, the default command and a search of the
template run in this checkout and in the other, one after the other, several times. Prints the
median of the ratios of neighbours: of speed for workloads, of seconds for commands.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.machine import save, table
from benchmarks.throughput import PEER, WORKLOADS

HERE = Path(__file__).resolve().parent.parent
AIM = 0.05  # how far a ratio may be from 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="the folder of the other checkout")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a workload, measured")
    options = parser.parse_args()
    measures: dict[str, Callable[[Path], float]] = {
        name: partial(workload, {**call, "seconds": options.seconds})
        for name, call in WORKLOADS.items()
        if name != PEER
    }
    measures["default command, seconds"] = partial(command, ["trainer.task"])
    measures["search of 30 trials, seconds"] = partial(
        command, ["tuner", "run", "templates/hyperparam.yaml"]
    )
    rows: list[list[object]] = [["what", "here", "there", "here / there", "within 5%"]]
    found = {}
    for name, measure in measures.items():
        pairs = [(measure(HERE), measure(options.other)) for _ in range(options.pairs)]
        here, there = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        found[name] = {"pairs": pairs, "ratio": ratio}
        within = "yes" if abs(ratio - 1) <= AIM else "no"
        rows.append([name, f"{here:,.4g}", f"{there:,.4g}", f"{ratio:.3f}", within])
        print(f"{name}: {ratio:.3f}", file=sys.stderr, flush=True)
    print(table(rows))
    save("compare", {"pairs": options.pairs, "measures": found})


def workload(call: dict[str, object], checkout: Path) -> float:
    """Steps per second, learning included."""
    answer = _run(checkout, ["benchmarks.workloads", json.dumps(call)])
    return float(json.loads(answer.strip().splitlines()[-1])["steps_per_second"])


def command(words: list[str], checkout: Path) -> float:
    """Wall seconds of a command into a new job dir."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        _run(checkout, [*words, "--job-dir", os.path.join(folder, "run")])
        return time.perf_counter() - start


def _run(checkout: Path, words: list[str]) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(words)} failed in {checkout}:\n{ended.stderr[-2000:]}")
    return ended.stdout


if __name__ == "__main__":
    main()
