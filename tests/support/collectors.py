"""Collectors of CartPole, and policies whose episodes are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trainer.agents.networks import Architecture, initialise
from trainer.agents.random_streams import Streams
from trainer.agents.rollout import Rollout
from trainer.environments import cartpole, spec
from trainer.rollouts.collector import Collector
from trainer.rollouts.compiled_collector import CompiledCollector
from trainer.rollouts.gymnasium_collector import GymnasiumCollector

AGENTS, ENVS = 2, 3
ALL = np.ones(AGENTS, bool)
BALANCER = Architecture((4,), 2, 4, critic=False)
Make = Callable[..., Collector]


def compiled(steps: int | None, version: str = "CartPole-v1", seed: int = 0) -> Collector:
    streams = Streams([(seed, agent) for agent in range(AGENTS)])
    return CompiledCollector(cartpole.VERSIONS[version], BALANCER, ENVS, steps, streams)


def gymnasium(steps: int | None, version: str = "CartPole-v1", seed: int = 0) -> Collector:
    streams = Streams([(seed, agent) for agent in range(AGENTS)])
    return GymnasiumCollector(spec.find(version), BALANCER, ENVS, steps, streams)


def random_policy(seed: int = 0) -> np.ndarray:
    generators = [np.random.default_rng((seed, agent)) for agent in range(AGENTS)]
    return initialise(BALANCER, generators)


def steady_policy() -> np.ndarray:
    """Balances the pole for ever: pushes to where the cart drifts and the pole leans."""
    small = 1e-3  # keeps tanh straight
    lean = np.array([[0.0, gain] for gain in (1.0, 2.0, 20.0, 4.0)], np.float32)
    layers = [(small * np.eye(4), 4), (np.eye(4), 4), (1e6 * lean, 2)]
    row = np.concatenate([part for k, n in layers for part in (k.reshape(-1), np.zeros(n))])
    return np.tile(row.astype(np.float32), (AGENTS, 1))


def arrays(rollout: Rollout) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in rollout._asdict().items()}
