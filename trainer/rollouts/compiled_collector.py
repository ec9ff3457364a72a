"""CartPole and the policy as one compiled program, for speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.networks import Architecture, Array
from trainer.agents.random_streams import Purpose, Streams
from trainer.agents.rollout import Rollout
from trainer.environments import cartpole
from trainer.rollouts.collector import Collector
from trainer.rollouts.simulation import CartPoleState, Simulation, Tape, first_states
from trainer.storage.checkpoint import Arrays, field

_FIRST = 2**62  # a counter that no rollout reaches


class CompiledCollector:
    """Steps CartPole and the policy in one XLA program."""

    def __init__(
        self,
        task: cartpole.CartPole,
        architecture: Architecture,
        num_envs: int,
        steps: int | None,
        streams: Streams,
    ) -> None:
        """If `steps` is None, a rollout is one complete episode in each environment."""
        self.simulation = Simulation(task, architecture, steps)
        self.num_envs, self._streams = num_envs, streams
        agents = streams.num_agents
        self.collected = np.zeros(agents, np.int64)  # rollouts of each agent
        first = self._draw(Purpose.ENVIRONMENT, _FIRST, (num_envs, 4))
        self.state = CartPoleState(first_states(first), tf.zeros((agents, num_envs), tf.int32))
        self._rollout = tf.function(self.simulation.rollout, jit_compile=True, autograph=False)
        self._play = tf.function(self.simulation.play, jit_compile=True, autograph=False)

    def collect(self, weights: Array, active: NDArray[np.bool_]) -> Rollout:
        agents = len(active)
        tape = self.blank(agents, 1)
        self.fill(tape, active, 1)
        self.state, rollout = self._rollout(
            tf.constant(weights),
            self.state,
            Tape(*map(tf.constant, tape)),
            tf.zeros(agents, tf.int32),
            tf.constant(active),
            tf.fill([agents], self.simulation.steps),
        )
        self.collected += active
        return rollout

    @property
    def draws_per_rollout(self) -> int:
        """The number of random numbers that a rollout of one agent uses."""
        return self.num_envs * (self.simulation.steps + 4 * self._resets)

    @property
    def transitions(self) -> int:
        """How many transitions of one agent a rollout has room for."""
        return self.num_envs * self.simulation.steps

    def blank(self, agents: int, rollouts: int) -> Tape:
        """A tape of zeros for that many rollouts of each agent."""
        return Tape(
            np.zeros((agents, rollouts * self.simulation.steps, self.num_envs), np.float32),
            np.zeros((agents, rollouts * self._resets, self.num_envs, 4), np.float32),
        )

    def fill(self, tape: Tape, active: NDArray[np.bool_], rollouts: int) -> None:
        """Writes the random numbers of the next rollouts of the `active` agents onto a tape."""
        for agent in np.flatnonzero(active).tolist():
            self.fill_row(Tape(tape.acting[agent], tape.resets[agent]), agent, rollouts)

    def fill_row(self, row: Tape, agent: int, rollouts: int) -> None:
        """Fills one agent's row of a tape."""
        for ahead in range(rollouts):
            counter = int(self.collected[agent]) + ahead
            for purpose, numbers, length in (
                (Purpose.ACTING, row.acting, self.simulation.steps),
                (Purpose.ENVIRONMENT, row.resets, self._resets),
            ):
                part = numbers[ahead * length : (ahead + 1) * length]
                self._streams.generator(purpose, agent, counter).random(None, np.float32, part)

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
        resets, uniforms = self.draw_episodes(episodes, purpose, counter, greedy=greedy)
        sampled = tf.fill([len(resets)], not greedy)
        returns = self._play(*map(tf.constant, (weights, resets, uniforms)), sampled)
        return returns.numpy().astype(np.float64)

    def draw_episodes(
        self, episodes: int, purpose: Purpose, counter: int, *, greedy: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The `resets` and `uniforms` of `Simulation.play`, for all agents."""
        resets = self._draw(purpose, counter, (episodes, 4))
        if greedy:
            return resets, np.zeros((len(resets), 1, 0), np.float32)
        shape = (self.simulation.task.max_episode_steps, episodes)
        return resets, self._draw(Purpose.FINAL_ACTING, counter, shape)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        state = {name: x.numpy() for name, x in self.state._asdict().items()}
        return {**state, "collected": self.collected.copy()}

    def restore(self, arrays: Arrays) -> None:
        shape = (self._streams.num_agents, self.num_envs)
        physics = field(arrays, "physics", np.float64, (*shape, 4))
        elapsed = field(arrays, "elapsed", np.int32, shape)
        self.collected = field(arrays, "collected", np.int64, shape[:1]).copy()
        self.state = CartPoleState(tf.constant(physics), tf.constant(elapsed))

    def close(self) -> None:
        pass  # there are only tensors

    @property
    def _resets(self) -> int:
        """How many resets of each environment a rollout draws random numbers for."""
        return 1 if self.simulation.whole_episodes else self.simulation.steps

    def _draw(self, purpose: Purpose, counter: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Uniform random numbers of all agents, `[P, *shape]`."""
        agents = range(self._streams.num_agents)
        return np.stack(
            [
                self._streams.generator(purpose, agent, counter).random(shape, np.float32)
                for agent in agents
            ]
        )


if TYPE_CHECKING:
    _collector: type[Collector] = CompiledCollector
