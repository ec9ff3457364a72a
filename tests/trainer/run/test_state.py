"""A run that was saved and restored goes on to the same end, bit for bit."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from trainer.contract import provenance
from trainer.contract.command_line import parse
from trainer.contract.job_files import CHECKPOINT
from trainer.environments import spec
from trainer.outputs.event_file import TensorBoardReporter
from trainer.outputs.metrics import JsonLinesReporter, Reporters
from trainer.outputs.policy_json import policy_text
from trainer.outputs.tuning_metric import HypertuneReporter
from trainer.run.state import RunState
from trainer.storage.checkpoint import Checkpoint, CheckpointError, read
from trainer.storage.job_dir import JobDir
from trainer.training.loop import drive
from trainer.training.progress import Evaluation

in_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

SMALL = (
    *("--total_steps", "600", "--evaluation_every", "150"),
    *("--validation_episodes", "2", "--evaluation_episodes", "2"),
    *("--seeds", "2", "--hidden_neurons", "4", "--num_envs", "2", "--batch_size", "6"),
)
KINDS = {
    "a2c compiled": ("--algorithm", "a2c"),
    "pg compiled": ("--algorithm", "pg"),
    "a2c gymnasium": ("--algorithm", "a2c", "--collector", "gymnasium"),
    "pg gymnasium": ("--algorithm", "pg", "--collector", "gymnasium"),
    "a2c Acrobot": ("--environment", "Acrobot-v1", "--batch_size", "64"),
}


def make(*flags: str, goal: float | None = None) -> RunState:
    command = parse([*SMALL, *flags])
    return RunState(command, spec.find(command.options.environment), goal)


class Course(NamedTuple):
    """What a run did from somewhere to its end."""

    run: RunState
    reports: list[tuple[int, dict[str, Any], bool]]
    evaluations: list[Evaluation]
    checkpoints: list[bytes]  # of every round


def course_of(
    run: RunState, folder: Path, saved: bytes | None = None, rounds: float = math.inf
) -> Course:
    """Trains to the end as the command does, or until a number of rounds has passed."""
    reporters, evaluations, checkpoints = Reporters([]), list[Evaluation](), list[bytes]()
    if saved is not None:
        reporters.resume(run.restore(read(saved)))
    job_dir = JobDir(folder)

    def on_evaluation(evaluation: Evaluation) -> None:
        evaluations.append(evaluation)
        metrics = {"mean_score": float(evaluation.scores.mean()), **evaluation.losses}
        reporters.report(evaluation.steps, {**metrics, "scores": evaluation.scores.tolist()})

    def on_round() -> None:
        run.save(job_dir, reporters.reports)
        checkpoints.append(job_dir.at(CHECKPOINT).read_bytes())
        if len(checkpoints) == rounds:
            raise InterruptedError

    drive(run.training_steps(on_evaluation, on_round), run.execute)
    reporters.report(600, {"mean_score": float(run.returns(greedy=True).mean())}, final=True)
    reports = [(step, dict(metrics), final) for step, metrics, final, _ in reporters.reports]
    return Course(run, reports, evaluations, checkpoints)


def state_of(run: RunState) -> dict[str, bytes]:
    """Every number of it."""
    parts = {
        **{"agents": run.agents, "collector": run.collector},
        **{"progress": run.progress, "milestones": run.snapshots},
    }
    return {
        f"{part}.{name}": array.tobytes()
        for part, holder in parts.items()
        for name, array in holder.snapshot().items()
    }


def policies_of(run: RunState) -> list[str]:
    """What `policy.json` would say of each agent."""
    agents = range(run.progress.size)
    return [policy_text(run.environment, run.policy(agent)) for agent in agents]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_is_taken_up_at_any_round_ends_as_if_it_had_never_been_cut(
    kind: str, tmp_path: Path
) -> None:
    whole = course_of(make(*KINDS[kind]), tmp_path)
    again = make(*KINDS[kind])
    assert len(whole.checkpoints) >= 3
    rounds = np.unique(np.linspace(0, len(whole.checkpoints) - 1, 3).astype(int))
    for cut in rounds:
        rest = course_of(again, tmp_path, whole.checkpoints[cut])
        assert state_of(again) == state_of(whole.run)
        assert rest.reports == whole.reports
        assert len(rest.checkpoints) == len(whole.checkpoints) - cut - 1
        ended = whole.evaluations[len(whole.evaluations) - len(rest.evaluations) :]
        for ours, theirs in zip(rest.evaluations, ended, strict=True):
            assert (ours.steps, ours.losses) == (theirs.steps, theirs.losses)
            np.testing.assert_array_equal(ours.scores, theirs.scores)
            np.testing.assert_array_equal(ours.training, theirs.training)
        assert again.progress.summary() == whole.run.progress.summary()
        assert policies_of(again) == policies_of(whole.run)


def test_a_run_that_is_cut_again_and_again_ends_as_if_it_had_never_been(tmp_path: Path) -> None:
    """Agents stop at different times, and every process is a fresh one."""
    flags = (*KINDS["a2c gymnasium"], "--stop_at_score", "12", "--stop_after", "1")
    whole = course_of(make(*flags, goal=12.0), tmp_path / "whole")
    assert not whole.run.progress.training.any()
    saved, cuts = None, 0
    while True:
        run = make(*flags, goal=12.0)
        try:
            rest = course_of(run, tmp_path / "cut", saved, rounds=20)
        except InterruptedError:
            saved, cuts = (tmp_path / "cut" / CHECKPOINT).read_bytes(), cuts + 1
            continue
        break
    assert cuts >= 2
    assert run.restarts == cuts
    assert state_of(run) == state_of(whole.run)
    assert policies_of(run) == policies_of(whole.run)
    assert rest.reports == whole.reports


def test_a_diverged_agent_is_still_that_after_a_restart(tmp_path: Path) -> None:
    flags = (*KINDS["a2c gymnasium"], "--learning_rate", "1e30")
    whole = course_of(make(*flags), tmp_path)
    again = make(*flags)
    again.restore(read(whole.checkpoints[-1]))
    assert again.progress.summary()["diverged"] == [0, 1]
    assert state_of(again).keys() == state_of(whole.run).keys()


def test_saving_changes_nothing(tmp_path: Path) -> None:
    run = make(*KINDS["a2c gymnasium"])
    before = state_of(run)
    run.save(JobDir(tmp_path), [])
    assert state_of(run) == before


def test_a_checkpoint_tells_the_flags_the_versions_and_the_restarts(tmp_path: Path) -> None:
    run = make(*KINDS["a2c gymnasium"])
    job_dir = JobDir(tmp_path)
    for restarts in range(3):
        run.save(job_dir, [])
        header = read(job_dir.at(CHECKPOINT).read_bytes()).header
        assert header["settings"] == run.command.values
        assert header["versions"] == provenance.versions()
        assert header["restarts"] == restarts
        run.restore(read(job_dir.at(CHECKPOINT).read_bytes()))


# Checkpoints of something else


class Saved(NamedTuple):
    run: RunState
    checkpoint: Checkpoint


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A run without a round, and its checkpoint with a report in it."""
    run, job_dir = make(*KINDS["a2c gymnasium"]), JobDir(tmp_path_factory.mktemp("saved"))
    reporters = Reporters([])
    reporters.report(300, {"mean_score": 1.5, "scores": [1.0, 2.0]})
    run.save(job_dir, reporters.reports)
    return Saved(run, read(job_dir.at(CHECKPOINT).read_bytes()))


def test_reports_come_back_as_they_went_out(saved: Saved) -> None:
    (report,) = saved.run.restore(saved.checkpoint)
    assert report[:3] == (300, {"mean_score": 1.5, "scores": [1.0, 2.0]}, False)


@pytest.mark.parametrize(
    "flags",
    [
        ("--seeds", "3"),
        ("--hidden_neurons", "5"),
        ("--num_envs", "3"),
        ("--algorithm", "pg"),
        ("--environment", "Acrobot-v1"),
        ("--collector", "compiled"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(flags: tuple[str, ...], saved: Saved) -> None:
    other = make(*KINDS["a2c gymnasium"], *flags)
    with pytest.raises(CheckpointError):
        other.restore(saved.checkpoint)


@pytest.mark.parametrize("part", ["agents", "collector", "progress", "milestones"])
def test_a_checkpoint_that_lacks_a_part_is_refused(part: str, saved: Saved) -> None:
    header, arrays = saved.checkpoint
    rest = {name: array for name, array in arrays.items() if not name.startswith(part)}
    with pytest.raises(CheckpointError, match="it has no"):
        saved.run.restore(Checkpoint(header, rest))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([2**63, 10**400, math.inf, -1, "1", True])
REPORTS = st.lists(
    st.fixed_dictionaries(
        {
            "step": st.integers(0, 10**6) | NUMBERS,
            "metrics": st.dictionaries(st.sampled_from(["mean_score", "entropy"]), NUMBERS | JSON)
            | JSON,
            "final": st.booleans() | JSON,
            "time": st.floats(0, 2e9) | NUMBERS | JSON,
        }
    ),
    max_size=3,
)


def report_with(**fields: Any) -> list[dict[str, Any]]:
    return [{"step": 1, "metrics": {"mean_score": 1.0}, "final": False, "time": 1.0, **fields}]


@in_one_folder
@given(
    header=st.fixed_dictionaries(
        {},
        optional={
            "reports": REPORTS | JSON,
            "restarts": st.integers(0, 5) | JSON,
            "versions": st.dictionaries(st.text(), st.text()) | JSON,
        },
    )
)
@example(header={"restarts": math.inf})
@example(header={"reports": report_with(time="noon")})
@example(header={"reports": report_with(time=math.nan)})
@example(header={"reports": report_with(step=2**63)})
@example(header={"reports": report_with(step=-1)})
@example(header={"reports": report_with(step=True)})
@example(header={"reports": report_with(metrics={"mean_score": "good"})})
@example(header={"reports": report_with(metrics={"mean_score": math.nan})})
@example(header={"reports": report_with(metrics={"entropy": 10**400})})
@example(header={"reports": report_with(metrics={"entropy": {"a": math.inf}})})
@example(header={"reports": report_with(metrics={"mean_score": 1e300, "a\0b": 1})})
@example(header={"reports": report_with(more=1)})
@example(header={"reports": "abc"})
@example(header={"versions": [["a", "b"]]})
def test_whatever_a_header_says_it_is_refused_or_can_be_gone_on_from(
    header: dict[str, Any], saved: Saved, tmp_path: Path
) -> None:
    assume(header)
    try:
        reports = saved.run.restore(
            Checkpoint({**saved.checkpoint.header, **header}, saved.checkpoint.arrays)
        )
    except CheckpointError as error:
        assert str(error) == "its header lacks what a checkpoint says"
        return
    job_dir = JobDir(tmp_path)
    reporters = Reporters(
        [
            HypertuneReporter("mean_score", 5),
            JsonLinesReporter(job_dir),
            TensorBoardReporter(job_dir, {}),
        ]
    )
    reporters.resume(reports)
    reporters.close()


@pytest.mark.parametrize("missing", ["reports", "restarts", "versions"])
def test_a_header_that_lacks_something_is_refused(missing: str, saved: Saved) -> None:
    header = {name: x for name, x in saved.checkpoint.header.items() if name != missing}
    with pytest.raises(CheckpointError, match="its header lacks"):
        saved.run.restore(Checkpoint(header, saved.checkpoint.arrays))


def test_other_versions_are_a_warning_that_names_them(
    saved: Saved, caplog: pytest.LogCaptureFixture
) -> None:
    now = provenance.versions()
    header = dict(saved.checkpoint.header)
    header["versions"] = {**now, "numpy": "1.0", "left": "2"}
    del header["versions"]["keras"]
    saved.run.restore(Checkpoint(header, saved.checkpoint.arrays))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    text = record.getMessage()
    assert f"numpy (1.0, now {now['numpy']})" in text
    assert f"keras (None, now {now['keras']})" in text
    assert "tensorflow" not in text and "left" not in text


def test_the_same_versions_need_no_word(saved: Saved, caplog: pytest.LogCaptureFixture) -> None:
    saved.run.restore(saved.checkpoint)
    assert not caplog.records
