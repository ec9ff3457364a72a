"""Any Gymnasium environment, with the policy in NumPy."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.networks import Architecture, Array, Network, forward
from trainer.agents.random_streams import Purpose, Streams
from trainer.agents.rollout import Rollout
from trainer.environments.errors import EnvironmentFault
from trainer.environments.spec import Environment
from trainer.rollouts.collector import Collector, choose
from trainer.rollouts.environment_pool import EnvironmentPool
from trainer.rollouts.episode_history import EpisodeHistory
from trainer.rollouts.episodes import play_episodes
from trainer.rollouts.padding import pad, padded_length
from trainer.rollouts.worker_pool import open_pool
from trainer.storage.checkpoint import Arrays, CheckpointError, field

log = logging.getLogger("trainer")

MAX_PLAYERS = 16  # environments that evaluate one agent side by side


class GymnasiumCollector:
    """Steps environments in this process or in workers; every episode has a seed of its own."""

    def __init__(
        self,
        environment: Environment,
        architecture: Architecture,
        num_envs: int,
        steps: int | None,
        streams: Streams,
        workers: str = "1",
    ) -> None:
        """If `steps` is None, rollouts are complete episodes. Raises EnvironmentFault."""
        self._environment, self._architecture, self._streams = environment, architecture, streams
        self._shape = (streams.num_agents, num_envs)
        self._steps, self._workers = steps, workers
        self._collected = np.zeros(streams.num_agents, np.int64)  # rollouts of each agent
        self._episodes = np.zeros(self._shape, np.int64)  # begun in each environment
        self._history = EpisodeHistory(*self._shape)
        self._interrupted = False  # whether a fault left the environments inside a rollout
        self._players: EnvironmentPool | None = None  # of `play`, so that training is untouched
        self._envs = open_pool(environment, streams.num_agents * num_envs, workers)
        try:
            first = self._reset(np.arange(streams.num_agents * num_envs))
        except BaseException:
            self._envs.close()
            raise
        self._observed = first.reshape(*self._shape, *first.shape[1:])  # what the policy sees next

    def collect(self, weights: Array, active: NDArray[np.bool_]) -> Rollout:
        before = self._episodes.copy(), self._observed.copy()
        try:
            rows = self._rows(self._architecture.unpack(np.asarray(weights))["actor"], active)
        except EnvironmentFault:
            self._episodes, self._observed = before
            self._interrupted = True
            raise
        self._collected += active
        fields = [np.stack(column) for column in zip(*rows, strict=True)]
        if self._steps is None:
            length = padded_length(len(rows), self._environment.max_episode_steps)
            fields = [pad(field, length) for field in fields]
        else:
            self._history.extend(fields[1], (fields[4] + fields[5]) > 0, active)
        return Rollout(*map(tf.constant, fields))

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
        rows = np.asarray(weights)
        returns = np.full((self._shape[0], episodes), np.nan)
        players = min(MAX_PLAYERS, self._shape[0] * self._shape[1])
        if self._players is None:
            self._players = open_pool(self._environment, players, self._workers)
        for agent in range(self._shape[0]):
            if active is not None and not active[agent]:
                continue
            starts = self._streams.generator(purpose, agent, counter)
            acting = self._streams.generator(Purpose.FINAL_ACTING, agent, counter)
            returns[agent] = play_episodes(
                self._players,
                players,
                self._architecture.unpack(rows[agent : agent + 1])["actor"],
                self._architecture.convolutions,
                [_seed(starts) for _ in range(episodes)],
                None if greedy else acting,
            )
        return returns

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Environments are restored from their own states, or by replaying seed and actions."""
        arrays = {
            "collected": self._collected.copy(),
            "episodes": self._episodes.copy(),
            "observed": self._observed.copy(),
            **self._history.snapshot(),
        }
        if self._steps is not None and self._environment.has_state and not self._interrupted:
            try:
                states = self._envs.states()
            except EnvironmentFault as fault:
                log.warning("States of environments are not in the checkpoint: %s", fault)
            else:
                arrays["states"] = np.concatenate(states)
                arrays["state_sizes"] = np.array([len(state) for state in states])
        return arrays

    def restore(self, arrays: Arrays) -> None:
        observed = field(arrays, "observed", self._observed.dtype, self._observed.shape)
        episodes = field(arrays, "episodes", np.int64, self._shape)
        if episodes.min() < 1:
            raise CheckpointError("its episodes and actions do not agree")
        self._history.restore(arrays, self._environment.num_actions)
        self._collected = field(arrays, "collected", np.int64, self._shape[:1]).copy()
        self._episodes = episodes - 1
        self._observed = observed.copy()
        count = self._shape[0] * self._shape[1]
        first = self._reset(np.arange(count))
        if self._steps is None:
            return  # every rollout begins with fresh episodes
        if "states" in arrays and self._environment.has_state:
            sizes = field(arrays, "state_sizes", np.int64, (count,))
            states = field(arrays, "states", np.uint8, (int(sizes.sum()),))
            parts = np.split(states, np.cumsum(sizes)[:-1])
            self._envs.restore(parts, self._history.ages.reshape(-1).tolist())
        else:
            self._replay(first)

    def close(self) -> None:
        self._envs.close()
        if self._players is not None:
            self._players.close()

    def _rows(self, policy: Network, active: NDArray[np.bool_]) -> list[list[NDArray[Any]]]:
        """The time steps of a rollout, each as the fields of a `Rollout`."""
        alive = np.repeat(active, self._shape[1])
        if self._steps is None:
            _flat(self._observed)[alive] = self._reset(np.flatnonzero(alive))
        draws = self._acting_draws()
        rows: list[list[NDArray[Any]]] = []
        while alive.any() and (self._steps is None or len(rows) < self._steps):
            rows.append(self._step(policy, next(draws), alive))
            if self._steps is None:
                alive &= (rows[-1][4] + rows[-1][5]).reshape(-1) == 0
        return rows

    def _step(
        self, policy: Network, uniforms: NDArray[np.float32], alive: NDArray[np.bool_]
    ) -> list[NDArray[Any]]:
        """Steps the environments that are alive; one row of each field of a `Rollout`."""
        observations = self._observed
        actions = choose(forward(policy, observations, self._architecture.convolutions), uniforms)
        live = np.flatnonzero(alive)
        steps = self._envs.step(live.tolist(), actions.reshape(-1)[live])
        if len(live) == len(alive):
            rewards = steps.rewards.astype(np.float32).reshape(self._shape)
            terminated = steps.terminated.astype(np.float32).reshape(self._shape)
            truncated = steps.truncated.astype(np.float32).reshape(self._shape)
            next_observations = steps.observations.reshape(observations.shape)
        else:
            rewards, terminated, truncated = np.zeros((3, *self._shape), np.float32)
            _flat(rewards)[live] = steps.rewards
            _flat(terminated)[live] = steps.terminated
            _flat(truncated)[live] = steps.truncated
            next_observations = observations.copy()
            _flat(next_observations)[live] = steps.observations
        self._observed = next_observations
        if self._steps is not None and (steps.terminated | steps.truncated).any():
            over = np.flatnonzero(terminated + truncated)
            self._observed = next_observations.copy()
            _flat(self._observed)[over] = self._reset(over)
        mask = alive.reshape(self._shape).astype(np.float32)
        return [observations, actions, rewards, next_observations, terminated, truncated, mask]

    def _replay(self, observed: NDArray[Any]) -> None:
        """Replays the recorded actions of each environment's episode after its reset."""
        ended = np.zeros(len(observed), bool)
        for indices, actions in self._history.replay():
            going = ~ended[indices]
            if not going.any():
                break
            indices = indices[going]
            steps = self._envs.step(indices.tolist(), actions[going])
            observed[indices] = steps.observations
            ended[indices] = steps.terminated | steps.truncated
        expected = _flat(self._observed)
        same = [np.array_equal(a, b) for a, b in zip(observed, expected, strict=True)]
        lost = np.flatnonzero(ended | ~np.array(same))
        if len(lost):
            log.warning(
                "%s does not repeat itself from a seed and actions: its unfinished episode is lost,"
                " and the run continues with a new one.",
                self._environment.id,
            )
            for index in lost.tolist():
                self._history.forget(index)
            expected[lost] = self._reset(lost)

    def _reset(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Starts the next episode in each of those environments; their first observations."""
        seeds = []
        for index in indices.tolist():
            agent, env = divmod(index, self._shape[1])
            episode = int(self._episodes[agent, env])
            seeds.append(_seed(self._streams.generator(Purpose.ENVIRONMENT, agent, env, episode)))
            self._episodes[agent, env] += 1
        return self._envs.reset(indices.tolist(), seeds)

    def _acting_draws(self) -> Iterator[NDArray[np.float32]]:
        """Uniform numbers `[P, N]` for one step after the other, without end."""
        generators = [
            self._streams.generator(Purpose.ACTING, agent, int(count))
            for agent, count in enumerate(self._collected)
        ]
        while True:
            block = [g.random((256, self._shape[1]), np.float32) for g in generators]
            yield from np.stack(block, axis=1)


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """A view with agents and environments on one axis."""
    return values.reshape(-1, *values.shape[2:])


def _seed(generator: np.random.Generator) -> int:
    return int(generator.integers(2**31))


if TYPE_CHECKING:
    _collector: type[Collector] = GymnasiumCollector
