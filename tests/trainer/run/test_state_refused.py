"""Checkpoints of other runs, other versions, and checkpoints with errors."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.support.small_runs import KINDS, make
from trainer.contract import provenance
from trainer.contract.job_files import CHECKPOINT
from trainer.outputs.event_file import TensorBoardReporter
from trainer.outputs.metrics import JsonLinesReporter, Reporters
from trainer.outputs.tuning_metric import HypertuneReporter
from trainer.run.state import RunState
from trainer.storage.checkpoint import Checkpoint, CheckpointError, read
from trainer.storage.job_dir import JobDir

in_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
