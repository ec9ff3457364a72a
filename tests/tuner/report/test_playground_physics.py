"""The playground has the dynamics and the policy of the trainer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium.envs.classic_control.cartpole as gymnasium_cartpole
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

import tuner
from tests.support.playground_page import POLICY, UPRIGHT, Page
from trainer.agents.networks import forward
from trainer.environments import cartpole
from tuner.report import playground

pytestmark = pytest.mark.browser

CARTPOLE_JS = Path(tuner.__file__).with_name("report") / "assets" / "cartpole.js"


@pytest.fixture(scope="module")
def calculator(browser: Any) -> Iterator[Page]:
    page = browser.new_page()
    page.add_script_tag(content=playground.policy_script())
    page.add_script_tag(content=CARTPOLE_JS.read_text(encoding="utf-8"))
    yield page
    page.close()


@pytest.fixture(scope="module")
def states() -> NDArray[np.float64]:
    """Well past where episodes end, so that every branch is taken."""
    draws = np.random.default_rng(0).uniform(-1, 1, (4000, 4))
    return np.asarray(draws * [3.0, 4.0, 0.4, 4.0])


def test_a_step_is_gymnasiums_and_ours(calculator: Page, states: NDArray[np.float64]) -> None:
    actions = np.random.default_rng(1).integers(0, 2, len(states))
    after, fallen = calculator.evaluate(
        """([states, actions]) => {
            const after = states.map((state, i) => cartPole.step(state, actions[i]));
            return [after, after.map(cartPole.hasFallen)];
        }""",
        [states.tolist(), actions.tolist()],
    )
    env = gymnasium_cartpole.CartPoleEnv()
    for index, (before, action) in enumerate(zip(states, actions, strict=True)):
        env.state, env.steps_beyond_terminated = tuple(before), None
        _, _, terminated, _, _ = env.step(int(action))
        np.testing.assert_allclose(after[index], env.state, rtol=0, atol=1e-12)
        assert fallen[index] == terminated
    env.close()
    ours = cartpole.step(tf.constant(states), tf.constant(actions))
    np.testing.assert_allclose(after, ours.numpy(), rtol=0, atol=1e-12)
    assert fallen == cartpole.has_fallen(ours).numpy().tolist()
    assert 1000 < sum(fallen) < 3900


def test_a_push_is_a_force_beside_the_policys_own(calculator: Page) -> None:
    """10 N to the left against 20 N to the right are 10 N to the right."""
    both, right, more = calculator.evaluate(
        "s => [cartPole.step(s, 0, 20), cartPole.step(s, 1), cartPole.step(s, 1, 8)]", UPRIGHT
    )
    np.testing.assert_allclose(both, right, atol=1e-15)
    assert more[1] > right[1] and more[3] < right[3]


def test_a_first_state_is_drawn_from_gymnasiums_range(calculator: Page) -> None:
    drawn = np.array(calculator.evaluate("[...Array(1000)].map(() => cartPole.start(Math.random))"))
    assert drawn.shape == (1000, 4)
    assert np.abs(drawn).max() <= cartpole.RESET_RANGE
    assert (drawn.min(axis=0) < -0.045).all() and (drawn.max(axis=0) > 0.045).all()


@pytest.mark.parametrize("snapshot", [0, 1, 2])
def test_the_policy_answers_as_our_networks_do(
    calculator: Page, states: NDArray[np.float64], snapshot: int
) -> None:
    layers = json.loads(POLICY)["snapshots"][snapshot]["layers"]
    logits, odds = calculator.evaluate(
        """([layers, states]) => [
            states.map(state => policyLogits({ layers }, state)),
            states.map(state => policyProbabilities({ layers }, state)),
        ]""",
        [layers, states.tolist()],
    )
    observations = states.astype(np.float32)[None]
    network = tuple(
        (np.array([layer["kernel"]], np.float32), np.array([[layer["bias"]]], np.float32))
        for layer in layers
    )
    expected = np.asarray(forward(network, observations, ()))[0].astype(np.float64)
    np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
    powers = np.exp(expected - expected.max(axis=1, keepdims=True))
    np.testing.assert_allclose(odds, powers / powers.sum(axis=1, keepdims=True), atol=2e-6)
