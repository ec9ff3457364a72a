"""A run that was saved and restored goes on to the same end, bit for bit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.support.small_runs import KINDS, make
from trainer.contract import provenance
from trainer.contract.job_files import CHECKPOINT
from trainer.outputs.metrics import Reporters
from trainer.outputs.policy_json import policy_text
from trainer.run.state import RunState
from trainer.storage.checkpoint import read
from trainer.storage.job_dir import JobDir
from trainer.training.loop import drive
from trainer.training.progress import Evaluation


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
