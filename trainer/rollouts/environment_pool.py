"""Environments that are stepped together: in this process, one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from trainer.contract.errors import Error
from trainer.environments import saved_state
from trainer.environments.errors import EnvironmentFault, cause, formatted
from trainer.environments.spec import Environment

LARGEST = float(np.finfo(np.float32).max)


class Steps(NamedTuple):
    """The results of a step of each of n environments."""

    observations: NDArray[Any]  # [n, *observation], encoded
    rewards: NDArray[np.float64]  # [n], within the range of float32
    terminated: NDArray[np.bool_]  # [n]
    truncated: NDArray[np.bool_]  # [n], never where `terminated`


class EnvironmentPool(Protocol):
    """Environments by index. All methods may raise EnvironmentFault. Close it after use."""

    def reset(self, indices: Sequence[int], seeds: Sequence[int]) -> NDArray[Any]:
        """Begins an episode in each of those; returns their first observations, encoded."""

    def step(self, indices: Sequence[int], actions: NDArray[np.integer[Any]]) -> Steps:
        """Steps each of those with an action of its own, counted from 0."""

    def states(self) -> list[NDArray[np.uint8]]:
        """The state of each environment; only for those that offer it."""

    def restore(self, states: Sequence[NDArray[np.uint8]], ages: Sequence[int]) -> None:
        """Restores states after a reset; the episodes are then `ages` steps old."""

    def close(self) -> None:
        """Closes every environment."""


class LocalPool:
    """Environments in this process."""

    def __init__(self, environment: Environment, count: int) -> None:
        self._environment = environment
        self._envs: list[Any] = [None] * count  # each is made when it is first reset
        self._steps = [0] * count  # of each environment's episode

    def reset(self, indices: Sequence[int], seeds: Sequence[int]) -> NDArray[Any]:
        first: list[Any] = []
        try:
            for index, seed in zip(indices, seeds, strict=True):
                if self._envs[index] is None:
                    self._envs[index] = self._environment.make()
                first.append(self._envs[index].reset(seed=seed)[0])
                self._steps[index] = 0
        except Error as error:
            raise EnvironmentFault(str(error)) from error
        except (Exception, SystemExit) as error:
            raise self._raised(error, "reset", indices[len(first)]) from error
        return self._encode(first, indices)

    def step(self, indices: Sequence[int], actions: NDArray[np.integer[Any]]) -> Steps:
        # As NumPy scalars: Gymnasium checks those faster than ints.
        named = actions.astype(np.int64) + self._environment.first_action
        results: list[Any] = []
        try:
            for index, action in zip(indices, named, strict=True):
                results.append(self._envs[index].step(action))
                self._steps[index] += 1
        except (Exception, SystemExit) as error:
            at = len(results)
            raise self._raised(error, f"step({named[at]})", indices[at]) from error
        try:
            raw, earned, fell, late, _ = zip(*results, strict=True)
            rewards = np.array(earned, np.float64)
            terminated, truncated = np.array(fell, np.bool_), np.array(late, np.bool_)
            if not rewards.ndim == terminated.ndim == truncated.ndim == 1:
                raise ValueError("rewards, terminated and truncated are not one value each")
        except (TypeError, ValueError, OverflowError) as error:
            raise EnvironmentFault(
                f"{self._environment.id} broke Gymnasium's API in step(): {error}."
            ) from error
        observations = self._encode(raw, indices)
        sound = np.abs(rewards) <= LARGEST
        if not np.logical_and.reduce(sound):
            at = int(np.flatnonzero(~sound)[0])
            raise self._not_finite(f"the reward {earned[at]}", "rewards", indices[at])
        return Steps(observations, rewards, terminated, truncated & ~terminated)

    def states(self) -> list[NDArray[np.uint8]]:
        saved: list[NDArray[np.uint8]] = []
        try:
            for env in self._envs:
                saved.append(saved_state.save(env))
        except Exception as error:
            raise self._raised(error, "get_state", len(saved)) from error
        return saved

    def restore(self, states: Sequence[NDArray[np.uint8]], ages: Sequence[int]) -> None:
        for index, (state, age) in enumerate(zip(states, ages, strict=True)):
            try:
                saved_state.restore(self._envs[index], state, age)
            except Exception as error:
                raise self._raised(error, "set_state", index) from error
            self._steps[index] = age

    def close(self) -> None:
        for index, env in enumerate(self._envs):
            self._envs[index] = None
            with contextlib.suppress(Exception):  # nothing depends on it any more
                if env is not None:
                    env.close()

    def _encode(self, raw: Sequence[Any], indices: Sequence[int]) -> NDArray[Any]:
        try:
            observations = self._environment.encode(raw)
        except Exception as error:
            raise EnvironmentFault(
                f"{self._environment.id} returned an observation that is not of"
                f" {self._environment.encoder.space} {self._when(indices[0])}: {error}."
            ) from error
        if self._environment.pixels:
            return observations
        finite = np.isfinite(observations)
        if not np.logical_and.reduce(finite, axis=None):
            at = int(np.argwhere(~finite)[0, 0])
            given = np.asarray(raw[at]).reshape(-1) if isinstance(raw[at], np.ndarray) else None
            bad = observations[at][~finite[at]][0]  # inf if float32 cannot hold the value
            if given is not None and len(wrong := given[~(np.abs(given) <= LARGEST)]):
                bad = wrong[0]
            raise self._not_finite(f"an observation with {bad}", "observations", indices[at])
        return observations

    def _not_finite(self, what: str, they: str, index: int) -> EnvironmentFault:
        return EnvironmentFault(
            f"{self._environment.id} returned {what} {self._when(index)};"
            f" {they} must be finite float32 numbers."
        )

    def _when(self, index: int) -> str:
        step = self._steps[index]
        return f"in step {step:,} of an episode" if step else "at the start of an episode"

    def _raised(self, error: BaseException, call: str, index: int) -> EnvironmentFault:
        return EnvironmentFault(
            f"{self._environment.id} failed in {call}, after {self._steps[index]:,} steps of an"
            f" episode: {cause(error)}.",
            formatted(error),
        )


if TYPE_CHECKING:
    _pool: type[EnvironmentPool] = LocalPool
