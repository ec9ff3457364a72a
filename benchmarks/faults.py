"""`python -m benchmarks.faults`: injects faults into runs in a bucket, and measures their cost.

The bucket is served by a test server on this machine, which can fail like the real service.
Training is timed alternately with and without the bucket; compare the ratios of the medians.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import describe, save, table
from tests.support.cloud_runs import (
    QUICK,
    WHERE,
    Moment,
    Process,
    arrays_of,
    environment,
    files_in,
    is_upload,
    kept_folder,
    manifest_of,
    mortal_task,
    objects_in,
    run,
    started,
    task,
)
from tests.support.storage_server import Answer, Fault, FaultyStorage, Upload, json_answer
from tests.support.waiting import wait_until
from trainer.contract.job_files import CHECKPOINT, MANIFEST, METRICS, MODEL
from trainer.storage.gcs import checksum
from trainer.storage.lease import OWNER

SMALL = (*QUICK, "--sync_every", "0")
MOST_SLOWDOWN, LEAST_SPEEDUP = 0.03, 3.0
LATENCY = 0.02  # seconds a request
RESTARTS = 10  # of one run; more would mean that it makes no progress

# The timed run: several seconds of training, with the default network and batch.
TIMED = (
    *("--total_steps", "2000000", "--stop_at_score", "none", "--sync_every", "2"),
    *("--evaluation_every", "200000", "--evaluation_episodes", "5"),
)
TIMED_TASK = """
import runpy, sys, time
from trainer.run.state import RunState
real, answer = RunState.training_steps, sys.argv[1]
def training_steps(*arguments):
    start = time.perf_counter()
    yield from real(*arguments)
    with open(answer, "w") as file:
        file.write(str(time.perf_counter() - start))
RunState.training_steps = training_steps
sys.argv[1:] = sys.argv[2:]
runpy.run_module("trainer.task", run_name="__main__", alter_sys=True)
"""
UPLOADS = """
import sys, time
from pathlib import Path
from google.cloud import storage
from trainer.run.upload import Uploader, files
from trainer.storage.address import parse
from trainer.storage.gcs import RemoteFolder
folder, repeats = Path(sys.argv[1]), int(sys.argv[2])
client = storage.Client(project=None)
for i in range(repeats):
    bucket = client.bucket("bucket")
    start = time.perf_counter()
    for path, _ in files(folder):
        bucket.blob(f"plain/{i}/{path}").upload_from_filename(str(folder / path))
    plain = time.perf_counter() - start
    uploader = Uploader(folder, RemoteFolder(parse(f"gs://bucket/mirror/{i}")), 30)
    uploader.connect()  # as at the start of a run
    start = time.perf_counter()
    assert uploader.flush(60) == []
    print(plain, time.perf_counter() - start)
    uploader.close()
"""


class Place(NamedTuple):
    """A job dir in the bucket of a faulty service, and a local folder for the run."""

    storage: FaultyStorage
    folder: Path

    @property
    def options(self) -> dict[str, Any]:
        return {"env": environment(self.storage, self.folder), "cwd": self.folder}

    def train(self, *flags: str) -> Process:
        return run(*task(WHERE, *SMALL, *flags), **self.options)

    def end(self) -> int:
        """Starts the run until it succeeds, as a service does; returns the number of starts."""
        for starts in range(1, RESTARTS):
            if self.train().returncode == 0:
                return starts
        raise RuntimeError("the run never succeeded")


# Faults. Each runs until the run has succeeded, and returns how often it was restarted.


def killed(moment: Moment) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        process = run(*mortal_task(moment, WHERE, *SMALL), **place.options)
        assert process.returncode != 0, moment
        return place.end()

    return act


def killed_during_an_upload(place: Place) -> int:
    fault = place.storage.add(Fault(kind="insert", name=CHECKPOINT, delay=0.1))
    with started(*task(WHERE, *SMALL), **place.options) as process:
        place.storage.wait_for(lambda request: fault.matched > 0, 120)
        process.kill()
        process.wait()
    place.storage.clear()
    return place.end()


def failing(*faults: Fault) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        for fault in faults:
            place.storage.add(fault)
        starts = place.end()
        assert all(fault.matched > fault.skip for fault in faults), faults
        return starts - 1

    return act


def damaged_checkpoint(place: Place) -> int:
    run(*mortal_task(Moment("trainer.run.state", "write", 8), WHERE, *SMALL), **place.options)
    place.storage.add(Fault(name=CHECKPOINT, corrupt=True, times=1))
    return place.end()


def down(until: str) -> Callable[[Place], int]:
    """The service is down from the first checkpoint until a file exists."""

    def act(place: Place) -> int:
        if until == METRICS:
            place.storage.down()
        with started(*task(WHERE, *SMALL), **place.options) as process:
            if until != METRICS:
                place.storage.wait_for(is_upload(CHECKPOINT), 120)
                place.storage.down()
            wait_until(lambda: list((place.folder / "tmp").glob(f"trainer-*/{until}")), 120)
            place.storage.up()
            process.communicate(timeout=180)
        assert process.returncode == 0
        return 0

    return act


def down_at_the_end(place: Place) -> int:
    with started(*task(WHERE, *SMALL, "--upload_deadline", "1"), **place.options) as process:
        place.storage.wait_for(is_upload(CHECKPOINT), 120)
        place.storage.down()
        _, stderr = process.communicate(timeout=180)
        place.storage.up()
    kept = kept_folder(stderr.splitlines()[-1])
    finished = run("-m", "trainer.sync", str(kept), WHERE, **place.options)
    assert finished.returncode == 0, finished
    return 0


FAULTS: dict[str, Callable[[Place], int]] = {
    "SIGKILL before the first checkpoint": killed(Moment("trainer.run.state", "write")),
    "SIGKILL during a save": killed(Moment("os", "fsync", 4)),
    "SIGKILL during an upload": killed_during_an_upload,
    "SIGKILL during an evaluation": killed(
        Moment("trainer.run.state", "RunState.validate", 2, 0.01)
    ),
    "SIGKILL after the metric": killed(Moment("trainer.outputs.models", "save_models")),
    "SIGKILL before the manifest": killed(Moment("trainer.storage.job_dir", "JobDir.files")),
    "SIGTERM": killed(Moment("trainer.run.state", "write", 5, signal=15)),
    "401, once": failing(Fault(kind="insert", name=CHECKPOINT, times=1, status=401)),
    "429, twice": failing(Fault(kind="insert", name=CHECKPOINT, times=2, status=429)),
    "503, six times": failing(Fault(skip=8, times=6, status=503)),
    "connections reset": failing(Fault(kind="insert", skip=3, times=5, reset=True)),
    "answers lost": failing(
        *(
            Fault(kind="insert", name=name, times=1, lose_answer=True)
            for name in (CHECKPOINT, METRICS, MANIFEST)
        )
    ),
    "stall of a second": failing(Fault(kind="insert", name=CHECKPOINT, times=2, stall=1.0)),
    "damaged download of the checkpoint": damaged_checkpoint,
    "service down at the start": down(METRICS),
    "service down in the middle": down(MODEL),
    "service down during the last upload": down_at_the_end,
}


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


# Figures


def timed(*command: str, env: Mapping[str, str], cwd: Path) -> float:
    start = time.perf_counter()
    run(*command, env=env, cwd=cwd)
    return time.perf_counter() - start


def restart_costs(repeats: int) -> list[float]:
    """Additional seconds of a run that is killed once, half way."""
    costs = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as name, FaultyStorage() as storage:
            folder, flags = Path(name), (*SMALL, "--total_steps", "8000")
            options: dict[str, Any] = {"env": environment(storage, folder), "cwd": folder}
            whole = timed(*task("gs://bucket/whole", *flags), **options)
            moment = Moment("trainer.run.state", "write", 16)
            parts = timed(*mortal_task(moment, WHERE, *flags), **options)
            parts += timed(*task(WHERE, *flags), **options)
            assert manifest_of(objects_in(storage))["restarts"] == 1
        costs.append(parts - whole)
    return costs


def training_times(repeats: int) -> dict[str, list[float]]:
    """Seconds of training on a folder and in a bucket, alternately."""
    times: dict[str, list[float]] = {"folder": [], "bucket": []}
    for i in range(repeats):
        for where in ("folder", "bucket") if i % 2 else ("bucket", "folder"):
            with tempfile.TemporaryDirectory() as name, FaultyStorage() as storage:
                folder = Path(name)
                job_dir = WHERE if where == "bucket" else "job"
                process = run(
                    *("-c", TIMED_TASK, "seconds", "--job-dir", job_dir, *TIMED),
                    env=environment(storage, folder),
                    cwd=folder,
                )
                assert process.returncode == 0, process.stderr
                times[where].append(float((folder / "seconds").read_text()))
    return times


def answer_at_once(storage: FaultyStorage) -> None:
    """Stores artefacts without asking the emulator.

    The emulator serves one request at a time and needs milliseconds for each, so parallel uploads
    would wait for each other, which they do not with the real service.
    """
    emulator = storage.emulator
    thorough = emulator._store

    def store(upload: Upload) -> Answer:
        if upload.name.endswith(OWNER) or "/rights-" in upload.name:
            return thorough(upload)
        generation = emulator.generations[upload.name] = next(emulator._clock)
        content = io.BytesIO(upload.content)
        return json_answer(
            {
                "name": upload.name,
                "generation": str(generation),
                "size": str(len(upload.content)),
                "crc32c": checksum(content),
            }
        )

    emulator._store = store  # type: ignore[method-assign]


def upload_times(repeats: int, artefacts: Mapping[str, bytes]) -> dict[str, list[float]]:
    """Seconds to upload a run's artefacts, one by one and by the trainer."""
    with tempfile.TemporaryDirectory() as name, FaultyStorage(latency=LATENCY) as storage:
        answer_at_once(storage)
        for path, content in artefacts.items():
            target = Path(name, "job", path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        env = environment(storage, Path(name))
        env["DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"] = "true"
        process = run(
            "-c", UPLOADS, os.path.join(name, "job"), str(repeats), env=env, cwd=Path(name)
        )
        assert process.returncode == 0, process.stderr
    pairs = [line.split() for line in process.stdout.splitlines()]
    return {
        "one by one": [float(plain) for plain, _ in pairs],
        "uploader": [float(ours) for _, ours in pairs],
    }


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
