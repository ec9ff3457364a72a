"""`python -m benchmarks.faults`: injects faults into runs in a bucket, and measures their cost.

The bucket is served by a test server on this machine, which can fail like the real service.
Training is timed alternately with and without the bucket; compare the ratios of the medians.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.bucket_costs import LATENCY, restart_costs, training_times, upload_times
from benchmarks.injected_faults import FAULTS, SMALL, Place
from benchmarks.machine import describe, save, table
from tests.support.cloud_runs import (
    arrays_of,
    environment,
    files_in,
    manifest_of,
    objects_in,
    run,
    task,
)
from tests.support.storage_server import FaultyStorage
from trainer.contract.job_files import METRICS

MOST_SLOWDOWN, LEAST_SPEEDUP = 0.03, 3.0


def try_out(name: str, undisturbed: Mapping[str, bytes]) -> dict[str, Any]:
    """Returns whether the run survived the fault, the bytes lost, and the number of restarts."""
    with tempfile.TemporaryDirectory() as folder, FaultyStorage() as storage:
        try:
            restarts = FAULTS[name](Place(storage, Path(folder)))
        except (AssertionError, RuntimeError, subprocess.TimeoutExpired) as error:
            return {"survived": False, "bytes_lost": None, "error": str(error)}
        lost = bytes_lost(objects_in(storage), undisturbed)
    return {"survived": True, "bytes_lost": lost, "restarts": restarts}


def bytes_lost(artefacts: Mapping[str, bytes], undisturbed: Mapping[str, bytes]) -> int:
    """Bytes of files that differ from the manifest, and of arrays that differ from the original."""
    lost = sum(
        file["size"]
        for file in manifest_of(artefacts)["files"]
        if hashlib.sha256(artefacts.get(file["name"], b"")).hexdigest() != file["sha256"]
    )
    ours, theirs = arrays_of(artefacts), arrays_of(undisturbed)
    lost += sum(
        array.nbytes
        for name, array in theirs.items()
        if name not in ours or ours[name].tobytes() != array.tobytes()
    )
    if artefacts[METRICS] != undisturbed[METRICS]:
        lost += len(undisturbed[METRICS])
    return lost


def undisturbed_run() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = run(*task("job", *SMALL), env=environment(None, folder), cwd=folder)
        assert process.returncode == 0, process.stderr
        return files_in(folder / "job")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repeats", type=int, default=7, help="repetitions of everything that is timed"
    )
    repeats = parser.parse_args().repeats

    undisturbed = undisturbed_run()
    faults = {}
    for name in FAULTS:
        faults[name] = try_out(name, undisturbed)
        print(f"{name}: {json.dumps(faults[name])}", file=sys.stderr, flush=True)
    uploads = upload_times(repeats, undisturbed)
    costs = restart_costs(repeats)
    trainings = training_times(repeats)

    survived = [name for name, found in faults.items() if found["survived"]]
    lost = sum(faults[name]["bytes_lost"] for name in survived)
    slowdown = statistics.median(trainings["bucket"]) / statistics.median(trainings["folder"]) - 1
    speedup = statistics.median(uploads["one by one"]) / statistics.median(uploads["uploader"])
    print(f"{describe()['processor']}, {describe()['cores']} cores; medians of {repeats}\n")
    print(table([["fault", "survived", "bytes lost", "restarts"], *map(_row, faults.items())]))
    print()
    print(
        table(
            [
                ["figure", "value", "target"],
                ["faults tried", len(faults), ""],
                ["faults survived", len(survived), "all"],
                ["bytes lost", lost, "0"],
                ["cost of a restart", _spread(costs), ""],
                ["training on a folder", _spread(trainings["folder"]), ""],
                ["training in a bucket", _spread(trainings["bucket"]), ""],
                ["slow-down by the uploads", f"{slowdown:+.1%}", f"at most {MOST_SLOWDOWN:.0%}"],
                [f"{len(undisturbed)} files one by one", _spread(uploads["one by one"]), ""],
                ["the same by the trainer", _spread(uploads["uploader"]), ""],
                ["faster by", f"{speedup:.1f} x", f"at least {LEAST_SPEEDUP:.0f} x"],
            ]
        )
    )
    save(
        "faults",
        {
            "faults": faults,
            "restart_seconds": costs,
            "training_seconds": trainings,
            "upload_seconds": uploads,
            "latency_seconds": LATENCY,
        },
    )


def _row(fault: tuple[str, dict[str, Any]]) -> list[object]:
    name, found = fault
    survived = "yes" if found["survived"] else "no"
    return [name, survived, found["bytes_lost"], found.get("restarts", "")]


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} - {max(seconds):.2f})"


if __name__ == "__main__":
    main()
