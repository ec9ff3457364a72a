"""Independent random streams, one for each agent and purpose, all from one seed.

Draws are a pure function of (seed, agent, purpose, counter). So a checkpoint holds no
generator states, agent k draws the same numbers in a stack of any size, and both collectors use
the same streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Counters = Sequence[int] | NDArray[np.int64]  # one for each agent


class Purpose(IntEnum):
    """What a stream is for; the numbers are part of the reproducibility contract."""

    INITIALISATION = 0
    ACTING = 1
    ENVIRONMENT = 2
    VALIDATION = 3
    FINAL = 4
    FINAL_ACTING = 5
    RECORDING = 6
    SHUFFLING = 7


class Streams:
    """The random streams of a stack; `agents[k]` is the (seed, index) pair that names agent k."""

    def __init__(self, agents: Sequence[tuple[int, int]]) -> None:
        self._keys = {
            purpose: [
                np.random.SeedSequence(seed, spawn_key=(index, purpose)).generate_state(
                    2, np.uint64
                )
                for seed, index in agents
            ]
            for purpose in Purpose
        }
        self.num_agents = len(agents)

    def generator(self, purpose: Purpose, agent: int, *counter: int) -> np.random.Generator:
        """The generator of one agent's `purpose` at a counter of up to two integers.

        The counter fills the upper half of Philox's 256-bit one (Salmon et al., 2011), so no two
        counters overlap within 2^128 draws.
        """
        high, low = (*counter, 0, 0)[:2]
        key = self._keys[purpose][agent]
        return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, low, high]))

    def uniform(
        self, purpose: Purpose, counters: Counters, shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Uniform numbers in [0, 1): `shape[0]` steps, then agents, then the rest, float32.

        Agent k draws at `counters[k]`.
        """
        draws = [
            self.generator(purpose, agent, int(counter)).random(shape, np.float32)
            for agent, counter in enumerate(counters)
        ]
        return np.stack(draws, axis=1)
