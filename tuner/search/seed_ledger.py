"""Records the seed of each part of a study: no trial is tested on the seeds that selected it.

The trainer's agents are identified by (seed, index), so different seeds share no randomness.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping


class SeedUsed(ValueError):
    """The requested seed was used by another part of the study."""


class SeedLedger:
    """Purpose -> seed, each seed for one purpose only."""

    def __init__(self, used: Mapping[str, int] | None = None) -> None:
        self._used: dict[str, int] = {}
        for purpose, seed in (used or {}).items():
            self.claim(purpose, seed)

    @property
    def used(self) -> dict[str, int]:
        return dict(self._used)

    def claim(self, purpose: str, seed: int | None = None) -> int:
        """The purpose's seed: the recorded one, else `seed`, else the smallest unused one.

        Raises:
            SeedUsed: another purpose has this seed, or this purpose has another seed.
        """
        owner = {taken: other for other, taken in self._used.items()}
        if purpose in self._used:
            if seed not in (None, self._used[purpose]):
                raise SeedUsed(
                    f"The seed of {purpose} is {self._used[purpose]} and cannot become {seed}."
                    " Leave it out."
                )
            return self._used[purpose]
        if seed is None:
            seed = next(seed for seed in itertools.count() if seed not in owner)
        elif seed in owner:
            raise SeedUsed(
                f"Seed {seed} cannot be used for {purpose}: {owner[seed]} used it. Choose another,"
                " or leave it out."
            )
        self._used[purpose] = seed
        return seed
