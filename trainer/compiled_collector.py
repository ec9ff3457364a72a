"""CartPole and the policy in one compiled program: for speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer import cartpole
from trainer.checkpoint import Arrays, field
from trainer.collectors import Collector, choose
from trainer.networks import Architecture, Array, forward
from trainer.randomness import Counters, Purpose, Streams
from trainer.rollout import Rollout


class CartPoleState(NamedTuple):
    """Where the compiled environments stand."""

    physics: tf.Tensor  # [P, N, 4] float64
    elapsed: tf.Tensor  # [P, N] int32, steps since the reset


class Draws(NamedTuple):
    """The random numbers behind one rollout, or with an axis in front behind several."""

    uniforms: tf.Tensor  # [T, P, N] float32, for acting
    fresh: tf.Tensor  # [T, P, N, 4] float64, the state after a reset at that step


class CompiledCollector:
    """CartPole and the policy in one XLA program, for speed."""

    def __init__(
        self,
        task: cartpole.CartPole,
        architecture: Architecture,
        num_envs: int,
        steps: int | None,
        streams: Streams,
    ) -> None:
        """`steps` None collects whole episodes, one in each environment."""
        self._task, self._architecture = task, architecture
        self._num_envs, self._streams = num_envs, streams
        self._whole_episodes = steps is None
        longest = -(-task.max_episode_steps // 64) * 64
        self._steps = longest if steps is None else steps
        self.collected = np.zeros(streams.num_agents, np.int64)  # rollouts, an agent
        self.state = self._first_state()
        self._rollout = tf.function(self.compute_rollout, jit_compile=True, autograph=False)
        self._play = tf.function(self._compute_play, jit_compile=True, autograph=False)

    def collect(self, weights: Array, active: NDArray[np.bool_]) -> Rollout:
        draws = Draws(*(x[0] for x in self.draw(1)))
        self.state, rollout = self._rollout(
            tf.constant(weights), self.state, draws, tf.constant(active)
        )
        self.collected += active
        return rollout

    @property
    def draws_per_rollout(self) -> int:
        """How many random numbers a rollout of all agents is handed."""
        resets = 1 if self._whole_episodes else self._steps
        return self._streams.num_agents * self._num_envs * (self._steps + 4 * resets)

    def draw(self, rollouts: int) -> Draws:
        """The numbers for each agent's next `rollouts` rollouts, that axis in front."""
        uniforms, fresh = [], []
        resets = 1 if self._whole_episodes else self._steps
        for ahead in range(rollouts):
            counters = self.collected + ahead
            shape = (self._steps, self._num_envs)
            uniforms.append(self._streams.uniform(Purpose.ACTING, counters, shape))
            fresh.append(self._resets(Purpose.ENVIRONMENT, counters, (resets, self._num_envs)))
        return Draws(tf.constant(np.stack(uniforms)), tf.constant(np.stack(fresh)))

    def play(
        self,
        weights: Array,
        episodes: int,
        purpose: Purpose,
        counter: int,
        *,
        greedy: bool,
        active: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float64]:
        agents = self._streams.num_agents
        counters = [counter] * agents
        physics = tf.constant(self._resets(purpose, counters, (1, episodes))[0])
        steps = 1 if greedy else self._task.max_episode_steps
        uniforms = np.zeros((1, agents, episodes), np.float32)
        if not greedy:
            uniforms = self._streams.uniform(Purpose.FINAL_ACTING, counters, (steps, episodes))
        returns = self._play(tf.constant(weights), physics, tf.constant(uniforms))
        return returns.numpy().astype(np.float64)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        state = {name: x.numpy() for name, x in self.state._asdict().items()}
        return {**state, "collected": self.collected.copy()}

    def restore(self, arrays: Arrays) -> None:
        shape = (self._streams.num_agents, self._num_envs)
        physics = field(arrays, "physics", np.float64, (*shape, 4))
        elapsed = field(arrays, "elapsed", np.int32, shape)
        self.collected = field(arrays, "collected", np.int64, shape[:1]).copy()
        self.state = CartPoleState(tf.constant(physics), tf.constant(elapsed))

    def _first_state(self) -> CartPoleState:
        agents = self._streams.num_agents
        first = np.full(agents, 2**62)  # a counter that no rollout reaches
        physics = tf.constant(self._resets(Purpose.ENVIRONMENT, first, (1, self._num_envs))[0])
        return CartPoleState(physics, tf.zeros((agents, self._num_envs), tf.int32))

    def _resets(
        self, purpose: Purpose, counters: Counters, shape: tuple[int, int]
    ) -> NDArray[np.float64]:
        """First states, `[steps, P, N, 4]`."""
        draws = self._streams.uniform(purpose, counters, (*shape, 4)).astype(np.float64)
        return (2 * draws - 1) * cartpole.RESET_RANGE

    def compute_rollout(
        self, weights: tf.Tensor, state: CartPoleState, draws: Draws, active: tf.Tensor
    ) -> tuple[CartPoleState, Rollout]:
        """One rollout, and where the environments stand after it: a pure function, to be compiled.

        Rows of agents that are not `active` `[P]` are masked.
        """
        policy = self._architecture.unpack(weights)["actor"]
        shape = tuple(state.elapsed.shape)
        if self._whole_episodes:
            state = CartPoleState(draws.fresh[0], tf.zeros_like(state.elapsed))
        types = {"observations": tf.float32, "actions": tf.int32, "next_observations": tf.float32}
        columns = Rollout(
            *(
                tf.TensorArray(
                    types.get(name, tf.float32),
                    self._steps,
                    element_shape=(*shape, 4) if "observations" in name else shape,
                )
                for name in Rollout._fields
            )
        )
        alive = tf.broadcast_to(active[:, tf.newaxis], shape)

        def body(t: tf.Tensor, state: CartPoleState, alive: tf.Tensor, columns: Rollout) -> Any:
            observations = tf.cast(state.physics, tf.float32)
            actions = choose(forward(policy, observations, ()), draws.uniforms[t])
            physics = cartpole.step(state.physics, actions)
            elapsed = state.elapsed + 1
            fallen = cartpole.has_fallen(physics) & alive
            late = (elapsed >= self._task.max_episode_steps) & alive & ~fallen
            row = Rollout(
                observations,
                actions,
                tf.cast(alive, tf.float32),
                tf.cast(physics, tf.float32),
                tf.cast(fallen, tf.float32),
                tf.cast(late, tf.float32),
                tf.cast(alive, tf.float32),
            )
            columns = Rollout(*(c.write(t, x) for c, x in zip(columns, row, strict=True)))
            ended = fallen | late
            if self._whole_episodes:
                alive &= ~ended
            else:
                physics = tf.where(ended[..., tf.newaxis], draws.fresh[t], physics)
                elapsed = tf.where(ended, 0, elapsed)
            return t + 1, CartPoleState(physics, elapsed), alive, columns

        _, state, _, columns = tf.while_loop(
            lambda t, state, alive, columns: (t < self._steps) & tf.reduce_any(alive),
            body,
            (tf.constant(0), state, alive, columns),
        )
        return state, Rollout(*(column.stack() for column in columns))

    def _compute_play(
        self, weights: tf.Tensor, physics: tf.Tensor, uniforms: tf.Tensor
    ) -> tf.Tensor:
        policy = self._architecture.unpack(weights)["actor"]
        greedy = uniforms.shape[0] == 1
        alive = tf.ones(physics.shape[:-1], tf.bool)

        def body(t: tf.Tensor, physics: tf.Tensor, alive: tf.Tensor, returns: tf.Tensor) -> Any:
            logits = forward(policy, tf.cast(physics, tf.float32), ())
            if greedy:
                actions = tf.argmax(logits, axis=-1, output_type=tf.int32)
            else:
                actions = choose(logits, uniforms[t])
            physics = cartpole.step(physics, actions)
            returns += tf.cast(alive, tf.float32)
            return t + 1, physics, alive & ~cartpole.has_fallen(physics), returns

        return tf.while_loop(
            lambda t, physics, alive, returns: (
                (t < self._task.max_episode_steps) & tf.reduce_any(alive)
            ),
            body,
            (tf.constant(0), physics, alive, tf.zeros(alive.shape)),
        )[3]


if TYPE_CHECKING:
    _collector: type[Collector] = CompiledCollector
