"""The median rule is the service's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.execution.metric_file import Measurement, merged
from tuner.search.early_stopping import is_below_median
from tuner.spec.study_spec import MAXIMIZE, MINIMIZE

LIST = st.lists(st.builds(Measurement, st.integers(0, 50), st.floats(-1e6, 1e6)), max_size=8).map(
    lambda found: merged((), found)
)


def course(*values: float) -> list[Measurement]:
    """Reports every ten steps."""
    return [Measurement(10 * (i + 1), value) for i, value in enumerate(values)]


# Running averages up to step 20: 20, 30 and 60; their median is 30.
COMPLETED = [course(10, 30, 500), course(20, 40, 0), course(60, 60)]


@pytest.mark.parametrize(
    "values, lost",
    [((29, 1), True), ((1, 29.9), True), ((30, 1), False), ((1, 30), False), ((99, 0), False)],
)
def test_the_best_value_is_compared_with_the_median_of_running_averages(
    values: tuple[float, ...], lost: bool
) -> None:
    assert is_below_median(course(*values), COMPLETED, MAXIMIZE) is lost
    mirrored = [[Measurement(step, -value) for step, value in c] for c in COMPLETED]
    assert is_below_median(course(*(-value for value in values)), mirrored, MINIMIZE) is lost


def test_no_trial_is_stopped_before_others_have_reported() -> None:
    assert not is_below_median([], COMPLETED, MAXIMIZE)
    assert not is_below_median(course(1), [], MAXIMIZE)
    assert not is_below_median([Measurement(5, 1)], COMPLETED, MAXIMIZE), "none has come so early"


@given(LIST, st.lists(LIST, max_size=4))
def test_the_best_of_all_is_never_stopped(
    ours: list[Measurement], others: list[list[Measurement]]
) -> None:
    top = max((value for trial in [*others, ours] for _, value in trial), default=0.0)
    if any(value == top for _, value in ours):
        assert not is_below_median(ours, others, MAXIMIZE)
