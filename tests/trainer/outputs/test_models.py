"""The saved policy is the trained one, whoever loads it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.networks import Architecture, forward
from trainer.agents.population import Agents
from trainer.agents.random_streams import Streams
from trainer.contract.job_files import MODEL, SAVED_MODEL
from trainer.contract.settings import Hyperparameters
from trainer.outputs.models import Policy, keras_model, save_saved_model

# Keras' variables do not know NumPy 2's `copy` keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FEATURES, PIXELS = (4,), (24, 28, 3)


class Stack(NamedTuple):
    """Two agents that have gone through something, and observations to show them."""

    agents: Agents
    observations: NDArray[Any]


def stack(algorithm: str, shape: tuple[int, ...], *, pixels: bool = False) -> Stack:
    settings = [Hyperparameters(value_scale=scale) for scale in (1.0, 7.0)]
    architecture = Architecture(shape, 3, 8, critic=algorithm == "a2c")
    agents = Agents(algorithm, architecture, settings, Streams([(0, 0), (0, 1)]))
    rng = np.random.default_rng(0)
    averaged = agents.state.averaged.numpy() + rng.normal(0, 0.3, agents.state.averaged.shape)
    agents.state = agents.state._replace(averaged=tf.constant(averaged, tf.float32))
    observations = rng.normal(size=(16, *shape)).astype(np.float32)
    if pixels:
        observations = rng.integers(0, 256, (16, *shape)).astype(np.uint8)
    return Stack(agents, observations)


def network_outputs(stack: Stack, head: str, agent: int) -> NDArray[Any]:
    """What our own networks say, `[B, outputs]`; those that are scored, not those that learn."""
    architecture = stack.agents.architecture
    weights = stack.agents.state.averaged.numpy()[agent : agent + 1]
    network = architecture.unpack(weights)[head]
    return np.asarray(forward(network, stack.observations[None], architecture.convolutions)[0])


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


CASES = [
    pytest.param("pg", FEATURES, False, id="pg"),
    pytest.param("a2c", FEATURES, False, id="a2c"),
    pytest.param("a2c", PIXELS, True, id="a2c-bytes"),
    pytest.param("pg", PIXELS, False, id="pg-float-images"),
]


@pytest.mark.parametrize("algorithm, shape, pixels", CASES)
@pytest.mark.parametrize("agent", [0, 1])
def test_the_keras_model_acts_as_our_networks_do(
    algorithm: str, shape: tuple[int, ...], pixels: bool, agent: int
) -> None:
    ours = stack(algorithm, shape, pixels=pixels)
    model = keras_model(ours.agents, agent, pixels=pixels)
    probabilities = model(ours.observations)["probabilities"].numpy()
    expected = softmax(network_outputs(ours, "actor", agent))
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


@pytest.mark.parametrize("shape, pixels", [(FEATURES, False), (PIXELS, True)])
@pytest.mark.parametrize("agent", [0, 1])
def test_the_keras_models_value_is_in_the_units_of_the_rewards(
    shape: tuple[int, ...], pixels: bool, agent: int
) -> None:
    ours = stack("a2c", shape, pixels=pixels)
    model = keras_model(ours.agents, agent, pixels=pixels)
    values = model(ours.observations)["value"].numpy()
    scale = (1.0, 7.0)[agent]
    assert values.shape == (16, 1)
    np.testing.assert_allclose(
        values, scale * network_outputs(ours, "critic", agent), rtol=1e-4, atol=1e-4
    )


def test_pg_has_no_value_to_tell() -> None:
    assert set(keras_model(stack("pg", FEATURES).agents, 0).output) == {"probabilities"}


def test_a_keras_file_gives_the_same_model_back(tmp_path: Path) -> None:
    ours = stack("a2c", PIXELS, pixels=True)
    model = keras_model(ours.agents, 1, pixels=True)
    model.save(tmp_path / MODEL)
    loaded = keras.saving.load_model(tmp_path / MODEL, safe_mode=True)
    before, after = (m(ours.observations) for m in (model, loaded))
    for name in before:
        assert np.array_equal(before[name], after[name])


LOADER = """
import json, sys
sys.modules["trainer"] = None  # from here on, importing it is an error
import numpy as np, tensorflow as tf
answers = []
for model, observations in zip(sys.argv[1::2], sys.argv[2::2]):
    signature = tf.saved_model.load(model).signatures["serving_default"]
    inputs = signature.structured_input_signature[1]
    outputs = signature(observations=tf.constant(np.load(observations)))
    answers.append({
        "inputs": {name: [spec.dtype.name, spec.shape[1:].as_list()]
                   for name, spec in inputs.items()},
        "outputs": {name: value.numpy().tolist() for name, value in outputs.items()},
    })
print(json.dumps(answers))
"""


class Loaded(NamedTuple):
    """A SavedModel as TensorFlow alone sees it."""

    observations: NDArray[Any]
    model: keras.Model  # the same policy as Keras sees it
    inputs: dict[str, Any]
    outputs: dict[str, Any]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, finished_run: Any) -> dict[str, Loaded]:
    """Two SavedModels, loaded in one process that cannot import our code."""
    folder = tmp_path_factory.mktemp("elsewhere")
    images = stack("a2c", PIXELS, pixels=True)
    image_model = keras_model(images.agents, 0, pixels=True)
    save_saved_model(Policy(images.agents, 0, pixels=True), folder / "images")
    features = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    run_model = keras.saving.load_model(finished_run.job_dir / MODEL, safe_mode=True)
    cases = {
        "images": (folder / "images", images.observations, image_model),
        "run": (finished_run.job_dir / SAVED_MODEL, features, run_model),
    }
    arguments = []
    for name, (path, observations, _) in cases.items():
        np.save(folder / f"{name}.npy", observations)
        arguments += [str(path), str(folder / f"{name}.npy")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOADER, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    return {
        name: Loaded(observations, model, answer["inputs"], answer["outputs"])
        for (name, (_, observations, model)), answer in zip(cases.items(), answers, strict=True)
    }


@pytest.mark.parametrize("name", ["images", "run"])
def test_a_saved_model_gives_the_same_probabilities_without_our_code(
    name: str, loaded: dict[str, Loaded]
) -> None:
    case = loaded[name]
    expected = case.model(case.observations)["probabilities"].numpy()
    np.testing.assert_allclose(case.outputs["probabilities"], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["images", "run"])
def test_a_saved_model_gives_the_greedy_action_without_our_code(
    name: str, loaded: dict[str, Loaded]
) -> None:
    case = loaded[name]
    expected = case.model(case.observations)["probabilities"].numpy().argmax(axis=-1)
    assert case.outputs["action"] == expected.tolist()


def test_a_saved_model_takes_observations_as_the_environment_gives_them(
    loaded: dict[str, Loaded],
) -> None:
    assert loaded["images"].inputs == {"observations": ["uint8", [24, 28, 3]]}
    assert loaded["run"].inputs == {"observations": ["float32", [4]]}
