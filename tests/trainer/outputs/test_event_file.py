"""The event file, as TensorBoard itself reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from tests.support.full_disk import files_end_after
from tests.support.reports import CUTS, INF, NAN, reported, score
from trainer.contract.job_files import EVENTS
from trainer.outputs.event_file import TensorBoardReporter
from trainer.outputs.metrics import Report
from trainer.storage.job_dir import JobDir


def events_of(tmp_path: Path, *reports: tuple[int, dict[str, Any], bool]) -> EventAccumulator:
    """What TensorBoard itself reads after these reports."""
    reporter = TensorBoardReporter(JobDir(tmp_path), {"learning_rate": 0.01, "algorithm": "a2c"})
    for step, metrics, final in reports:
        reporter.report(step, metrics, final=final)
    reporter.close()
    accumulator = EventAccumulator(str(tmp_path / EVENTS))
    accumulator.Reload()
    return accumulator


def scalars(accumulator: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_tensorboard_reads_the_curves(tmp_path: Path) -> None:
    events = events_of(
        tmp_path,
        (1000, {"mean_score": 1.5, "entropy": 0.5}, False),
        (2000, {"mean_score": 2.5, "entropy": 0.25}, False),
        (2048, {"mean_score": 3.5}, True),
    )
    assert scalars(events, "training/mean_score") == [(1000, 1.5), (2000, 2.5)]
    assert scalars(events, "training/entropy") == [(1000, 0.5), (2000, 0.25)]
    assert scalars(events, "final/mean_score") == [(2048, 3.5)]
    assert scalars(events, "mean_score") == [(1000, 1.5), (2000, 2.5), (2048, 3.5)]


def test_tensorboard_shows_the_hyperparameters(tmp_path: Path) -> None:
    events = events_of(tmp_path, (1000, score(1), True))
    content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    shown = metadata.parse_session_start_info_plugin_data(content).hparams
    assert shown["learning_rate"].number_value == 0.01
    assert shown["algorithm"].string_value == "a2c"


def test_tensorboard_is_told_when_a_run_ends_well(tmp_path: Path) -> None:
    events = events_of(tmp_path, (1000, score(1), True))
    content = events.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content
    end = metadata.parse_session_end_info_plugin_data(content)
    assert end.status == api_pb2.STATUS_SUCCESS


def test_tensorboard_never_gets_a_number_that_is_none(tmp_path: Path) -> None:
    events = events_of(
        tmp_path, (1000, {"mean_score": NAN, "entropy": INF}, False), (2000, score(1.0), False)
    )
    assert scalars(events, "mean_score") == [(2000, 1)]
    assert scalars(events, "training/mean_score") == [(2000, 1)]


def test_tensorboard_can_read_a_run_that_is_under_way(tmp_path: Path) -> None:
    reporter = TensorBoardReporter(JobDir(tmp_path), {})
    accumulator = EventAccumulator(str(tmp_path / EVENTS))
    for number in (1, 2, 3):
        reporter.report(number, score(number))
        accumulator.Reload()
        assert len(accumulator.Scalars("mean_score")) == number
    reporter.close()


def test_the_event_file_bears_a_name_that_tensorboard_looks_for() -> None:
    assert "tfevents" in EVENTS


@pytest.mark.parametrize("cut, saved", CUTS)
def test_tensorboard_shows_each_step_once_wherever_a_run_was_cut(
    cut: int, saved: int, tmp_path: Path
) -> None:
    reported(lambda folder, _: [TensorBoardReporter(JobDir(folder), {})], tmp_path, cut, saved)
    events = EventAccumulator(str(tmp_path / EVENTS))
    events.Reload()
    assert scalars(events, "mean_score") == [(1000, 1.5), (3000, 3.5), (3072, 4.5)]
    assert scalars(events, "training/entropy") == [(1000, 0.5)]
    assert scalars(events, "final/mean_score") == [(3072, 4.5)]


def test_tensorboard_shows_earlier_steps_at_their_own_time(tmp_path: Path) -> None:
    reporter = TensorBoardReporter(JobDir(tmp_path), {})
    reporter.resume([Report(1000, score(1.5), False, 7.25), Report(2000, score(2.5), False, 9.5)])
    reporter.report(3000, score(3.5))
    reporter.close()
    events = EventAccumulator(str(tmp_path / EVENTS))
    events.Reload()
    times = [event.wall_time for event in events.Scalars("mean_score")]
    assert times[:2] == [7.25, 9.5] and times[2] > 1e9


def test_a_full_disk_is_told_with_the_files_name(tmp_path: Path) -> None:
    reporter = TensorBoardReporter(JobDir(tmp_path), {})
    size = (tmp_path / EVENTS).stat().st_size
    with files_end_after(size + 10), pytest.raises(OSError) as error:
        for step in range(1000):
            reporter.report(step, score(1.0))
    assert error.value.filename == str(tmp_path / EVENTS)
    reporter.close()
