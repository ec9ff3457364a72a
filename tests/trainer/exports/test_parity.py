"""All seven forms of a policy agree: Keras, SavedModel, ONNX, TFLite, C, JavaScript, NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import run_module
from tests.support.policy_runtimes import Runtime, runtimes
from trainer.exports import formats, policy_network
from trainer.exports.model_card import ModelCard
from trainer.exports.policy_network import PolicyNetwork

OBSERVATIONS = 10_000
TOLERANCE = 1e-5  # of a probability, up to ten times the range seen in training
RANGE = np.array([2.4, 3.0, 0.21, 3.0])  # of CartPole's observations under a policy
HALF_TRAINED = (
    *("--total_steps", "12000", "--evaluation_every", "6000", "--stop_at_score", "none"),
    *("--evaluation_episodes", "20", "--video=false"),
)


class Exported(NamedTuple):
    """A half-trained policy and its seven forms."""

    network: PolicyNetwork
    forms: dict[str, Runtime]


def card(network: PolicyNetwork) -> ModelCard:
    return ModelCard(
        environment="CartPole-v1",
        algorithm="a2c",
        observation_shape=network.observation_shape,
        num_actions=network.num_actions,
        parameters=network.parameters,
        seed=0,
        agent=0,
        steps=12_000,
        mean_score=None,
        interquartile_mean=None,
        interval=(),
        interval_over="agents",
        episodes=20,
        command="python -m trainer.task",
        version="0",
    )


def export(job_dir: Path, folder: Path) -> Exported:
    network = policy_network.from_keras(keras.saving.load_model(job_dir / "model.keras"))
    folder.mkdir()
    formats.write(network, card(network), tuple(formats.FORMATS), folder)
    return Exported(network, runtimes(job_dir, folder))


@pytest.fixture(scope="module")
def half_trained(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exports")
    process = run_module("trainer.task", *HALF_TRAINED, "--job-dir", "job", cwd=folder)
    assert process.returncode == 0, process.stderr
    return export(folder / "job", folder / "exports")


def reference(network: PolicyNetwork, observations: NDArray[Any]) -> NDArray[np.float64]:
    """Logits in float64, written down once more: what all forms approximate."""
    x = observations.astype(np.float64)
    for index, (kernel, bias) in enumerate(network.layers, 1):
        x = x @ kernel.astype(np.float64) + bias.astype(np.float64)
        x = np.tanh(x) if index < len(network.layers) else x
    return x


def near() -> NDArray[np.float32]:
    """Up to ten times the range, and the values that arithmetic trips over."""
    generator = np.random.default_rng(0)
    scales = 10.0 ** generator.uniform(-3, 1, (OBSERVATIONS, 1))
    drawn = generator.uniform(-1, 1, (OBSERVATIONS, 4)) * RANGE * scales
    smallest = np.finfo(np.float32).smallest_subnormal
    special = [np.zeros(4), np.full(4, smallest), np.full(4, -smallest), np.full(4, 1e-38)]
    return np.concatenate([drawn, special]).astype(np.float32)


def far() -> NDArray[np.float32]:
    """Far beyond it: up to 1e30."""
    generator = np.random.default_rng(1)
    scales = 10.0 ** generator.uniform(2, 30, (OBSERVATIONS, 1))
    return (generator.uniform(-1, 1, (OBSERVATIONS, 4)) * scales).astype(np.float32)


FORMS = ("saved_model", "keras", "onnx", "tflite", "c", "js", "numpy")


@pytest.mark.parametrize("form", FORMS)
def test_probabilities_agree_within_the_range(half_trained: Exported, form: str) -> None:
    observations = near()
    logits = reference(half_trained.network, observations)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    probabilities, actions = half_trained.forms[form](observations)
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=TOLERANCE)
    assert_same_actions(actions, logits)


@pytest.mark.parametrize("form", FORMS)
def test_far_beyond_the_range_answers_stay_sound(half_trained: Exported, form: str) -> None:
    observations = far()
    probabilities, actions = half_trained.forms[form](observations)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert_same_actions(actions, reference(half_trained.network, observations))


def assert_same_actions(actions: NDArray[np.int64], logits: NDArray[np.float64]) -> None:
    """The same greedy action, unless float64 calls it a tie: sums of float32 differ by order."""
    best = logits.max(axis=1)
    chosen = np.take_along_axis(logits, actions[:, np.newaxis], axis=1)[:, 0]
    assert (best - chosen).max() <= 2e-5 * np.abs(logits).max()


def test_a_half_trained_policy_earns_the_same_in_every_form(half_trained: Exported) -> None:
    returns = {name: played(form) for name, form in half_trained.forms.items()}
    assert np.mean(returns["keras"]) < 300
    assert all(found == returns["keras"] for found in returns.values()), returns


def played(form: Runtime, episodes: int = 20) -> list[int]:
    """Returns of episodes from fixed seeds, side by side."""
    envs = [gym.make("CartPole-v1") for _ in range(episodes)]
    observations = np.stack([env.reset(seed=seed)[0] for seed, env in enumerate(envs)])
    returns, alive = [0] * episodes, list(range(episodes))
    while alive:
        _, actions = form(observations[alive].astype(np.float32))
        under_way = []
        for index, action in zip(alive, actions, strict=True):
            observation, _, fell, late, _ = envs[index].step(int(action))
            observations[index] = observation
            returns[index] += 1
            if not (fell or late):
                under_way.append(index)
        alive = under_way
    for env in envs:
        env.close()
    return returns
