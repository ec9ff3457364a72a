"""The Python API: the same run as by the command, and a process left as it was."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import TINY_RUN, FinishedRun, cloudless_environment
from trainer import api, load, train
from trainer.contract.errors import BadCommand, Error
from trainer.process import signals

# Of Keras, when it reads variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TINY = {
    "total_steps": 2000,
    "evaluation_every": 1000,
    "evaluation_episodes": 5,
    "validation_episodes": 3,
    "seeds": 2,
    "video": False,
}


@pytest.fixture(autouse=True)
def tensorflow_was_imported_by_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_imported_tensorflow", True)


def in_python(program: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env=cloudless_environment(),
        capture_output=True,
        text=True,
        timeout=180,
    )


def test_a_call_trains_what_the_command_trains(finished_run: FinishedRun, tmp_path: Path) -> None:
    program = f"from trainer import train; run = train(job_dir='job', **{TINY!r}); print(run)"
    ended = in_python(program, tmp_path)
    assert ended.returncode == 0, ended.stderr
    ours, theirs = load(tmp_path / "job"), load(finished_run.job_dir)
    assert (ours.mean_score, ours.scores) == (theirs.mean_score, theirs.scores)
    assert ours.curve == theirs.curve
    assert f"mean_score={ours.mean_score}" in ended.stdout
    words = json.loads((tmp_path / "job" / "hyperparameters.json").read_bytes())["command"]
    assert "--total_steps=2000" in words and "--video=false" in words


def test_nothing_slow_is_imported_before_a_call(tmp_path: Path) -> None:
    program = (
        "import sys; import trainer; from trainer import train, load;"
        " print([name for name in ('tensorflow', 'keras', 'gymnasium') if name in sys.modules])"
    )
    assert in_python(program, tmp_path).stdout == "[]\n"


def test_two_calls_do_not_disturb_each_other(tmp_path: Path) -> None:
    first = train(job_dir=str(tmp_path / "first"), **TINY)
    train(job_dir=str(tmp_path / "other"), **TINY | {"seed": 1, "hidden_neurons": 8})
    again = train(job_dir=str(tmp_path / "again"), **TINY)
    assert first.scores == again.scores


def test_a_call_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    log = logging.getLogger("trainer")
    mine = logging.NullHandler()
    log.handlers = [mine]
    before = dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train(job_dir=str(tmp_path / "job"), **TINY)
    assert log.handlers == [mine]
    after = dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert after == before


def test_a_finished_run_is_not_trained_again(finished_run: FinishedRun) -> None:
    flags = {name.lstrip("-"): value for name, value in zip(*[iter(TINY_RUN)] * 2, strict=True)}
    assert train(job_dir=str(finished_run.job_dir), **flags) == load(finished_run.job_dir)


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"gama": 1}, "gama is not a setting of the trainer. Did you mean gamma?"),
        ({"lr": 1}, "lr is not a setting of the trainer. Did you mean learning_rate?"),
        ({"gamma": 2}, "gamma=2.0 is out of range. Write a number from 0 to 1."),
        ({"batch_size": 3.5}, "batch_size=3.5 is not a whole number."),
        ({"video": "maybe"}, "video=maybe is not true or false."),
    ],
)
def test_bad_settings_are_refused_as_by_the_command(
    settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BadCommand) as refusal:
        train(**settings)
    assert str(refusal.value) == sentence


def test_a_callback_sees_every_evaluation_and_may_end_the_training(tmp_path: Path) -> None:
    seen: list[int] = []

    def stop_at_once(evaluation: Any) -> bool:
        seen.append(evaluation.steps)
        return False

    run = train(job_dir=str(tmp_path / "job"), on_evaluation=stop_at_once, **TINY)
    assert seen == [1000]
    assert run.mean_score is not None


def test_two_threads_cannot_train_at_once(tmp_path: Path) -> None:
    inside, leave = threading.Event(), threading.Event()

    def wait(evaluation: Any) -> None:
        inside.set()
        leave.wait(60)

    def first() -> None:
        train(job_dir=str(tmp_path / "first"), on_evaluation=wait, **TINY)

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert inside.wait(120)
        with pytest.raises(Error, match="Another thread of this process is training"):
            train(job_dir=str(tmp_path / "second"), **TINY)
    finally:
        leave.set()
        thread.join()
    assert load(tmp_path / "first").mean_score is not None


def test_ctrl_c_keeps_a_checkpoint_and_the_same_call_continues(tmp_path: Path) -> None:
    def interrupt(evaluation: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    job_dir = str(tmp_path / "job")
    with pytest.raises(KeyboardInterrupt):
        train(job_dir=job_dir, on_evaluation=interrupt, **TINY)
    assert (tmp_path / "job" / "checkpoint").exists()
    assert load(job_dir).mean_score is None
    undisturbed = train(job_dir=str(tmp_path / "undisturbed"), **TINY)
    assert train(job_dir=job_dir, **TINY).scores == undisturbed.scores


def test_a_second_ctrl_c_is_raised_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), signals.interruptible(), signals.held():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_tensorflow_from_elsewhere_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow  # noqa: F401

    monkeypatch.setattr(api, "_imported_tensorflow", False)
    with pytest.warns(UserWarning, match="TensorFlow was imported before"):
        train(job_dir=str(tmp_path / "job"), **TINY)


def test_the_policy_of_a_run_acts_in_numpy(finished_run: FinishedRun) -> None:
    run = load(finished_run.job_dir)
    observations = np.random.default_rng(0).uniform(-1, 1, (20, 4)).astype(np.float32)
    probabilities = run.policy.probabilities(observations)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert [run.policy.act(x) for x in observations] == probabilities.argmax(axis=1).tolist()
    assert run.policy.probabilities(observations[0]).shape == (2,)


def test_a_run_shows_itself_in_a_notebook(finished_run: FinishedRun) -> None:
    run = load(finished_run.job_dir)
    assert f"<td>{run.mean_score:g}</td>" in run._repr_html_()
    assert run.video == finished_run.job_dir / "recording.mp4"


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCommand, match="holds no run"):
        load(tmp_path)


def test_a_damaged_record_costs_its_facts_only(
    finished_run: FinishedRun, tmp_path: Path, copy_run: Callable[[Path], Path]
) -> None:
    job_dir = copy_run(finished_run.job_dir)
    (job_dir / "manifest.json").write_text('{"scores": {"mean_score": 1e999}}')
    (job_dir / "policy.json").write_text('{"snapshots": []}')
    run = load(job_dir)
    assert run.mean_score is None and run.scores == ()
    assert run.policy.act(np.zeros(4, np.float32)) in (0, 1)


@pytest.fixture
def copy_run(tmp_path: Path) -> Callable[[Path], Path]:
    import shutil

    return lambda folder: Path(shutil.copytree(folder, tmp_path / "copy"))
