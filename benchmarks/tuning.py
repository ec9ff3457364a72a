"""`python -m benchmarks.tuning`: the cost of a whole search with the stacked and process engines.

The template's search space: 30 trials of 5 seeds and 100,000 steps, then confirmation and test.
The process engine runs twice: with a process a core, its default, and with as many trials at a
time as the file allows, like the stacked engine, because that changes which trials the median rule
stops. If Stable-Baselines3 is installed (`requirements/benchmarks.txt`), its speed in the same
minutes tells how long it would take for the same steps, with RL-Zoo's settings, a process a core.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.machine import in_fresh_process, save, table

TEMPLATE = Path(__file__).parent.parent / "templates" / "hyperparam.yaml"
AT_A_TIME = 8  # parallel trials in the template
MOST_SECONDS, LEAST_RATIO, MOST_GIGABYTES, MOST_OVERHEAD = 150, 6.0, 3.0, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=30)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as folder:
        # Searches differ because early stopping depends on the order in which trials finish, and
        # machines change in speed from one minute to the next. So the engines alternate.
        stacks = [search(Path(folder, "1"), "stacked", trials)]
        process = search(Path(folder, "process"), "process", trials)
        stacks.append(search(Path(folder, "2"), "stacked", trials))
        more = ("--parallel", str(AT_A_TIME))
        same = search(Path(folder, "same"), "process", trials, *more)
        stacks.append(search(Path(folder, "3"), "stacked", trials))
    stacked = sorted(stacks, key=lambda found: found["seconds"])[len(stacks) // 2]
    ratios = [times_as_long(process, stacks[:2]), times_as_long(same, stacks[1:])]
    rows: list[list[object]] = [
        ["engine", "trials", "steps", "seconds", "s a million steps", "memory, GB", "CPU s",
         "CPU taken by others", "ratio"]
    ]  # fmt: skip
    for name, found, ratio in (
        ("stacked", stacked, 1.0),
        ("process", process, ratios[0]),
        (f"process, {AT_A_TIME} at a time", same, ratios[1]),
    ):
        rows.append(
            [name, found["trials"], f"{found['steps']:,}", f"{found['seconds']:.0f}",
             f"{found['seconds_per_million_steps']:.1f}", f"{found['gigabytes']:.2f}",
             f"{found['cpu_seconds']:.0f}", f"{found['taken_by_others']:.0%}", f"{ratio:.1f}"]
        )  # fmt: skip
    print(table(rows))
    each = ", ".join(
        f"{found['seconds']:.0f} ({found['taken_by_others']:.0%} taken by others)"
        for found in stacks
    )
    print(
        f"\nstacked: {stacked['seconds']:.0f} s (target {MOST_SECONDS}), the median of {each};"
        f" {stacked['gigabytes']:.2f} GB (target {MOST_GIGABYTES:g});"
        f" the same search by processes takes {ratios[1]:.1f} times as long as those just before"
        f" and after it (target {LEAST_RATIO:g})"
    )
    cores = os.cpu_count() or 1
    overhead = stacked["own_cpu_seconds"] / stacked["seconds"]
    print(f"the study itself, without its trials: {stacked['own_cpu_seconds']:.1f} CPU s,"
          f" {overhead:.1%} of the wall time of one core (target {MOST_OVERHEAD:.0%}),"
          f" {overhead / cores:.1%} of that of all")  # fmt: skip
    peer = peer_speed()
    if peer:
        seconds = stacked["steps"] / peer
        print(f"Stable-Baselines3 A2C, RL-Zoo's settings: {peer:,.0f} steps/s on"
              f" {cores} cores, {seconds:,.0f} s for the steps of the stacked study,"
              f" {seconds / stacked['seconds']:.1f} x as long")  # fmt: skip
    save(
        "tuning",
        {"stacked": stacked, "stacks": stacks, "process": process, "process_same": same,
         "ratios": ratios, "overhead": overhead, "peer_steps_per_second": peer},
    )  # fmt: skip


def times_as_long(found: dict[str, Any], others: list[dict[str, Any]]) -> float:
    """The ratio to the mean of the searches that ran just before and after."""
    return float(found["seconds"] * len(others) / sum(other["seconds"] for other in others))


def peer_speed() -> float | None:
    """Steps per second of RL-Zoo's A2C, a process a core; None if it is not installed."""
    if not importlib.util.find_spec("stable_baselines3"):
        return None
    from benchmarks.peers import STEPS

    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        runs = pool.map(
            lambda seed: in_fresh_process("benchmarks.peers", "--peer", "A2C", str(seed)),
            range(cores),
        )
        return STEPS * cores / max(run["seconds"] for run in runs)


def search(job_dir: Path, engine: str, trials: int, *flags: str) -> dict[str, Any]:
    """One whole study, from the command to best.json."""
    started, (taken, all_of_it) = time.monotonic(), _taken_by_others()
    process = subprocess.Popen(
        [sys.executable, "-m", "tuner", "run", str(TEMPLATE), "--job-dir", str(job_dir),
         "--engine", engine, "--max-trials", str(trials), "--seeds", "5",
         "--trainer-args=--total_steps=100000", *flags],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    peak, own = [0.0], [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peak, own), daemon=True)
    watcher.start()
    out = process.communicate()[0]
    seconds, (now_taken, now) = time.monotonic() - started, _taken_by_others()
    if process.returncode:
        raise RuntimeError(f"the study with engine {engine} failed:\n{out[-2000:]}")
    watcher.join()
    best = json.loads((job_dir / "best.json").read_text())
    steps = best["environment_steps"]
    return {
        "trials": trials,
        "steps": steps,
        "seconds": seconds,
        "seconds_per_million_steps": seconds / steps * 1e6,
        "gigabytes": peak[0],
        "cpu_seconds": best["cpu_seconds"],
        "taken_by_others": (now_taken - taken) / max(1, now - all_of_it),
        "own_cpu_seconds": own[0],
        "optimism_gap": best["optimism_gap"],
        "said": out.splitlines()[-12:],
    }


def _watch(process: subprocess.Popen[str], peak: list[float], own: list[float]) -> None:
    """Records the peak memory of the study and its processes, and the study's CPU seconds."""
    while process.poll() is None:
        peak[0] = max(peak[0], sum(map(_gigabytes, _tree(process.pid))))
        own[0] = _cpu_seconds(process.pid) or own[0]
        time.sleep(0.5)


def _taken_by_others() -> tuple[int, int]:
    """CPU ticks that other virtual machines took, and all ticks."""
    ticks = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    return int(ticks[7]), sum(map(int, ticks))


def _tree(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text()
        except OSError:  # it has ended
            continue
        parents.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(
            int(entry.parent.name)
        )
    found, left = [], [root]
    while left:
        number = left.pop()
        found.append(number)
        left += parents.get(number, [])
    return found


def _cpu_seconds(process: int) -> float:
    """CPU seconds of the process without its children."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _gigabytes(process: int) -> float:
    """Memory in use; pages shared by several processes are divided among them."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    pages = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(pages[1]) / 2**20 if pages else 0.0


if __name__ == "__main__":
    main()
