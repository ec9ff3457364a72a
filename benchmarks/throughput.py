"""`python -m benchmarks.throughput`: environment steps per second, learning included.

Measures our two collectors, one agent and stacks, and Stable-Baselines3's A2C, each in a process of
its own, in several rounds on one machine. Compare the ratios of the medians: shared machines are
noisy.
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
from typing import Any

from benchmarks.machine import describe, in_fresh_process, save, table

PEER = "Stable-Baselines3 A2C, 8 envs"
WORKLOADS: dict[str, dict[str, Any]] = {
    PEER: {"workload": "stable_baselines3"},
    "Gymnasium, 16 envs": {"workload": "ours", "collector": "gymnasium", "num_envs": 16},
    "compiled, 16 envs": {"workload": "ours", "num_envs": 16},
    "compiled, defaults": {"workload": "ours"},
    "compiled, PG": {"workload": "ours", "algorithm": "pg"},
    "compiled, stack of 20": {"workload": "ours", "seeds": 20, "num_envs": 16},
    "compiled, stack of 50": {"workload": "ours", "seeds": 50, "num_envs": 16},
}
FLOORS = {"Gymnasium, 16 envs": 6, "compiled, 16 envs": 35, "compiled, stack of 50": 60}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each workload")
    rounds = parser.parse_args().rounds

    runs: dict[str, list[dict[str, float]]] = {name: [] for name in WORKLOADS}
    limits = []
    for _ in range(rounds):
        for name, call in WORKLOADS.items():
            runs[name].append(in_fresh_process("benchmarks.workloads", json.dumps(call)))
        call = {"workload": "matrix_multiply"}
        answer = in_fresh_process("benchmarks.workloads", json.dumps(call))
        limits.append(answer["flop_per_second"])
    medians = {
        name: {key: statistics.median(run[key] for run in of_name) for key in of_name[0]}
        for name, of_name in runs.items()
    }
    whole = [_whole_command() for _ in range(rounds)]
    limit = statistics.median(limits)

    print(f"{describe()['processor']}, {describe()['cores']} cores; medians of {rounds} rounds\n")
    print(_rates(medians, runs))
    one, twenty = (
        medians[name]["steps_per_second"] for name in ("compiled, 16 envs", "compiled, stack of 20")
    )
    print(f"\ncost per agent in a stack of 20: {20 * one / twenty / 20:.2f} of a single agent's")
    print("\nWhere the time goes, seconds\n")
    print(_breakdown(medians, limit))
    print(f"\nfastest matrix multiplication: {limit / 1e9:.0f} Gflop/s")
    seconds = statistics.median(run["seconds"] for run in whole)
    memory = max(run["peak_bytes"] for run in whole)
    print(
        f"the whole default command, start to manifest: {seconds:.1f} s, "
        f"at most {memory / 1e9:.2f} GB of memory"
    )
    save("throughput", {"runs": runs, "matrix_multiply": limits, "whole_command": whole})


def _rates(medians: dict[str, dict[str, float]], runs: dict[str, Any]) -> str:
    peer = medians[PEER]["steps_per_second"]
    rows: list[list[object]] = [["what", "steps/s", "lowest - highest", "ratio", "floor"]]
    for name, numbers in medians.items():
        rates = [run["steps_per_second"] for run in runs[name]]
        rate = numbers["steps_per_second"]
        spread = f"{min(rates):,.0f} - {max(rates):,.0f}"
        floor = f"{FLOORS[name]} x" if name in FLOORS else ""
        rows.append([name, f"{rate:,.0f}", spread, f"{rate / peer:.1f} x", floor])
    return table(rows)


def _breakdown(medians: dict[str, dict[str, float]], limit: float) -> str:
    columns = {
        "import": "import_seconds",
        "build": "build_seconds",
        "trace": "trace_seconds",
        "compile, first rounds": "compile_seconds",
        "to first update": "first_update_seconds",
        "a round: collect and update": "seconds_per_round",
        "a collection called by itself": "collect_seconds",
        "an update called by itself": "update_seconds",
        "an evaluation of 20 episodes": "evaluate_seconds",
    }
    ours = [name for name in WORKLOADS if name != PEER]
    rows: list[list[object]] = [["", *ours]]
    for title, key in columns.items():
        rows.append([title, *(f"{medians[name][key]:.4f}" for name in ours)])
    shares = [
        medians[name]["update_flop"] / medians[name]["update_seconds"] / limit for name in ours
    ]
    rows.append(["update, share of matrix limit", *(f"{100 * share:.0f}%" for share in shares)])
    rows.append(["on a GPU", *("" for _ in ours)])
    return table(rows)


def _whole_command() -> dict[str, float]:
    """Wall seconds and peak resident bytes of the trainer with no flag but the job dir."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer.task", "--job-dir", os.path.join(folder, "run")],
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    if status:
        raise RuntimeError("the default command failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return {"seconds": seconds, "peak_bytes": float(usage.ru_maxrss * unit)}


if __name__ == "__main__":
    main()
