"""What a command amounts to, and what is refused before a file is touched."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.contract.command_line import parse
from trainer.contract.errors import BadCommand
from trainer.outputs import video
from trainer.run import preflight
from trainer.run.setup import Prepared, prepare

EXPECTED = {"CLOUD_ML_HP_METRIC_TAG": "return"}


def prepared(*flags: str, **environ: str) -> Prepared:
    return prepare(parse(flags), flags, environ)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_preparing_touches_no_file(here: Path) -> None:
    prepared("--job_dir", "job")
    assert list(here.iterdir()) == []


def test_a_service_says_where_its_metric_and_files_belong() -> None:
    found = prepared(
        AIP_MODEL_DIR="study/3/model/", CLOUD_ML_HP_METRIC_FILE="metrics", CLOUD_ML_TRIAL_ID="7"
    )
    assert found.location == Path("study/3")
    assert (found.service.metric_file, found.service.trial) == ("metrics", "7")


@pytest.mark.parametrize(
    "flags, goal",
    [((), 475.0), (("--stop_at_score", "30"), 30.0), (("--stop_at_score", "none"), 475.0)],
)
def test_the_goal_is_the_one_given_or_the_environments_own(
    flags: tuple[str, ...], goal: float
) -> None:
    assert prepared(*flags).goal == goal


# The tag that a tuning service expects


def test_the_services_tag_is_used() -> None:
    taken = prepared(**EXPECTED).command
    assert taken.options.metric_tag == taken.values["metric_tag"] == "return"
    assert taken.sources["metric_tag"] == "service"
    assert dataclasses.replace(taken.options, metric_tag="mean_score") == parse([]).options


@pytest.mark.parametrize("environ", [{}, {"CLOUD_ML_HP_METRIC_TAG": "mean_score"}])
def test_without_a_tag_of_its_own_a_service_changes_nothing(environ: dict[str, str]) -> None:
    flags = ("--metric_tag", "mean_score")
    assert prepared(*flags, **environ).command == parse(flags)


def test_a_flag_that_names_another_tag_is_refused_with_both() -> None:
    with pytest.raises(BadCommand, match=r"'return', but `metric_tag` is 'reward'\."):
        prepared("--metric_tag", "reward", **EXPECTED)


@pytest.mark.parametrize("tag", ["trial", "global_step", " "])
def test_a_tag_that_is_not_allowed_is_refused(tag: str) -> None:
    with pytest.raises(BadCommand, match="cannot name a metric"):
        prepared(CLOUD_ML_HP_METRIC_TAG=tag)


# Paths that a library cannot take


@pytest.mark.parametrize(
    "job_dir, problem",
    [("runs/\udce9", "UTF-8"), ("runs/[a]", "'[a]' as a pattern"), ("a\\b", "as a pattern")],
)
def test_a_path_that_tensorflow_cannot_use_is_refused(job_dir: str, problem: str) -> None:
    with pytest.raises(BadCommand) as refusal:
        prepared("--job_dir", job_dir)
    assert problem in str(refusal.value)
    assert str(refusal.value).isprintable()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="[]\\:", exclude_categories=["Cs"]), min_size=1))
def test_every_other_path_is_accepted(job_dir: str) -> None:
    preflight.check_path(Path(job_dir))


# Videos


@pytest.fixture
def broken_renderer(monkeypatch: pytest.MonkeyPatch) -> Any:
    def try_one_frame(environment: object) -> None:
        raise RuntimeError("no\nscreen")

    preflight._try_video.cache_clear()
    monkeypatch.setattr(video, "try_one_frame", try_one_frame)
    yield
    preflight._try_video.cache_clear()


def test_a_video_that_is_asked_for_and_cannot_be_recorded_is_refused(broken_renderer: Any) -> None:
    with pytest.raises(BadCommand, match=r"recorded: RuntimeError: no screen\. Leave --video out"):
        prepared("--video=true")


def test_a_video_by_default_that_cannot_be_recorded_is_known_at_once(broken_renderer: Any) -> None:
    assert prepared().video_problem == "RuntimeError: no screen"
    assert prepared("--video=false").video_problem is None


@pytest.mark.parametrize("environment", ["CartPole-v1", "Acrobot-v1", "FrozenLake-v1"])
def test_gymnasiums_environments_can_be_recorded(environment: str) -> None:
    assert prepared("--environment", environment, "--video").video_problem is None
