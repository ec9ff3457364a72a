"""Two ways to gather a `Rollout` and to play episodes: one compiled program, or Gymnasium."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer import cartpole
from trainer.environments import Environment
from trainer.networks import Architecture, Array, Network, forward
from trainer.randomness import Counters, Purpose, Streams
from trainer.rollout import Rollout


class Collector(Protocol):
    """Steps P x N environments with the agents' own policies, from `weights` `[P, size]`."""

    def collect(self, weights: Array, active: NDArray[np.bool_]) -> Rollout:
        """The next rollout. Agents that are not `active` may be skipped: their mask is 0."""

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
        """Undiscounted returns of `episodes` fresh episodes of each agent, `[P, episodes]`.

        Agents that are not `active` may be skipped; their returns are NaN or mean nothing.
        """


def choose(logits: Any, uniforms: Any) -> Any:
    """Actions `[...]` int32 drawn from softmax(`logits`) by inverting its distribution function."""
    xp = np if isinstance(logits, np.ndarray) else tf
    largest = (
        xp.max(logits, axis=-1, keepdims=True) if xp is np else tf.reduce_max(logits, -1, True)
    )
    unnormalised = xp.exp(logits - largest)
    cumulative = xp.cumsum(unnormalised, axis=-1)
    below = cumulative[..., :-1] <= uniforms[..., None] * cumulative[..., -1:]
    if xp is np:
        return np.sum(below, axis=-1, dtype=np.int32)
    return tf.reduce_sum(tf.cast(below, tf.int32), axis=-1)


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
