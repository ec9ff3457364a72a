"""The tuning metric: read back as the services read it.

More than 250 lines, since all its tests read the one file, as runs and restarts leave it.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.reports import CUTS, INF, NAN, lines, reported, score
from trainer.outputs.metrics import Report
from trainer.outputs.tuning_metric import MAX_REPORTS, HypertuneReporter


def reporter_for(
    metric_file: Path | str | None, expected: int, *, tag: str = "mean_score", **options: Any
) -> HypertuneReporter:
    """Of trial 7."""
    where = None if metric_file is None else str(metric_file)
    return HypertuneReporter(tag, expected, metric_file=where, **{"trial": "7", **options})


@pytest.fixture
def metric_file(tmp_path: Path) -> Path:
    """The file that a tuning service would read, in a folder that is not there yet."""
    path = tmp_path / "tuning" / "output.metrics"
    return path


def test_the_tuning_service_gets_its_own_format(metric_file: Path) -> None:
    reporter_for(metric_file, 1).report(1000, {"mean_score": 12.5, "entropy": 0.6})
    (line,) = lines(metric_file)
    assert isinstance(line.pop("timestamp"), float)
    assert line == {
        "mean_score": "12.5",
        "global_step": "1000",
        "trial": "7",
        "checkpoint_path": "",
    }


def test_the_tuning_metric_goes_out_under_the_tag_that_was_asked_for(metric_file: Path) -> None:
    reporter_for(metric_file, 1, tag="return").report(1000, score(12.5), final=True)
    assert lines(metric_file)[0]["return"] == "12.5"


@pytest.mark.parametrize("expected", [*range(1, 103), 147, 148, 499, 500, 999, 1000])
def test_a_run_reports_to_the_tuning_service_a_limited_number_of_times(
    expected: int, metric_file: Path
) -> None:
    reporter = reporter_for(metric_file, expected)
    for number in range(expected):
        reporter.report(number * 10, score(number))
    reporter.report(expected * 10, score(-1), final=True)
    sent = lines(metric_file)
    assert len(sent) <= MAX_REPORTS == 50
    assert float(sent[-1]["mean_score"]) == -1


@pytest.mark.parametrize("expected", [1, 20, 49])
def test_few_evaluations_all_reach_the_tuning_service(expected: int, metric_file: Path) -> None:
    reporter = reporter_for(metric_file, expected)
    for number in range(expected):
        reporter.report(number, score(number))
    reporter.report(expected, score(-1), final=True)
    sent = [float(line["mean_score"]) for line in lines(metric_file)]
    assert sent == [*range(expected), -1]


def test_the_final_report_has_a_step_of_its_own(metric_file: Path) -> None:
    reporter = reporter_for(metric_file, 2)
    for step in (1000, 2000):
        reporter.report(step, score(1))
    reporter.report(2000, score(2), final=True)
    assert [int(line["global_step"]) for line in lines(metric_file)] == [1000, 2000, 2001]


def test_the_final_step_rises_even_where_agents_stopped_early(metric_file: Path) -> None:
    reporter = reporter_for(metric_file, 1)
    reporter.report(1000, score(1))
    reporter.report(512, score(2), final=True)
    assert [int(line["global_step"]) for line in lines(metric_file)] == [1000, 1001]


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("final", [False, True])
def test_the_tuning_service_never_gets_a_number_that_is_none(
    value: float, final: bool, metric_file: Path
) -> None:
    reporter = reporter_for(metric_file, 1)
    reporter.report(1000, score(3))
    reporter.report(2000, score(value), final=final)
    assert [line["mean_score"] for line in lines(metric_file)] == ["3.0"]


def test_a_trial_fails_where_its_metric_cannot_be_written(metric_file: Path) -> None:
    reporter = reporter_for(metric_file, 1)
    metric_file.unlink()
    metric_file.mkdir()
    with pytest.raises(OSError):
        reporter.report(1000, score(3))


def test_a_report_that_finds_no_room_costs_none_of_those_before(metric_file: Path) -> None:
    reports = """if True:
        import resource, sys
        from trainer.outputs.tuning_metric import HypertuneReporter

        reporter = HypertuneReporter("mean_score", 2, metric_file=sys.argv[1])
        reporter.report(1000, {"mean_score": 3.0})
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))  # bytes of any file
        try:
            reporter.report(2000, {"mean_score": 4.0})
        except OSError as error:
            sys.exit(str(error))
    """
    done = subprocess.run(
        [sys.executable, "-c", reports, str(metric_file)], capture_output=True, text=True
    )
    assert (done.returncode, "File too large" in done.stderr) == (1, True), done.stderr
    assert [int(line["global_step"]) for line in lines(metric_file)] == [1000]


def test_the_first_report_replaces_what_another_trial_left(metric_file: Path) -> None:
    metric_file.parent.mkdir(exist_ok=True)
    metric_file.write_text('{"trial": "9", "global_step": "5", "mean_score": "1"}\n' * 9)
    reporter_for(metric_file, 1).report(1000, score(3))
    assert [int(line["global_step"]) for line in lines(metric_file)] == [1000]


def test_a_trial_does_not_begin_where_its_metric_has_no_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        reporter_for(tmp_path / "file" / "hypertune" / "output.metrics", 1)


def test_outside_a_trial_a_metric_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "hypertune" / "output.metrics"  # hypertune's default, moved here for tests
    path.mkdir(parents=True)
    reporter = reporter_for(None, 1)
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
    reporter_for(None, 1).report(1000, score(3))
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def sent(path: Path) -> list[tuple[int, float]]:
    return [(int(line["global_step"]), float(line["mean_score"])) for line in lines(path)]


@pytest.mark.parametrize("cut, saved", CUTS)
def test_the_tuning_service_sees_no_step_twice_wherever_a_run_was_cut(
    cut: int, saved: int, tmp_path: Path, metric_file: Path
) -> None:
    def make(_folder: Path, restarted: bool) -> list[Any]:
        return [reporter_for(metric_file, 4, restarted=restarted)]

    reported(make, tmp_path, cut, saved)
    assert sent(metric_file) == [(1000, 1.5), (3000, 3.5), (3072, 4.5)]


def test_what_was_reported_is_not_told_again_at_another_time(
    tmp_path: Path, metric_file: Path
) -> None:
    reporter_for(metric_file, 4).report(1000, score(1))
    before = metric_file.read_text()
    again = reporter_for(metric_file, 4, restarted=True)
    assert metric_file.read_text() == before
    again.report(1000, score(1))
    assert metric_file.read_text() == before
    again.report(2000, score(2))
    assert metric_file.read_text().startswith(before)


def test_another_machine_that_has_no_such_file_tells_only_what_comes(metric_file: Path) -> None:
    reporter = reporter_for(metric_file, 4, restarted=True)
    reporter.resume([Report(1000, score(1), False, 7.0)])
    reporter.report(2000, score(2))
    assert sent(metric_file) == [(2000, 2)]


@pytest.mark.parametrize("expected", [4, 1000])
def test_a_restart_keeps_the_pace_of_reports_and_the_final_step(
    expected: int, tmp_path: Path, metric_file: Path
) -> None:
    numbers = [(step, score(step), step == 60) for step in range(1, 61)]
    whole = reporter_for(metric_file, expected)
    for step, metrics, final in numbers:
        whole.report(step, metrics, final=final)
    expected_lines = sent(metric_file)
    metric_file.unlink()
    first = reporter_for(metric_file, expected)
    for step, metrics, final in numbers[:30]:
        first.report(step, metrics, final=final)
    second = reporter_for(metric_file, expected, restarted=True)
    second.resume([Report(step, metrics, final, 7.0) for step, metrics, final in numbers[:20]])
    for step, metrics, final in numbers[20:]:
        second.report(step, metrics, final=final)
    assert sent(metric_file) == expected_lines


def test_a_fresh_run_does_not_keep_the_lines_of_another(metric_file: Path) -> None:
    reporter_for(metric_file, 4).report(1000, score(1))
    reporter_for(metric_file, 4).report(1000, score(2))
    assert sent(metric_file) == [(1000, 2)]


def test_the_lines_of_another_trial_are_not_kept(
    metric_file: Path,
) -> None:
    reporter_for(metric_file, 4, trial="8").report(1000, score(1))
    reporter_for(metric_file, 4, restarted=True).report(1000, score(2))
    assert [(line["trial"], line["mean_score"]) for line in lines(metric_file)] == [("7", "2.0")]


def test_a_restarted_trial_keeps_its_number(metric_file: Path) -> None:
    reporter_for(metric_file, 4, trial="12").report(1000, score(1))
    reporter_for(metric_file, 4, trial="12", restarted=True).report(2000, score(2))
    assert [line["trial"] for line in lines(metric_file)] == ["12", "12"]


def test_what_was_reported_under_another_tag_is_reported_under_ours(metric_file: Path) -> None:
    reporter_for(metric_file, 4, tag="return").report(1000, score(1))
    reporter_for(metric_file, 4, restarted=True).report(1000, score(1))
    assert [line.get("mean_score") for line in lines(metric_file)] == [None, "1.0"]


def test_a_bare_file_name_is_a_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reporter = reporter_for("output.metrics", 4)
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
    reporter = reporter_for(metric_file, 4, restarted=True)
    reporter.report(2000, score(2))
    written = [json.loads(line) for line in metric_file.read_text().splitlines()]
    assert all(line["trial"] == "7" for line in written)
    assert (written[-1]["global_step"], written[-1]["mean_score"]) == ("2000", "2.0")
    assert len(written) <= 100


def test_a_line_that_was_cut_short_is_told_again_whole(metric_file: Path) -> None:
    first = reporter_for(metric_file, 4)
    first.report(1000, score(1))
    first.report(2000, score(2))
    metric_file.write_bytes(metric_file.read_bytes()[:-20])
    second = reporter_for(metric_file, 4, restarted=True)
    second.resume([Report(1000, score(1), False, 7.0)])
    for step in (2000, 3000):
        second.report(step, score(step / 1000))
    assert sent(metric_file) == [(1000, 1), (2000, 2), (3000, 3)]
