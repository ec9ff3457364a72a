"""The actions of each unfinished episode; replaying them restores the environments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.storage.checkpoint import Arrays, CheckpointError, field


class EpisodeHistory:
    """The actions of P x N environments since the beginning of their episodes."""

    def __init__(self, agents: int, num_envs: int) -> None:
        self._shape = (agents, num_envs)
        self.ages = np.zeros(self._shape, np.int64)  # steps of each environment's episode so far
        # Each agent's last rollouts of actions `[T, N]`, as many as its oldest episode spans.
        self.blocks: list[list[NDArray[np.int32]]] = [[] for _ in range(agents)]

    def extend(
        self, actions: NDArray[np.int32], over: NDArray[np.bool_], active: NDArray[np.bool_]
    ) -> None:
        """Takes in a rollout's actions and where episodes ended in it, both `[T, P, N]`."""
        since = np.where(over.any(axis=0), over[::-1].argmax(axis=0), self.ages + len(over))
        self.ages[active] = since[active]
        for agent in np.flatnonzero(active):
            blocks, needed = [*self.blocks[agent], actions[:, agent]], self.ages[agent].max()
            while len(blocks) > 1 and sum(map(len, blocks[1:])) >= needed:
                blocks.pop(0)
            self.blocks[agent] = blocks

    def snapshot(self) -> dict[str, NDArray[Any]]:
        played = [
            np.concatenate([block[:, env] for block in self.blocks[agent]])[-age:]
            for (agent, env), age in np.ndenumerate(self.ages)
            if age
        ]
        actions = np.concatenate([np.zeros(0, np.int32), *played])
        return {"ages": self.ages.copy(), "actions": actions}

    def restore(self, arrays: Arrays, num_actions: int) -> None:
        """Restores a `snapshot`. Raises CheckpointError where it does not fit."""
        ages = field(arrays, "ages", np.int64, self._shape)
        actions = field(arrays, "actions", np.int32, (None,))
        if ages.min() < 0 or ages.sum() != len(actions):
            raise CheckpointError("its episodes and actions do not agree")
        if not np.isin(actions, np.arange(num_actions)).all():
            raise CheckpointError("it holds actions that the environment does not have")
        self.ages = ages.copy()
        self.blocks = [
            [np.zeros((longest, self._shape[1]), np.int32)] for longest in ages.max(axis=1)
        ]
        ends = np.cumsum(ages.reshape(-1)).reshape(self._shape)
        for (agent, env), age in np.ndenumerate(ages):
            block, end = self.blocks[agent][0], ends[agent, env]
            block[len(block) - age :, env] = actions[end - age : end]

    def replay(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
        """Step by step, the environments (by index) that have an action there, and the actions."""
        ages = self.ages.reshape(-1)
        columns = [
            np.concatenate([block[:, env] for block in self.blocks[agent]])[-age:]
            for (agent, env), age in np.ndenumerate(self.ages)
            if age
        ]
        played = np.flatnonzero(ages)
        for step in range(ages.max(initial=0)):
            at = [
                (index, column[step])
                for index, column in zip(played, columns, strict=True)
                if step < len(column)
            ]
            yield np.array([i for i, _ in at]), np.array([action for _, action in at], np.int32)

    def forget(self, index: int) -> None:
        """Forgets the actions of one environment, which begins a new episode."""
        self.ages[divmod(index, self._shape[1])] = 0
