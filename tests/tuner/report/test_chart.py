"""Charts are thinned evenly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuner.report.chart import spread


@given(st.lists(st.integers(), max_size=50, unique=True), st.integers(2, 10))
def test_a_thinned_list_keeps_its_ends_and_order(items: list[int], count: int) -> None:
    few = spread(items, count)
    assert len(few) == min(len(items), count) and few == [x for x in items if x in few]
    assert few[:1] == items[:1] and few[-1:] == items[-1:]
