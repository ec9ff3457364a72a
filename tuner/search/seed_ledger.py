"""Which seed each part of a study has used, so that no score is measured on seeds it was chosen by.

Agents of the trainer are named by (seed, index), so runs of different seeds share no randomness.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping


class SeedUsed(ValueError):
    """A seed was asked for that another part of the study has seen; the message is a sentence."""


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
                    f"the seed of {purpose} must stay {self._used[purpose]}, but {seed} is asked"
                    " for. Leave it out."
                )
            return self._used[purpose]
        if seed is None:
            seed = next(seed for seed in itertools.count() if seed not in owner)
        elif seed in owner:
            raise SeedUsed(
                f"the seed of {purpose} must be one that nothing else in the study has seen, but"
                f" {seed} is that of {owner[seed]}. Take another, or leave it out."
            )
        self._used[purpose] = seed
        return seed
