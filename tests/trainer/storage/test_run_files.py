"""What a run has recorded is read as it was written, and whatever else lies there is left out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainer.contract import run_record
from trainer.contract.job_files import json_object
from trainer.contract.run_record import Scores, curve, fingerprint
from trainer.storage.run_files import read_curve, read_scores

FOUND = {
    "scores": [500.0, 100.0, 400.0, 300.0, 500.0],
    "sampled_mean_score": 350.0,
    "steps": [1000] * 5,
    "steps_to_solve": [100, None, 300, 400, 200],
    "stayed_solved": [True, None, True, False, True],
}
SCORES = Scores(
    (500.0, 100.0, 400.0, 300.0, 500.0),
    (1000,) * 5,
    (100, None, 300, 400, 200),
    (True, None, True, False, True),
    350.0,
    360.0,
)


def manifest(folder: Path, content: Any) -> Path:
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_the_manifest_of_a_trial_is_read(tmp_path: Path) -> None:
    assert read_scores(manifest(tmp_path, {"scores": FOUND}), 360.0) == SCORES


@pytest.mark.parametrize(
    "content", [None, [], {}, {"scores": 3}, {"scores": {"scores": []}},
                {"scores": {"scores": ["x"]}}, {"scores": {"scores": [1, float("nan")]}}]
)  # fmt: skip
def test_without_scores_there_is_the_reported_metric(tmp_path: Path, content: Any) -> None:
    assert read_scores(manifest(tmp_path, content), 7.0) == Scores(reported=7.0)
    assert read_scores(tmp_path / "nowhere", 7.0) == Scores(reported=7.0)


def test_courses_that_fit_no_scores_are_left_out(tmp_path: Path) -> None:
    found = read_scores(manifest(tmp_path, {"scores": FOUND | {"steps": [1]}}), None)
    assert (found.scores, found.steps, found.steps_to_solve) == (SCORES.scores, (), ())


@pytest.mark.parametrize("text", ["", "[1]", '{"effective": {"solved_at_score": null}}', "{"])
def test_a_threshold_that_is_not_told_is_not_known(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text('{"scores": {"scores": [1.0]}}')
    (tmp_path / "hyperparameters.json").write_text(text)
    assert read_scores(tmp_path, None) == Scores((1.0,))
    (tmp_path / "hyperparameters.json").write_text('{"effective": {"solved_at_score": -100}}')
    assert read_scores(tmp_path, None).solved_at == -100.0


METRICS = (
    '{"step": 10, "scores": [1.0, 3.0], "time": 1}\n{"step": 20, "scores": [2.0, 9.0]}\n'
    '{"step": 20, "final": true, "scores": [90.0, null], "mean_score": 90.0}\n'
)


def test_a_curves_fingerprint_is_of_steps_and_scores_alone(tmp_path: Path) -> None:
    def of(text: str) -> str | None:
        (tmp_path / "metrics.jsonl").write_text(text)
        return fingerprint(read_curve(tmp_path))

    whole = of(METRICS)
    assert whole == of(METRICS.replace('"time": 1', '"wall": 2.5') + '{"step": 30, "sco')
    assert whole != of(METRICS.replace("9.0]", "9.000000000000002]"))
    assert whole != of(METRICS.replace('"step": 10', '"step": 11'))
    assert whole != of(METRICS.replace("[1.0, 3.0]", "[3.0, 1.0]"))
    assert of("") is None
    assert read_curve(tmp_path / "missing") == []


# Files of strangers

NUMBERS = st.integers() | st.floats() | st.sampled_from([1.7e308, -1.7e308, 10**400, 2**53, 65_536])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = st.sampled_from([*FOUND, "interval", "mean_score"])


@given(st.dictionaries(NAMES, JSON | st.lists(NUMBERS, max_size=4)), JSON)
def test_scores_are_finite_numbers_one_an_agent_or_none(found: Any, settings: Any) -> None:
    scores = run_record.scores({"scores": found}, {"effective": settings})
    assert math.isfinite(math.fsum(x * x for x in scores.scores))
    for each in (scores.steps, scores.steps_to_solve, scores.stayed_solved):
        assert len(each) in (0, len(scores.scores))
    json.dumps([scores.scores, scores.sampled_mean, scores.solved_at], allow_nan=False)


LINES = st.fixed_dictionaries({}, optional={"step": JSON, "scores": JSON, "mean_score": JSON})


@given(st.lists(LINES.map(json.dumps).map(str.encode) | st.binary(max_size=30)).map(b"\n".join))
@example(b"[" * 100_000)
@example(b'{"step": 1, "scores": [' + b"9" * 5_000 + b"]}")
@example(b"\n" * 1_000)
def test_a_curve_holds_only_what_can_be_drawn(metrics: bytes) -> None:
    points = curve(metrics)
    for point in points:
        assert point.step >= 0 and point.known and math.isfinite(point.mean)
    assert (fingerprint(points) is None) == (not points)


@given(st.binary(max_size=50))
def test_a_mean_score_is_a_number_or_none(manifest: bytes) -> None:
    found = run_record.mean_score(manifest)
    assert found is None or math.isfinite(found)
    assert found is None or json_object(manifest) is not None
