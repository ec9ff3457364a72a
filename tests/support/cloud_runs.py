"""What the tests of the cloud share: folders in a bucket, and whole runs that can be killed.

More than 250 lines, since the runs that are killed and the folders they leave are looked at
together.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import TIMEOUT, cloudless_environment
from tests.support.storage_messages import Request
from tests.support.storage_server import FaultyStorage
from trainer.contract.job_files import CHECKPOINT, MANIFEST, METRICS
from trainer.storage import checkpoint
from trainer.storage.gcs import Address, RemoteFolder

PREFIX = "runs/a"
WHERE = f"gs://{FaultyStorage.bucket}/{PREFIX}"
Process = subprocess.CompletedProcess[str]

# The client leaves connections that failed to the garbage collector.
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

# With Gymnasium, for the compiled collector takes seconds to compile.
QUICK = (
    *("--collector", "gymnasium", "--sync_every", "0.2", "--hidden_neurons", "8"),
    *("--total_steps", "2000", "--evaluation_every", "1000"),
    *("--evaluation_episodes", "5", "--validation_episodes", "3"),
)


# Folders in a bucket


@contextlib.contextmanager
def remote_folders(
    storage: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], RemoteFolder]]:
    """Makes views of the folder `WHERE`, each as another process would have it."""
    from google.cloud import storage as google_storage

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
    # Or a thread of the client asks for the bucket, whenever it gets round to it.
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    clients = []

    def open_folder() -> RemoteFolder:
        clients.append(google_storage.Client(project=None))
        return RemoteFolder(Address(storage.bucket, PREFIX), clients[-1])

    yield open_folder
    for client in clients:
        client.close()
    gc.collect()  # connections that failed are closed here, where `UNCLOSED` knows of them


def write(folder: RemoteFolder, path: str, content: bytes) -> None:
    folder.write(path, io.BytesIO(content), len(content))


# Whole runs


def environment(storage: FaultyStorage | None, folder: Path, **more: str) -> dict[str, str]:
    """For a process whose temporary files lie in `folder`/tmp, where tests find what is kept."""
    (folder / "tmp").mkdir(exist_ok=True)
    cloud = {"STORAGE_EMULATOR_HOST": storage.url} if storage else {}
    return {**cloudless_environment(), "TMPDIR": str(folder / "tmp"), **cloud, **more}


@contextlib.contextmanager
def started(
    *command: str, env: Mapping[str, str], cwd: Path, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """`python` with these arguments, killed in the end."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> Process:
    """What a started process came to."""
    stdout, stderr = process.communicate(timeout=TIMEOUT)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def run(*command: str, env: Mapping[str, str], cwd: Path, **options: Any) -> Process:
    """`python` with these arguments, to its end."""
    with started(*command, env=env, cwd=cwd, **options) as process:
        return ended(process)


def task(job_dir: str, *flags: str) -> tuple[str, ...]:
    return "-m", "trainer.task", "--job-dir", job_dir, *flags


class Moment(NamedTuple):
    """When a process gets a signal: some seconds after the n-th call of a function."""

    module: str  # in which the function is looked up
    function: str
    call: int = 1
    seconds: float = 0.0
    signal: int = signal.SIGKILL

    def __str__(self) -> str:
        return f"{self.seconds:.3f} s after call {self.call} of {self.module}.{self.function}"


# A process that hits itself: no load of the machine can move the moment to another place.
_MORTAL_TASK = """
import importlib, itertools, os, runpy, signal, sys, threading
module, function, number, seconds, which = sys.argv[1:6]
*path, name = function.split(".")
owner = importlib.import_module(module)
for part in path:
    owner = getattr(owner, part)
real, calls = getattr(owner, name), itertools.count(1)

def die():
    os.kill(os.getpid(), int(which))

def mortal(*arguments, **options):
    if next(calls) == int(number):
        if not float(seconds):
            die()
        timer = threading.Timer(float(seconds), die)
        timer.daemon = True
        timer.start()
    return real(*arguments, **options)

setattr(owner, name, mortal)
sys.argv[1:] = sys.argv[6:]
runpy.run_module("trainer.task", run_name="__main__", alter_sys=True)
"""


def mortal_task(moment: Moment, job_dir: str, *flags: str) -> tuple[str, ...]:
    """The trainer, which will get the signal unless it is through by then."""
    given = (*moment[:-1], int(moment.signal))
    return "-c", _MORTAL_TASK, *map(str, given), *task(job_dir, *flags)[2:]


def manifest_of(artefacts: Mapping[str, bytes]) -> dict[str, Any]:
    found = json.loads(artefacts[MANIFEST])
    assert isinstance(found, dict)
    return found


def files_in(folder: Path) -> dict[str, bytes]:
    """Contents by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def objects_in(storage: FaultyStorage, prefix: str = PREFIX) -> dict[str, bytes]:
    """Contents by path under a prefix."""
    skip = len(prefix) + 1
    return {
        name[skip:]: content
        for name, content in storage.objects().items()
        if name.startswith(f"{prefix}/")
    }


def arrays_of(artefacts: Mapping[str, bytes]) -> dict[str, NDArray[Any]]:
    """Weights, optimiser, environments, counters: all that the checkpoint holds as numbers."""
    return dict(checkpoint.read(artefacts[CHECKPOINT]).arrays)


def steps_of(artefacts: Mapping[str, bytes]) -> int:
    return int(arrays_of(artefacts)["progress.steps"].max())


def assert_same_end(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> None:
    """Bit-identical weights, optimisers, environments, scores and metric lines."""
    mine, yours = arrays_of(ours), arrays_of(theirs)
    assert mine.keys() == yours.keys()
    for name, array in mine.items():
        assert array.dtype == yours[name].dtype, name
        assert array.tobytes() == yours[name].tobytes(), name
    assert ours[METRICS] == theirs[METRICS]
    assert manifest_of(ours)["scores"] == manifest_of(theirs)["scores"]


def assert_as_listed(artefacts: Mapping[str, bytes]) -> None:
    """Every file that the manifest lists is there, to the last byte."""
    for file in manifest_of(artefacts)["files"]:
        content = artefacts[file["name"]]
        assert (file["size"], file["sha256"]) == (
            len(content),
            hashlib.sha256(content).hexdigest(),
        ), file["name"]


def assert_recoverable(where: str | Path, output: Path) -> None:
    """The model of the last completed checkpoint can be loaded, and acts."""
    import keras

    from trainer import recover
    from trainer.contract.job_files import MODEL

    assert recover.main([str(where), "--output", str(output)]) == 0
    model = keras.saving.load_model(output / MODEL, safe_mode=True)
    probabilities = model(np.zeros((1, 4), np.float32))["probabilities"]
    assert np.isclose(np.sum(probabilities), 1)


def is_upload(name: str) -> Callable[[Request], bool]:
    """Whether a request writes the object of that path, in flight or answered."""
    return lambda request: request.kind == "insert" and request.name == f"{PREFIX}/{name}"


def sentence(process: Process) -> str:
    """The last line on stderr of a process that said what went wrong, without a traceback."""
    assert "Traceback" not in process.stderr, process.stderr
    lines = process.stderr.splitlines()
    assert lines
    return lines[-1]


def kept_folder(line: str) -> Path:
    """The local folder that a sentence names."""
    folder = Path(line.split(" kept in ")[1].split(";")[0])
    assert os.path.isabs(folder)
    return folder
