"""What a bucket costs a run: restarts, slower training, and uploads."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.injected_faults import SMALL
from tests.support.cloud_runs import (
    WHERE,
    Moment,
    environment,
    manifest_of,
    mortal_task,
    objects_in,
    run,
    task,
)
from tests.support.storage_messages import Answer, Upload, json_answer
from tests.support.storage_server import FaultyStorage
from trainer.storage.gcs import checksum
from trainer.storage.lease import OWNER

LATENCY = 0.02  # seconds a request

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
