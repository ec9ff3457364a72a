"""Adam with clipped gradients: one step from gradients to weights, for many agents at once."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class State(NamedTuple):
    """Everything that an update changes, float32, a row for each agent."""

    weights: tf.Tensor  # [P, size]
    averaged: tf.Tensor  # [P, size], moving average of the weights; scored and saved
    first_moments: tf.Tensor  # [P, size]
    second_moments: tf.Tensor  # [P, size]
    updates: tf.Tensor  # [P, 1]


class Adam(NamedTuple):
    """Adam (Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980) after clipping, `[P, 1]` each.

    Keras' optimizers treat all weights as one model; here each agent has its own gradient norm,
    step size and count.
    """

    linear_decay: tf.Tensor  # bool: the step size falls linearly to 0 at the end of training
    learning_rate: tf.Tensor
    max_gradient_norm: tf.Tensor
    adam_beta_1: tf.Tensor
    adam_beta_2: tf.Tensor
    adam_epsilon: tf.Tensor
    averaging: tf.Tensor

    def step(
        self, state: State, gradients: tf.Tensor, norm: tf.Tensor, remaining: tf.Tensor
    ) -> State:
        """The state after one update.

        Args:
            norm: `[P, 1]`, of the gradients.
            remaining: `[P, 1]`, the share of an agent's steps that lie ahead.
        """
        rates = self.learning_rate * tf.where(self.linear_decay, remaining, 1.0)
        beta_1, beta_2, count = self.adam_beta_1, self.adam_beta_2, state.updates + 1
        gradients *= tf.minimum(1.0, self.max_gradient_norm / tf.maximum(norm, 1e-12))
        first = beta_1 * state.first_moments + (1 - beta_1) * gradients
        second = beta_2 * state.second_moments + (1 - beta_2) * tf.square(gradients)
        unbiased_first, unbiased_second = first / (1 - beta_1**count), second / (1 - beta_2**count)
        steps = unbiased_first / (tf.sqrt(unbiased_second) + self.adam_epsilon)
        weights = state.weights - rates * steps
        # Bias-corrected like Adam's moments, so that the initial weights do not linger.
        beta = self.averaging
        kept = beta * (1 - beta ** (count - 1)) / (1 - beta**count)
        averaged = kept * state.averaged + (1 - kept) * weights
        return State(weights, averaged, first, second, count)
