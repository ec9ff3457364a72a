"""Any registered environment, stepped one by one, with the policy in NumPy."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.networks import Architecture, Array, Network, forward
from trainer.agents.random_streams import Purpose, Streams
from trainer.agents.rollout import Rollout
from trainer.environments.spec import Environment
from trainer.rollouts.collector import Collector, choose
from trainer.storage.checkpoint import Arrays, CheckpointError, field

log = logging.getLogger("trainer")


class GymnasiumCollector:
    """Any registered environment, stepped one by one; the policy runs in NumPy.

    Gymnasium's own vector environments are passed by: a loop over plain ones is as fast as they
    are, keeps true successors without a mode, and lets every episode have a seed of its own.
    """

    def __init__(
        self,
        environment: Environment,
        architecture: Architecture,
        num_envs: int,
        steps: int | None,
        streams: Streams,
    ) -> None:
        """`steps` None collects whole episodes, one in each environment."""
        self._environment, self._architecture, self._streams = environment, architecture, streams
        self._shape = (streams.num_agents, num_envs)
        self._steps = steps
        self._collected = np.zeros(streams.num_agents, np.int64)  # rollouts, an agent
        self._episodes = np.zeros(self._shape, np.int64)  # begun, an environment
        # What leads an environment back to where it stands: the steps of its episode so far, and
        # each agent's last rollouts of actions `[T, N]`, as many as its oldest episode spans.
        self._ages = np.zeros(self._shape, np.int64)
        self._actions: list[list[NDArray[np.int32]]] = [[] for _ in range(streams.num_agents)]
        self._envs = [environment.make() for _ in range(streams.num_agents * num_envs)]
        self._players: list[Any] = []  # environments of `play`, so that training goes on untouched
        everyone = np.arange(len(self._envs))
        first = self._reset(everyone)
        self._observed = first.reshape(*self._shape, *first.shape[1:])  # what the policy sees next

    def collect(self, weights: Array, active: NDArray[np.bool_]) -> Rollout:
        policy = self._architecture.unpack(np.asarray(weights))["actor"]
        alive = np.repeat(active, self._shape[1])
        if self._steps is None:
            self._flat(self._observed)[alive] = self._reset(np.flatnonzero(alive))
        draws = self._acting_draws()
        rows: list[list[NDArray[Any]]] = []
        while alive.any() and (self._steps is None or len(rows) < self._steps):
            rows.append(self._step(policy, next(draws), alive))
            if self._steps is None:
                alive &= (rows[-1][4] + rows[-1][5]).reshape(-1) == 0
        self._collected += active
        fields = [np.stack(column) for column in zip(*rows, strict=True)]
        if self._steps is None:
            length = _padded_length(len(rows), self._environment.max_episode_steps)
            fields = [_pad(field, length) for field in fields]
        else:
            self._remember(fields[1], (fields[4] + fields[5]) > 0, active)
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
        for agent in range(self._shape[0]):
            if active is not None and not active[agent]:
                continue
            starts = self._streams.generator(purpose, agent, counter)
            acting = self._streams.generator(Purpose.FINAL_ACTING, agent, counter)
            own = self._architecture.unpack(rows[agent : agent + 1])["actor"]
            returns[agent] = self._play_one(own, starts, None if greedy else acting, episodes)
        return returns

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Environments cannot be copied, but can be led back: a seed and the actions since."""
        played = [
            np.concatenate([block[:, env] for block in self._actions[agent]])[-age:]
            for (agent, env), age in np.ndenumerate(self._ages)
            if age
        ]
        return {
            "collected": self._collected.copy(),
            "episodes": self._episodes.copy(),
            "ages": self._ages.copy(),
            "actions": np.concatenate([np.zeros(0, np.int32), *played]),
            "observed": self._observed.copy(),
        }

    def restore(self, arrays: Arrays) -> None:
        observed = field(arrays, "observed", self._observed.dtype, self._observed.shape)
        ages = field(arrays, "ages", np.int64, self._shape)
        actions = field(arrays, "actions", np.int32, (None,))
        episodes = field(arrays, "episodes", np.int64, self._shape)
        if ages.min() < 0 or episodes.min() < 1 or ages.sum() != len(actions):
            raise CheckpointError("its episodes and actions do not agree")
        if not np.isin(actions, np.arange(self._environment.num_actions)).all():
            raise CheckpointError("its actions are none of the environment's")
        self._collected = field(arrays, "collected", np.int64, self._shape[:1]).copy()
        self._episodes = episodes - 1
        self._ages = ages.copy()
        self._observed = observed.copy()
        self._actions = [
            [np.zeros((longest, self._shape[1]), np.int32)] for longest in ages.max(axis=1)
        ]
        first = self._reset(np.arange(len(self._envs)))
        if self._steps is None:
            return  # every rollout begins with fresh episodes
        ends = np.cumsum(ages.reshape(-1))
        for index, age in enumerate(ages.reshape(-1).tolist()):
            self._replay(index, first[index], actions[ends[index] - age : ends[index]])

    def _replay(self, index: int, observed: NDArray[Any], actions: NDArray[np.int32]) -> None:
        """Leads an environment through the actions of its episode, to where it was observed."""
        agent, env = divmod(index, self._shape[1])
        over = False
        for action in actions.astype(np.int64) + self._environment.first_action:
            if not over:
                raw, _, fell, late, _ = self._envs[index].step(action)
                observed, over = self._environment.encode([raw])[0], bool(fell or late)
        block = self._actions[agent][0]
        block[len(block) - len(actions) :, env] = actions
        if over or not np.array_equal(observed, self._observed[agent, env], equal_nan=True):
            log.warning(
                "%s does not repeat itself from a seed and actions: what it was in the middle of is"
                " lost, and the run goes on with a fresh episode.",
                self._environment.id,
            )
            self._ages[agent, env] = 0
            self._observed[agent, env] = self._reset(np.array([index]))[0]

    def _remember(
        self, actions: NDArray[np.int32], over: NDArray[np.bool_], active: NDArray[np.bool_]
    ) -> None:
        """Takes in a rollout's actions and where episodes ended in it, both `[T, P, N]`."""
        since = np.where(over.any(axis=0), over[::-1].argmax(axis=0), self._ages + len(over))
        self._ages[active] = since[active]
        for agent in np.flatnonzero(active):
            blocks, needed = [*self._actions[agent], actions[:, agent]], self._ages[agent].max()
            while len(blocks) > 1 and sum(map(len, blocks[1:])) >= needed:
                blocks.pop(0)
            self._actions[agent] = blocks

    def _reset(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Starts the next episode in each of those environments; their first observations."""
        raw = []
        for index in indices.tolist():
            agent, env = divmod(index, self._shape[1])
            episode = int(self._episodes[agent, env])
            generator = self._streams.generator(Purpose.ENVIRONMENT, agent, env, episode)
            raw.append(self._envs[index].reset(seed=_seed(generator))[0])
            self._episodes[agent, env] += 1
        return self._environment.encode(raw)

    def _acting_draws(self) -> Any:
        """Uniform numbers `[P, N]` for one step after the other, as long as asked."""
        generators = [
            self._streams.generator(Purpose.ACTING, agent, int(count))
            for agent, count in enumerate(self._collected)
        ]
        while True:
            block = [g.random((256, self._shape[1]), np.float32) for g in generators]
            yield from np.stack(block, axis=1)

    def _step(
        self, policy: Network, uniforms: NDArray[np.float32], alive: NDArray[np.bool_]
    ) -> list[NDArray[Any]]:
        """Steps the environments that are alive; one row of each field of a `Rollout`."""
        observations = self._observed
        actions = choose(self._logits(policy, observations), uniforms)
        live = np.flatnonzero(alive)
        # As NumPy scalars: Gymnasium checks those faster than ints.
        named = actions.reshape(-1).astype(np.int64) + self._environment.first_action
        raw, earned, fell, late, _ = zip(*(self._envs[i].step(named[i]) for i in live), strict=True)
        rewards, terminated, truncated = np.zeros((3, *self._shape), np.float32)
        self._flat(rewards)[live] = earned
        self._flat(terminated)[live] = fell
        self._flat(truncated)[live] = np.array(late) & ~np.array(fell)
        next_observations = observations.copy()
        self._flat(next_observations)[live] = self._environment.encode(raw)
        self._observed = next_observations
        over = np.flatnonzero(terminated + truncated)
        if self._steps is not None and len(over):
            self._observed = next_observations.copy()
            self._flat(self._observed)[over] = self._reset(over)
        mask = alive.reshape(self._shape).astype(np.float32)
        return [observations, actions, rewards, next_observations, terminated, truncated, mask]

    def _flat(self, field: NDArray[Any]) -> NDArray[Any]:
        """A view with agents and environments on one axis."""
        return field.reshape(-1, *field.shape[2:])

    def _logits(self, policy: Network, observations: NDArray[Any]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = forward(policy, observations, self._architecture.convolutions)
        return logits

    def _play_one(
        self,
        policy: Network,
        starts: np.random.Generator,
        acting: np.random.Generator | None,
        episodes: int,
    ) -> NDArray[np.float64]:
        """Returns of one agent's episodes, several of them under way at a time."""
        while len(self._players) < min(episodes, 16):
            self._players.append(self._environment.make())
        returns = np.zeros(episodes)
        seeds = [_seed(starts) for _ in range(episodes)]
        waiting = itertools.count()
        slots: list[tuple[Any, int, Any]] = []  # environment, episode, observation
        for env, episode in zip(self._players, range(episodes), strict=False):
            slots.append((env, next(waiting), env.reset(seed=seeds[episode])[0]))
        while slots:
            observations = self._environment.encode([slot[2] for slot in slots])[np.newaxis]
            logits = self._logits(policy, observations)
            if acting is None:
                actions = logits.argmax(axis=-1)[0]
            else:
                actions = choose(logits, acting.random((1, len(slots)), np.float32))[0]
            under_way = []
            for (env, episode, _), action in zip(slots, actions, strict=True):
                after, reward, fell, late, _ = env.step(
                    int(action) + self._environment.first_action
                )
                returns[episode] += float(reward)
                if fell or late:
                    episode = next(waiting)
                    if episode >= episodes:
                        continue
                    after = env.reset(seed=seeds[episode])[0]
                under_way.append((env, episode, after))
            slots = under_way
        return returns


def _seed(generator: np.random.Generator) -> int:
    return int(generator.integers(2**31))


def _padded_length(steps: int, limit: int | None) -> int:
    """A multiple of 64 that rarely changes, since each new length compiles the update anew."""
    longest = (
        limit if limit is not None and steps <= limit <= 1024 else 1 << (steps - 1).bit_length()
    )
    return -(-longest // 64) * 64


def _pad(field: NDArray[Any], steps: int) -> NDArray[Any]:
    return np.concatenate([field, np.zeros((steps - len(field), *field.shape[1:]), field.dtype)])


if TYPE_CHECKING:
    _collector: type[Collector] = GymnasiumCollector
