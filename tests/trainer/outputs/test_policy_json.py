"""`policy.json` is the policy, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainer.agents.networks import Architecture, initialise
from trainer.agents.random_streams import Purpose, Streams
from trainer.contract import job_files
from trainer.environments import spec
from trainer.outputs.policy_json import numbers, save_policy
from trainer.outputs.policy_snapshots import Snapshot
from trainer.storage.job_dir import JobDir

# Keras' variables do not know NumPy 2's `copy` keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def layers_of(snapshot: dict[str, Any]) -> list[np.ndarray[Any, Any]]:
    return [
        np.array(layer[part], np.float32)
        for layer in snapshot["layers"]
        for part in ("kernel", "bias")
    ]


@pytest.fixture(scope="module")
def policy(finished_run: Any) -> dict[str, Any]:
    content = json.loads((finished_run.job_dir / job_files.POLICY).read_text())
    assert isinstance(content, dict)
    return content


@pytest.fixture(scope="module")
def saved_agent(finished_run: Any) -> int:
    manifest = json.loads((finished_run.job_dir / job_files.MANIFEST).read_text())
    return int(manifest["saved_agent"]["index"])


def test_a_policy_tells_what_it_is_for(policy: dict[str, Any]) -> None:
    about = {name: value for name, value in policy.items() if name != "snapshots"}
    assert about == {"environment": "CartPole-v1", "max_episode_steps": 500, "actions": 2}


def test_its_snapshots_are_evaluations_of_the_saved_agent(
    policy: dict[str, Any], finished_run: Any, saved_agent: int
) -> None:
    lines = (finished_run.job_dir / job_files.METRICS).read_text().splitlines()
    first, last = (json.loads(line)["scores"][saved_agent] for line in lines[:2])
    told = [(s["label"], s["steps"], s["score"]) for s in policy["snapshots"]]
    assert told == [("start", 0, None), ("middle", 1024, first), ("end", 2048, last)]


def test_the_end_is_the_model_that_was_saved(policy: dict[str, Any], finished_run: Any) -> None:
    model = keras.saving.load_model(finished_run.job_dir / job_files.MODEL, safe_mode=True)
    saved = [model.get_layer(f"actor_{layer}").get_weights() for layer in (1, 2, 3)]
    ours = layers_of(policy["snapshots"][-1])
    for array, theirs in zip(ours, [w for layer in saved for w in layer], strict=True):
        np.testing.assert_array_equal(array, theirs)


def test_the_start_is_what_the_seed_says(policy: dict[str, Any], saved_agent: int) -> None:
    architecture = Architecture((4,), 2, 32, critic=True)
    streams = Streams([(0, 0), (0, 1)])
    weights = initialise(architecture, [streams.generator(Purpose.INITIALISATION, saved_agent, 0)])
    theirs = [a.reshape(-1) for layer in architecture.unpack(weights)["actor"] for a in layer]
    for array, expected in zip(layers_of(policy["snapshots"][0]), theirs, strict=True):
        np.testing.assert_array_equal(array.reshape(-1), expected)


def test_the_middle_is_neither_start_nor_end(policy: dict[str, Any]) -> None:
    start, middle, end = (layers_of(snapshot) for snapshot in policy["snapshots"])
    assert not any(np.array_equal(a, b) for a, b in zip(middle, start, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(middle, end, strict=True))


@given(x=st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(0.1)
@example(1e-45)
@example(-0.0)
def test_numbers_have_few_digits_and_all_their_bits(x: float) -> None:
    value = np.float32(x)
    (told,) = json.loads(json.dumps(numbers(np.array([value]))))
    assert np.float32(told).tobytes() == value.tobytes()
    assert len(json.dumps(told).lstrip("-").replace(".", "").split("e")[0].strip("0")) <= 9


def test_what_json_has_no_number_for_is_null(tmp_path: Path) -> None:
    """Weights may overflow in the last update of an agent that diverges."""
    kernel = np.array([[np.inf, 1], [np.nan, 2]], np.float32)
    end = Snapshot("end", 10, None, [(kernel, np.array([0, -np.inf], np.float32))])
    save_policy(JobDir(tmp_path), spec.find("CartPole-v1"), [end])
    (snapshot,) = json.loads((tmp_path / job_files.POLICY).read_text())["snapshots"]
    assert snapshot["layers"] == [{"kernel": [[None, 1.0], [None, 2.0]], "bias": [0.0, None]}]


def test_a_policy_of_images_leaves_no_file(tmp_path: Path) -> None:
    save_policy(JobDir(tmp_path), spec.find("CartPole-v1"), [])
    assert not list(tmp_path.iterdir())
