"""Plays complete episodes of one agent, several at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.agents.networks import Convolutions, Network, forward
from trainer.rollouts.collector import choose
from trainer.rollouts.environment_pool import EnvironmentPool


def play_episodes(
    pool: EnvironmentPool,
    size: int,
    policy: Network,
    convolutions: Convolutions,
    seeds: Sequence[int],
    acting: np.random.Generator | None,
) -> NDArray[np.float64]:
    """Undiscounted returns, one for each seed, of episodes in a pool of `size` environments.

    Args:
        acting: draws the actions; None is the greedy policy.
    """
    returns = np.zeros(len(seeds))
    episodes = np.arange(min(size, len(seeds)))  # one in each environment in use
    envs, following = episodes.copy(), len(episodes)
    observations = pool.reset(envs.tolist(), seeds[: len(episodes)])
    while len(envs):
        logits = forward(policy, observations[np.newaxis], convolutions)[0]
        if acting is None:
            actions = logits.argmax(axis=-1)
        else:
            actions = choose(logits, acting.random(len(envs), np.float32))
        steps = pool.step(envs.tolist(), actions)
        returns[episodes] += steps.rewards
        observations = steps.observations
        over = np.flatnonzero(steps.terminated | steps.truncated)
        if len(over):
            begun = over[: len(seeds) - following]
            observations = observations.copy()
            if len(begun):
                episodes[begun] = np.arange(following, following + len(begun))
                following += len(begun)
                fresh = [seeds[episode] for episode in episodes[begun]]
                observations[begun] = pool.reset(envs[begun].tolist(), fresh)
            stays = np.ones(len(envs), bool)
            stays[over[len(begun) :]] = False
            envs, episodes, observations = envs[stays], episodes[stays], observations[stays]
    return returns
