"""No two parts of a study share a seed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.search.seed_ledger import SeedLedger, SeedUsed

PURPOSES = st.sampled_from(["tuning", "confirming", "testing trial 3", "testing trial 7"])
SEEDS = st.none() | st.integers(0, 4)


def test_a_test_never_gets_the_seed_of_the_tuning() -> None:
    ledger = SeedLedger({"tuning": 1})
    with pytest.raises(SeedUsed) as refused:
        ledger.claim("testing trial 3", 1)
    assert str(refused.value) == (
        "Seed 1 cannot be used for testing trial 3: tuning used it. Choose another,"
        " or leave it out."
    )
    assert [ledger.claim("testing trial 3"), ledger.claim("confirming")] == [0, 2]


def test_a_purpose_keeps_its_seed() -> None:
    ledger = SeedLedger()
    assert ledger.claim("tuning", 5) == ledger.claim("tuning", 5) == ledger.claim("tuning") == 5
    with pytest.raises(SeedUsed, match="is 5 and cannot become 6"):
        ledger.claim("tuning", 6)


def test_what_was_kept_is_looked_through() -> None:
    with pytest.raises(SeedUsed):
        SeedLedger({"tuning": 1, "testing": 1})


@given(st.lists(st.tuples(PURPOSES, SEEDS), max_size=12))
def test_claimed_seeds_are_always_distinct(claims: list[tuple[str, int | None]]) -> None:
    ledger = SeedLedger()
    for purpose, seed in claims:
        before = ledger.used
        with contextlib.suppress(SeedUsed):
            got = ledger.claim(purpose, seed)
            assert seed in (None, got)
            assert ledger.used[purpose] == got
        assert before.items() <= ledger.used.items()
        assert len(set(ledger.used.values())) == len(ledger.used)
        assert SeedLedger(ledger.used).used == ledger.used
