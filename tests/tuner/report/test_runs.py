"""A run is read whatever its files contain."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tuner.report import runs

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMED = st.dictionaries(
    st.sampled_from(["scores", "steps", "steps_to_solve", "interval", "sampled_mean_score"]), JSON
)


@given(
    st.binary(max_size=40) | st.fixed_dictionaries({"scores": NAMED | JSON}).map(
        lambda found: json.dumps(found).encode()
    ),
    st.binary(max_size=40) | JSON.map(lambda found: json.dumps({"settings": found}).encode()),
)  # fmt: skip
def test_any_folder_contents_are_read_as_a_run(manifest: bytes, settings: bytes) -> None:
    found = runs.read_run("1", {"1/manifest.json": manifest, "1/hyperparameters.json": settings})
    assert found.state in ("SUCCEEDED", "DAMAGED")
    estimate = runs.estimate(found.scores, "iqm", "MAXIMIZE")
    assert (estimate is None) == (not found.scores.scores)


@given(st.lists(JSON.map(json.dumps) | st.text(max_size=20)))
def test_points_are_increasing_for_any_metrics(lines: list[str]) -> None:
    steps = [point.step for point in runs.points("\n".join(lines).encode("utf-8", "replace"))]
    assert steps == sorted(set(steps))
