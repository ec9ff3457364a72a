"""Runs that are killed again and again end as if nothing had ever happened to them.

More than 250 lines, since it lists the moments at which the runs of all its tests are killed.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.cloud_runs import (
    WHERE,
    Moment,
    assert_as_listed,
    assert_recoverable,
    assert_same_end,
    ended,
    environment,
    files_in,
    is_upload,
    manifest_of,
    mortal_task,
    objects_in,
    run,
    started,
    steps_of,
    task,
)
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage
from trainer.contract.job_files import CHECKPOINT, MANIFEST, MODEL

pytestmark = [
    pytest.mark.faults,
    # Keras' variables do not know NumPy 2's `copy` keyword yet.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SMALL = (
    *("--total_steps", "16384", "--evaluation_every", "1024", "--stop_at_score", "none"),
    *("--evaluation_episodes", "5", "--validation_episodes", "3"),
    *("--hidden_neurons", "8", "--sync_every", "0"),
)
GYMNASIUM = (*SMALL, "--collector", "gymnasium")
ENDLESS = (*GYMNASIUM, "--total_steps", "1e12")

START = Moment("trainer.run.job_dir", "open_job_dir")
SAVE = Moment("trainer.run.state", "write")
DISK = Moment("os", "fsync")  # a checkpoint is written, under a temporary name still
SCORE = Moment("trainer.run.state", "RunState.validate")
RECORD = Moment("trainer.training.progress", "Progress.record")  # nobody knows of it yet
TOLD = Moment("trainer.outputs.metrics", "JsonLinesReporter.report")  # hypertune alone knows
FINAL_SCORE = Moment("trainer.run.state", "RunState.returns")
MODELS = Moment("trainer.outputs.models", "save_models")  # the final metric is out
VIDEO = Moment("trainer.outputs.video", "record_episodes")
LIST = Moment("trainer.storage.job_dir", "JobDir.files")  # all is there but the manifest


class Upload(NamedTuple):
    """While an object is on its way; it arrives all the same, or never does."""

    name: str
    arrives: bool


def at_random(generator: random.Random, moment: Moment, seconds: float) -> Moment:
    return moment._replace(seconds=generator.uniform(0, seconds))


def moments_on_a_folder() -> list[Moment]:
    generator = random.Random(4)
    return [
        at_random(generator, START, 3),
        SAVE,  # before the first checkpoint
        DISK,  # during the first save
        at_random(generator, SAVE, 0.05),
        at_random(generator, SCORE._replace(call=2), 0.02),
        RECORD._replace(call=2),
        TOLD,
        at_random(generator, FINAL_SCORE, 0.02),
        at_random(generator, MODELS, 0.5),
        LIST,
    ]


def moments_in_a_bucket() -> list[Moment | Upload]:
    generator = random.Random(5)
    return [
        SAVE,
        Upload(CHECKPOINT, arrives=False),
        Upload(CHECKPOINT, arrives=True),
        at_random(generator, SAVE._replace(call=3), 0.2),
        DISK._replace(call=4),
        at_random(generator, SAVE._replace(call=10), 0.2),
        at_random(generator, SCORE, 0.02),
        Upload("metrics.jsonl", arrives=True),
        FINAL_SCORE._replace(call=2),
        VIDEO,
        Upload(MODEL, arrives=True),
        Upload(MANIFEST, arrives=False),
    ]


class End(NamedTuple):
    """What a run comes to."""

    artefacts: Mapping[str, bytes]
    told: list[tuple[int, float]]  # steps and values in the tuning service's file


def told_in(metric_file: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in metric_file.read_text().splitlines()]
    return [(int(line["global_step"]), float(line["mean_score"])) for line in lines]


def kill(
    moment: Moment | Upload,
    job_dir: str,
    flags: Sequence[str],
    storage: FaultyStorage | None,
    **options: Any,
) -> None:
    """Starts the run, and kills it."""
    if isinstance(moment, Moment):
        process = run(*mortal_task(moment, job_dir, *flags), **options)
        assert process.returncode == -signal.SIGKILL, f"{moment}: {process}"
        return
    assert storage is not None
    name = f"/{moment.name}$"
    fault = storage.add(Fault(kind="insert", name=name, delay=0.1, reset=not moment.arrives))
    with started(*task(job_dir, *flags), **options) as doomed:
        storage.wait_for(lambda request: fault.matched > 0, 60)
        doomed.kill()
        assert ended(doomed).returncode == -signal.SIGKILL
    time.sleep(0.2)  # for what is on its way to arrive
    storage.clear()


def end_of_a_chain(
    moments: Sequence[Moment | Upload],
    job_dir: str,
    flags: Sequence[str],
    folder: Path,
    storage: FaultyStorage | None,
) -> list[tuple[int, float]]:
    """Kills a run at one moment after another, then lets it end; what the service was told."""
    metric_file = folder / "metrics" / "output.metrics"
    env = environment(storage, folder, CLOUD_ML_HP_METRIC_FILE=str(metric_file))
    earlier: list[tuple[int, float]] = []
    for moment in moments:
        kill(moment, job_dir, flags, storage, env=env, cwd=folder)
        told = told_in(metric_file) if metric_file.exists() else []
        assert told[: len(earlier)] == earlier, "earlier lines are gone"
        earlier = told
    process = run(*task(job_dir, *flags), env=env, cwd=folder)
    assert (process.returncode, process.stderr) == (0, "")
    assert "Continuing from the checkpoint" in process.stdout
    return told_in(metric_file)


def uninterrupted(flags: Sequence[str], folder: Path) -> End:
    metric_file = folder / "output.metrics"
    env = environment(None, folder, CLOUD_ML_HP_METRIC_FILE=str(metric_file))
    process = run(*task("job", *flags), env=env, cwd=folder)
    assert (process.returncode, process.stderr) == (0, "")
    return End(files_in(folder / "job"), told_in(metric_file))


@pytest.fixture(scope="module")
def gymnasium(tmp_path_factory: pytest.TempPathFactory) -> End:
    """The run with the Gymnasium collector, on a folder, that nobody interrupted."""
    return uninterrupted(GYMNASIUM, tmp_path_factory.mktemp("uninterrupted"))


@pytest.fixture
def storage() -> Iterator[FaultyStorage]:
    with FaultyStorage(latency=0.01) as storage:
        yield storage


# SIGKILL


@pytest.mark.xdist_group("killed on a folder")
def test_a_run_on_a_folder_killed_at_any_moment_ends_as_if_it_never_was(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = uninterrupted(SMALL, tmp_path / "whole")
    told = end_of_a_chain(moments_on_a_folder(), "job", SMALL, tmp_path, None)
    artefacts = files_in(tmp_path / "job")
    assert_same_end(artefacts, whole.artefacts)
    assert_as_listed(artefacts)
    assert artefacts.keys() == whole.artefacts.keys()  # no temporary file stayed
    assert told == whole.told
    assert manifest_of(artefacts)["restarts"] > 3


@pytest.mark.xdist_group("killed in a bucket")
def test_a_run_in_a_bucket_killed_at_any_moment_ends_as_if_it_never_was(
    storage: FaultyStorage, gymnasium: End, tmp_path: Path
) -> None:
    told = end_of_a_chain(moments_in_a_bucket(), WHERE, GYMNASIUM, tmp_path, storage)
    artefacts = objects_in(storage)
    assert_same_end(artefacts, gymnasium.artefacts)
    assert_as_listed(artefacts)
    assert artefacts.keys() == gymnasium.artefacts.keys()
    assert told == gymnasium.told
    assert manifest_of(artefacts)["restarts"] > 3


# SIGTERM and SIGINT


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_end_saves_where_it_stands_and_goes_on_later(
    number: signal.Signals, code: int, storage: FaultyStorage, gymnasium: End, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"env": environment(storage, tmp_path), "cwd": tmp_path}
    moment = SAVE._replace(call=20, signal=number)
    process = run(*mortal_task(moment, WHERE, *GYMNASIUM), **options)
    assert process.returncode == code
    steps = steps_of(objects_in(storage))
    assert steps == 20 * 256
    assert "Traceback" not in process.stderr
    assert f"Stopped by {number.name}" in process.stderr
    assert f"{steps:,} steps" in process.stderr
    assert list((tmp_path / "tmp").iterdir()) == []
    process = run(*task(WHERE, *GYMNASIUM), **options)
    assert process.returncode == 0
    assert f"at {steps:,} steps" in process.stdout
    assert_same_end(objects_in(storage), gymnasium.artefacts)


@pytest.fixture
def stop_while_stalled(
    storage: FaultyStorage, tmp_path: Path
) -> Callable[[int], tuple[int, float, str]]:
    """Ends a run whose uploads hang, with so many signals: its code, seconds, last words."""

    def stop(signals: int) -> tuple[int, float, str]:
        env = environment(storage, tmp_path)
        with started(*task(WHERE, *ENDLESS), env=env, cwd=tmp_path) as process:
            storage.wait_for(lambda r: is_upload(CHECKPOINT)(r) and r.wrote, 60)
            hangs = storage.add(Fault(delay=60))
            storage.wait_for(lambda request: hangs.matched > 0, 60)
            start = time.monotonic()
            for number in range(signals):
                process.send_signal(signal.SIGTERM)
                time.sleep(0 if number + 1 == signals else 0.5)
            whole = ended(process)
            seconds = time.monotonic() - start
        storage.clear()
        return whole.returncode, seconds, whole.stderr

    return stop


def test_a_run_whose_uploads_hang_still_ends_in_time(
    stop_while_stalled: Callable[[int], tuple[int, float, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    storage: FaultyStorage,
) -> None:
    code, seconds, stderr = stop_while_stalled(1)
    assert (code, seconds < 10) == (143, True)
    assert "Traceback" not in stderr
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
    assert_recoverable(WHERE, tmp_path / "models")


def test_a_second_signal_ends_a_run_at_once_and_what_was_saved_stays_whole(
    stop_while_stalled: Callable[[int], tuple[int, float, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    storage: FaultyStorage,
) -> None:
    code, seconds, stderr = stop_while_stalled(2)
    assert (code, seconds < 3) == (143, True)
    assert "Traceback" not in stderr
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
    assert_recoverable(WHERE, tmp_path / "models")
