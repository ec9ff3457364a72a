"""Where metrics go: read back with the real readers of each format."""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from trainer.contract.job_files import EVENTS, METRICS
from trainer.outputs.metrics import (
    MAX_TUNING_REPORTS,
    HypertuneReporter,
    JsonLinesReporter,
    Report,
    Reporters,
    TensorBoardReporter,
    finite,
)
from trainer.storage.job_dir import JobDir

NAN, INF = math.nan, math.inf


def score(value: float) -> dict[str, float]:
    return {"mean_score": value}


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; strict, so that NaN is an error."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


@pytest.fixture
def metric_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a tuning service would read, in a folder that is not there yet."""
    path = tmp_path / "tuning" / "output.metrics"
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(path))
    monkeypatch.setenv("CLOUD_ML_TRIAL_ID", "7")
    return path


def test_the_tuning_service_gets_its_own_format(metric_file: Path) -> None:
    HypertuneReporter("mean_score", 1).report(1000, {"mean_score": 12.5, "entropy": 0.6})
    (line,) = lines(metric_file)
    assert isinstance(line.pop("timestamp"), float)
    assert line == {
        "mean_score": "12.5",
        "global_step": "1000",
        "trial": "7",
        "checkpoint_path": "",
    }


def test_the_tuning_metric_goes_out_under_the_tag_that_was_asked_for(metric_file: Path) -> None:
    HypertuneReporter("return", 1).report(1000, score(12.5), final=True)
    assert lines(metric_file)[0]["return"] == "12.5"


@pytest.mark.parametrize("expected", [*range(1, 103), 147, 148, 499, 500, 999, 1000])
def test_a_run_reports_to_the_tuning_service_a_limited_number_of_times(
    expected: int, metric_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter = HypertuneReporter("mean_score", expected)
    for number in range(expected):
        reporter.report(number * 10, score(number))
    reporter.report(expected * 10, score(-1), final=True)
    sent = lines(metric_file)
    assert len(sent) <= MAX_TUNING_REPORTS == 50
    assert float(sent[-1]["mean_score"]) == -1


@pytest.mark.parametrize("expected", [1, 20, 49])
def test_few_evaluations_all_reach_the_tuning_service(expected: int, metric_file: Path) -> None:
    reporter = HypertuneReporter("mean_score", expected)
    for number in range(expected):
        reporter.report(number, score(number))
    reporter.report(expected, score(-1), final=True)
    sent = [float(line["mean_score"]) for line in lines(metric_file)]
    assert sent == [*range(expected), -1]


def test_the_final_report_has_a_step_of_its_own(metric_file: Path) -> None:
    reporter = HypertuneReporter("mean_score", 2)
    for step in (1000, 2000):
        reporter.report(step, score(1))
    reporter.report(2000, score(2), final=True)
    assert [int(line["global_step"]) for line in lines(metric_file)] == [1000, 2000, 2001]


def test_the_final_step_rises_even_where_agents_stopped_early(metric_file: Path) -> None:
    reporter = HypertuneReporter("mean_score", 1)
    reporter.report(1000, score(1))
    reporter.report(512, score(2), final=True)
    assert [int(line["global_step"]) for line in lines(metric_file)] == [1000, 1001]


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("final", [False, True])
def test_the_tuning_service_never_gets_a_number_that_is_none(
    value: float, final: bool, metric_file: Path
) -> None:
    reporter = HypertuneReporter("mean_score", 1)
    reporter.report(1000, score(3))
    reporter.report(2000, score(value), final=final)
    assert [line["mean_score"] for line in lines(metric_file)] == ["3.0"]


def test_a_trial_fails_where_its_metric_cannot_be_written(metric_file: Path) -> None:
    reporter = HypertuneReporter("mean_score", 1)
    metric_file.unlink()
    metric_file.mkdir()
    with pytest.raises(OSError):
        reporter.report(1000, score(3))


def test_a_report_that_finds_no_room_costs_none_of_those_before(metric_file: Path) -> None:
    reports = """if True:
        import resource, sys
        from trainer.outputs.metrics import HypertuneReporter

        reporter = HypertuneReporter("mean_score", 2)
        reporter.report(1000, {"mean_score": 3.0})
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))  # bytes of any file
        try:
            reporter.report(2000, {"mean_score": 4.0})
        except OSError as error:
            sys.exit(str(error))
    """
    done = subprocess.run([sys.executable, "-c", reports], capture_output=True, text=True)
    assert (done.returncode, "File too large" in done.stderr) == (1, True), done.stderr
    assert [int(line["global_step"]) for line in lines(metric_file)] == [1000]


def test_the_first_report_replaces_what_another_trial_left(metric_file: Path) -> None:
    metric_file.parent.mkdir(exist_ok=True)
    metric_file.write_text('{"trial": "9", "global_step": "5", "mean_score": "1"}\n' * 9)
    HypertuneReporter("mean_score", 1).report(1000, score(3))
    assert [int(line["global_step"]) for line in lines(metric_file)] == [1000]


def test_a_trial_does_not_begin_where_its_metric_has_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(
        "CLOUD_ML_HP_METRIC_FILE", str(tmp_path / "file" / "hypertune" / "output.metrics")
    )
    with pytest.raises(OSError):
        HypertuneReporter("mean_score", 1)


def test_outside_a_trial_a_metric_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "hypertune" / "output.metrics"  # hypertune's default, moved here for tests
    path.mkdir(parents=True)
    reporter = HypertuneReporter("mean_score", 1)
    for step in (1000, 2000):
        reporter.report(step, score(3))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(path) in caplog.text


def test_outside_a_trial_a_metric_without_a_folder_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    nowhere = str(tmp_path / "file" / "hypertune" / "output.metrics")
    monkeypatch.setattr("hypertune.hypertune._DEFAULT_METRIC_PATH", nowhere)
    HypertuneReporter("mean_score", 1).report(1000, score(3))
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_every_report_is_a_line_of_json(tmp_path: Path) -> None:
    reporter = JsonLinesReporter(JobDir(tmp_path))
    reporter.report(1000, {"mean_score": 1.5, "scores": [1.0, 2.0]})
    reporter.report(2000, {"mean_score": 2.5, "diverged": []}, final=True)
    assert lines(tmp_path / METRICS) == [
        {"step": 1000, "final": False, "mean_score": 1.5, "scores": [1, 2]},
        {"step": 2000, "final": True, "mean_score": 2.5, "diverged": []},
    ]


def test_each_report_can_be_read_at_once(tmp_path: Path) -> None:
    reporter = JsonLinesReporter(JobDir(tmp_path))
    for number in (1, 2):
        reporter.report(number, score(0))
        assert len(lines(tmp_path / METRICS)) == number


METRIC = st.one_of(st.floats(), st.lists(st.floats()), st.none(), st.integers(), st.text())


@given(metrics=st.dictionaries(st.text(), METRIC))
def test_no_number_that_is_none_gets_past(metrics: dict[str, Any]) -> None:
    json.dumps(finite(metrics), allow_nan=False)


@given(metrics=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)))
def test_finite_numbers_all_get_past(metrics: dict[str, Any]) -> None:
    assert finite(metrics) == metrics


def test_numbers_that_are_none_leave_their_place_in_a_list() -> None:
    metrics = {"mean_score": NAN, "entropy": 0.5, "scores": [1.0, INF, NAN]}
    assert finite(metrics) == {"entropy": 0.5, "scores": [1.0, None, None]}


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


class Notes:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, Any], bool]] = []

    def report(self, step: int, metrics: Any, *, final: bool = False) -> None:
        self.told.append((step, dict(metrics), final))

    def resume(self, reports: Any) -> None:
        self.told = [(report.step, dict(report.metrics), report.final) for report in reports]

    def close(self) -> None:
        """Nothing is open."""


def test_several_reporters_are_told_the_same() -> None:
    first, second = Notes(), Notes()
    reporters = Reporters([first, second])
    reporters.report(1, score(2))
    reporters.report(3, score(4), final=True)
    assert first.told == second.told == [(1, score(2), False), (3, score(4), True)]


# After a restart

COURSE = [
    (1000, {"mean_score": 1.5, "entropy": 0.5, "scores": [1.0, 2.0]}, False),
    (2000, {"mean_score": NAN, "entropy": INF, "scores": [NAN, 4.0]}, False),
    (3000, {"mean_score": 3.5, "scores": [3.0, 4.0]}, False),
    (3072, {"mean_score": 4.5, "diverged": []}, True),
]


def through_json(reports: list[Report]) -> list[Report]:
    """As a checkpoint brings them back."""
    texts = [json.dumps(report._asdict(), allow_nan=False) for report in reports]
    return [Report(**json.loads(text)) for text in texts]


def told(make: Any, folder: Path, cut: int | None = None, saved: int | None = None) -> Path:
    """Reports the course to the reporters that `make` gives.

    With `cut` a process ends after so many reports, and one that knows the first `saved` takes up.
    """
    reporters = Reporters(make(folder, False))
    for index, (step, metrics, final) in enumerate(COURSE):
        if index == cut:
            known = through_json(reporters.reports[:saved])
            reporters.close()
            reporters = Reporters(make(folder, True))
            reporters.resume(known)
            for earlier in COURSE[len(known) : index]:
                reporters.report(earlier[0], earlier[1], final=earlier[2])
        reporters.report(step, metrics, final=final)
    reporters.close()
    return folder


CUTS = [(cut, saved) for cut in range(len(COURSE)) for saved in range(cut + 1)]


@pytest.mark.parametrize("cut, saved", CUTS)
def test_metrics_are_the_same_to_the_last_byte_wherever_a_run_was_cut(
    cut: int, saved: int, tmp_path: Path
) -> None:
    def make(folder: Path, _restarted: bool) -> list[Any]:
        return [JsonLinesReporter(JobDir(folder))]

    whole = told(make, tmp_path / "whole") / METRICS
    assert (told(make, tmp_path / "cut", cut, saved) / METRICS).read_bytes() == whole.read_bytes()


def test_a_run_that_is_taken_up_has_its_earlier_metrics_at_once(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text("what a later round had said\n")
    reporter = JsonLinesReporter(JobDir(tmp_path))
    reporter.resume([Report(1000, score(1.5), False, 7.0)])
    assert lines(tmp_path / METRICS) == [{"step": 1000, "final": False, "mean_score": 1.5}]


def test_every_reporter_is_told_what_was_reported_before() -> None:
    first, second = Notes(), Notes()
    reporters = Reporters([first, second])
    reporters.resume([Report(1, score(2), False, 7.0)])
    reporters.report(3, score(4), final=True)
    assert first.told == second.told == [(1, score(2), False), (3, score(4), True)]


def test_what_a_checkpoint_keeps_is_finite_and_has_its_time() -> None:
    reporters = Reporters([])
    for step, metrics, final in COURSE:
        reporters.report(step, metrics, final=final)
    kept = reporters.reports
    assert [report.step for report in kept] == [1000, 2000, 3000, 3072]
    assert kept[1].metrics == {"scores": [None, 4.0]}
    assert all(report.is_sound() for report in through_json(kept))
    assert [report.time for report in kept] == sorted(report.time for report in kept)
    assert through_json(kept) == kept


@pytest.mark.parametrize("cut, saved", CUTS)
def test_tensorboard_shows_each_step_once_wherever_a_run_was_cut(
    cut: int, saved: int, tmp_path: Path
) -> None:
    told(lambda folder, _: [TensorBoardReporter(JobDir(folder), {})], tmp_path, cut, saved)
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


def tuning(tag: str = "mean_score", expected: int = 4) -> Any:
    def make(_folder: Path, restarted: bool) -> list[Any]:
        return [HypertuneReporter(tag, expected, restarted=restarted)]

    return make


def sent(path: Path) -> list[tuple[int, float]]:
    return [(int(line["global_step"]), float(line["mean_score"])) for line in lines(path)]


@pytest.mark.parametrize("cut, saved", CUTS)
def test_the_tuning_service_sees_no_step_twice_wherever_a_run_was_cut(
    cut: int, saved: int, tmp_path: Path, metric_file: Path
) -> None:
    told(tuning(), tmp_path, cut, saved)
    assert sent(metric_file) == [(1000, 1.5), (3000, 3.5), (3072, 4.5)]


def test_what_was_reported_is_not_told_again_at_another_time(
    tmp_path: Path, metric_file: Path
) -> None:
    HypertuneReporter("mean_score", 4).report(1000, score(1))
    before = metric_file.read_text()
    again = HypertuneReporter("mean_score", 4, restarted=True)
    assert metric_file.read_text() == before
    again.report(1000, score(1))
    assert metric_file.read_text() == before
    again.report(2000, score(2))
    assert metric_file.read_text().startswith(before)


def test_another_machine_that_has_no_such_file_tells_only_what_comes(metric_file: Path) -> None:
    reporter = HypertuneReporter("mean_score", 4, restarted=True)
    reporter.resume([Report(1000, score(1), False, 7.0)])
    reporter.report(2000, score(2))
    assert sent(metric_file) == [(2000, 2)]


@pytest.mark.parametrize("expected", [4, 1000])
def test_a_restart_keeps_the_pace_of_reports_and_the_final_step(
    expected: int, tmp_path: Path, metric_file: Path
) -> None:
    numbers = [(step, score(step), step == 60) for step in range(1, 61)]
    whole = HypertuneReporter("mean_score", expected)
    for step, metrics, final in numbers:
        whole.report(step, metrics, final=final)
    expected_lines = sent(metric_file)
    metric_file.unlink()
    first = HypertuneReporter("mean_score", expected)
    for step, metrics, final in numbers[:30]:
        first.report(step, metrics, final=final)
    second = HypertuneReporter("mean_score", expected, restarted=True)
    second.resume([Report(step, metrics, final, 7.0) for step, metrics, final in numbers[:20]])
    for step, metrics, final in numbers[20:]:
        second.report(step, metrics, final=final)
    assert sent(metric_file) == expected_lines


def test_a_fresh_run_does_not_keep_the_lines_of_another(metric_file: Path) -> None:
    HypertuneReporter("mean_score", 4).report(1000, score(1))
    HypertuneReporter("mean_score", 4).report(1000, score(2))
    assert sent(metric_file) == [(1000, 2)]


def test_the_lines_of_another_trial_are_not_kept(
    metric_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    HypertuneReporter("mean_score", 4, trial="8").report(1000, score(1))
    HypertuneReporter("mean_score", 4, restarted=True).report(1000, score(2))
    assert [(line["trial"], line["mean_score"]) for line in lines(metric_file)] == [("7", "2.0")]


def test_the_trial_may_come_from_elsewhere_than_its_variable(
    metric_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUD_ML_TRIAL_ID")
    HypertuneReporter("mean_score", 4, trial="12").report(1000, score(1))
    HypertuneReporter("mean_score", 4, trial="12", restarted=True).report(2000, score(2))
    assert [line["trial"] for line in lines(metric_file)] == ["12", "12"]


def test_what_was_reported_under_another_tag_is_reported_under_ours(metric_file: Path) -> None:
    HypertuneReporter("return", 4).report(1000, score(1))
    HypertuneReporter("mean_score", 4, restarted=True).report(1000, score(1))
    assert [line.get("mean_score") for line in lines(metric_file)] == [None, "1.0"]


def test_a_bare_file_name_is_a_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", "output.metrics")
    reporter = HypertuneReporter("mean_score", 4)
    monkeypatch.chdir("/")  # it stays where it was
    reporter.report(1000, score(1))
    assert sent(tmp_path / "output.metrics") == [(1000, 1)]


GARBAGE = st.one_of(
    st.binary(),
    st.dictionaries(
        st.sampled_from(["trial", "global_step", "mean_score", "x"]),
        st.sampled_from(["7", "1000", 7, 1000, None, NAN, [], {}, "\ud800"]),
    ).map(lambda line: json.dumps(line).encode()),
)
SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SLOWLY
@given(garbage=st.lists(GARBAGE, max_size=4))
@example(garbage=[b'{"trial": "7", "mean_score": "1", "global_step": []}'])
@example(garbage=[b'{"trial": "7", "mean_score": "1", "global_step": {}}'])
@example(garbage=[b"[" * 100_000])
@example(garbage=[b"9" * 5_000])
@example(garbage=[b'{"trial": "7", "mean_sc'])
@example(garbage=[b'{"trial": "7"}'] * 200)
def test_whatever_another_has_written_to_the_metric_file_a_run_goes_on(
    garbage: list[bytes], metric_file: Path
) -> None:
    metric_file.parent.mkdir(exist_ok=True)
    metric_file.write_bytes(b"\n".join(garbage))
    reporter = HypertuneReporter("mean_score", 4, restarted=True)
    reporter.report(2000, score(2))
    written = [json.loads(line) for line in metric_file.read_text().splitlines()]
    assert all(line["trial"] == "7" for line in written)
    assert (written[-1]["global_step"], written[-1]["mean_score"]) == ("2000", "2.0")
    assert len(written) <= 100


def test_a_line_that_was_cut_short_is_told_again_whole(metric_file: Path) -> None:
    first = HypertuneReporter("mean_score", 4)
    first.report(1000, score(1))
    first.report(2000, score(2))
    metric_file.write_bytes(metric_file.read_bytes()[:-20])
    second = HypertuneReporter("mean_score", 4, restarted=True)
    second.resume([Report(1000, score(1), False, 7.0)])
    for step in (2000, 3000):
        second.report(step, score(step / 1000))
    assert sent(metric_file) == [(1000, 1), (2000, 2), (3000, 3)]


@pytest.mark.parametrize(
    "change",
    [
        {"step": -1}, {"step": 2**63}, {"step": 1.0}, {"step": True}, {"final": 1},
        {"time": "noon"}, {"time": INF}, {"time": None}, {"metrics": []},
        {"metrics": {"mean_score": "good"}}, {"metrics": {"entropy": NAN}},
    ],
)  # fmt: skip
def test_a_report_from_a_file_that_is_none_is_known(change: dict[str, Any]) -> None:
    report = Report(1000, {"mean_score": 1.5, "scores": [1.0, None]}, False, 7.0)
    assert report.is_sound()
    assert not report._replace(**change).is_sound()
