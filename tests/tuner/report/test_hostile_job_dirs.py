"""An untrusted job dir gives a page with nothing from outside it, or one error message."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.job_dirs import report_of, write_run, write_study
from tuner.report import playground
from tuner.report.html import render

SECRET = "a secret outside of the job dir"
DAMAGE = (
    b"",
    b"null",
    b"[" * 100_000,
    b"9" * 5_000,
    b'{"scores": {"scores": [NaN, Infinity, 1.7e308]}}',
    b'{"scores": {"scores": [' + b"9" * 400 + b"]}}",
    b'{"scores": {"scores": "\\ud800"}, "wall_seconds": 1e999}',
)


def page_of(folder: Path) -> str:
    report = report_of(folder)
    play = playground.section(report.policy) if report.policy else None
    page = render(report, play)
    page.encode()
    return page


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A job with one trial that is as it should be, and one to damage."""
    for trial in (1, 2):
        write_run(tmp_path / "job" / str(trial), [1.0, 2.0 * trial], {"learning_rate": trial / 10})
    return tmp_path / "job"


FILES = ("manifest.json", "hyperparameters.json", "metrics.jsonl", "policy.json", "recording.mp4")


@pytest.mark.parametrize("name", FILES)
def test_a_link_out_of_the_job_dir_is_not_followed(stranger: Path, name: str) -> None:
    outside = stranger.parent / name
    settings = {"settings": {"environment": SECRET, "learning_rate": 0.5}, "git_commit": SECRET}
    outside.write_text(json.dumps(settings) if name != "recording.mp4" else SECRET)
    (stranger / "2" / name).unlink(missing_ok=True)
    (stranger / "2" / name).symlink_to(outside)
    page = page_of(stranger)
    assert SECRET not in page
    assert "YSBzZWNyZXQ" not in page  # the same in Base64, as videos are


def test_a_folder_that_is_a_link_out_of_the_job_dir_is_not_read(stranger: Path) -> None:
    write_run(stranger.parent / "outside", [77.77, 77.77], {"learning_rate": 0.7})
    (stranger / "3").symlink_to(stranger.parent / "outside")
    assert "77.77" not in page_of(stranger)


@pytest.mark.parametrize("name", FILES)
def test_pipes_and_endless_files_are_not_waited_for(stranger: Path, name: str) -> None:
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir):
        (stranger / "2" / name).unlink(missing_ok=True)
        make(stranger / "2" / name)
        assert "1.50" in page_of(stranger)  # the mean of trial 1


@pytest.mark.parametrize("content", DAMAGE, ids=range(len(DAMAGE)))
@pytest.mark.parametrize("name", FILES)
def test_damaged_files_leave_the_other_trials(stranger: Path, name: str, content: bytes) -> None:
    (stranger / "2" / name).write_bytes(content)
    assert "1.50" in page_of(stranger)  # the mean of trial 1


@pytest.mark.parametrize("content", DAMAGE, ids=range(len(DAMAGE)))
@pytest.mark.parametrize("name", ["study.journal", "study.json", "best.json"])
def test_a_damaged_file_of_a_study_is_named(
    study: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    shutil.copytree(study, tmp_path / "study")
    (tmp_path / "study" / name).write_bytes(content)
    page = page_of(tmp_path / "study")
    assert f"{name} is damaged" in page or b"scores" in content


def test_names_that_are_not_utf_8_are_shown(stranger: Path) -> None:
    shutil.copytree(stranger / "2", os.fsdecode(bytes(stranger) + b"/\xff\xfe"))
    assert "??" in page_of(stranger)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def fields(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), JSON, min_size=1)


@pytest.fixture(scope="module")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "study"
    write_study(folder, 3, films=0)
    return folder


BEST = fields(
    *("trial", "args", "flags", "metric", "objective", "tuning", "seeds", "optimism_gap"),
    *("probability_of_improvement", "cpu_seconds"),
)
SETTINGS = fields("settings", "sources", "versions", "git_commit") | fields(
    *("seeds", "seed", "total_steps", "environment", "algorithm", "metric_tag", "learning_rate")
).map(lambda found: {"settings": found, "sources": dict.fromkeys(found, "flag")})


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(best=BEST, settings=SETTINGS, journal=st.booleans())
def test_any_file_contents_give_a_page(
    small_study: Path, best: dict[str, Any], settings: dict[str, Any], journal: bool
) -> None:
    (small_study / "best.json").write_text(json.dumps(best))
    for run in ("1", "2", "test-2/winner"):
        (small_study / run / "hyperparameters.json").write_text(json.dumps(settings))
    file, aside = small_study / "study.journal", small_study / "aside"
    if not journal:
        file.rename(aside)
    try:
        page_of(small_study)
    finally:
        if not journal:
            aside.rename(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda identity: identity.update(objective="faster", goal="up", metric=7, args=[1]),
        lambda identity: identity["parameters"]["gamma"].update(minValue="<b>"),
        lambda identity: identity["parameters"]["gamma"].update(
            minValue=-1.7e308, maxValue=1.7e308
        ),
        lambda identity: identity["parameters"].update({"<b>": {}}),
        lambda identity: identity.update(parameters=[]),
    ],
)
def test_a_study_with_malformed_settings_gives_a_page(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    write_study(tmp_path / "study", 4, films=0)
    file = tmp_path / "study" / "study.journal"
    lines = []
    for line in map(json.loads, file.read_text().splitlines()):
        if "identity" in line.get("user_attr", {}):
            change(line["user_attr"]["identity"])
        lines.append(json.dumps(line) + "\n")
    file.write_text("".join(lines))
    assert "Trial" in page_of(tmp_path / "study")
