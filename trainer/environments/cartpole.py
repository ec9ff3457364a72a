"""CartPole's dynamics in TensorFlow, equal to Gymnasium's up to rounding.

The state is float64, as Gymnasium's is: an upright pole doubles any error about every 0.2 s, so two
simulations in float32 diverge within one episode. Compared to the networks it costs nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

GRAVITY, CART_MASS, POLE_MASS, HALF_POLE_LENGTH = 9.8, 1.0, 0.1, 0.5  # m/s^2, kg, kg, m
FORCE, SECONDS_PER_STEP = 10.0, 0.02  # N, s
POSITION_LIMIT, ANGLE_LIMIT = 2.4, 12 * 2 * math.pi / 360  # m, rad
RESET_RANGE = 0.05  # each number of a first state is uniform in [-0.05, 0.05]


class CartPole(NamedTuple):
    """One registered version of the task."""

    max_episode_steps: int
    observation_size: int = 4
    num_actions: int = 2


VERSIONS = {"CartPole-v0": CartPole(200), "CartPole-v1": CartPole(500)}


def step(state: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """The state 0.02 s later; `state` `[..., 4]` float64 (m, m/s, rad, rad/s), `action` 0 or 1.

    Barto, Sutton and Anderson (1983), with explicit Euler steps as Gymnasium takes them.
    """
    x, x_dot, theta, theta_dot = tf.unstack(state, axis=-1)
    force = tf.where(tf.equal(action, 1), tf.constant(FORCE, state.dtype), -FORCE)
    cos, sin = tf.cos(theta), tf.sin(theta)
    mass = CART_MASS + POLE_MASS
    push = (force + POLE_MASS * HALF_POLE_LENGTH * tf.square(theta_dot) * sin) / mass
    theta_acc = (GRAVITY * sin - cos * push) / (
        HALF_POLE_LENGTH * (4.0 / 3.0 - POLE_MASS * tf.square(cos) / mass)
    )
    x_acc = push - POLE_MASS * HALF_POLE_LENGTH * theta_acc * cos / mass
    tau = SECONDS_PER_STEP
    moved = (
        x + tau * x_dot,
        x_dot + tau * x_acc,
        theta + tau * theta_dot,
        theta_dot + tau * theta_acc,
    )
    return tf.stack(moved, axis=-1)


def has_fallen(state: tf.Tensor) -> tf.Tensor:
    """Whether the cart left the track or the pole tilted too far, `[...]` bool."""
    return (tf.abs(state[..., 0]) > POSITION_LIMIT) | (tf.abs(state[..., 2]) > ANGLE_LIMIT)
