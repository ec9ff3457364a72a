"""Keeps which seed each part of a study used: no score is measured on seeds that chose the trial.

Agents of the trainer are named by (seed, index), so runs of different seeds share no randomness.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping


class SeedUsed(ValueError):
    """A seed was asked for that another part of the study has used."""


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
        """The purpose's own seed: the one it has, else `seed`, else the least that is unused.

        Raises:
            SeedUsed: another purpose has this seed, or this purpose another.
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
                f"Seed {seed} cannot be that of {purpose}: {owner[seed]} used it. Take another, or"
                " leave it out."
            )
        self._used[purpose] = seed
        return seed
