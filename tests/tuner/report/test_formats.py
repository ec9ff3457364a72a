"""Numbers that differ look different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.report import formats


@pytest.mark.parametrize(
    "shown, texts",
    [
        ([500.0, 9.31], ["500.0", "9.3"]),
        ([0.73, 0.78, 1.0], ["0.730", "0.780", "1.000"]),
        ([0.5012, 0.5034], ["0.5012", "0.5034"]),
        ([498.123, 499.5], ["498.12", "499.50"]),
        ([9063.6, 15200.0], ["9,064", "15,200"]),
        ([50.0], ["50.0"]),
        ([0.73], ["0.730"]),
        ([0.0], ["0.0"]),
        ([1e99, 1.0], ["1e+99", "1"]),
    ],
)
def test_scores_have_the_decimals_that_distinguish_them(
    shown: list[float], texts: list[str]
) -> None:
    assert list(map(formats.scores(shown), shown)) == texts


@given(st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_scores_that_differ_by_a_hundredth_of_their_range_look_different(
    shown: list[float],
) -> None:
    low, high = min(shown), max(shown)
    text = formats.scores(shown)
    if high - low > 0.01:
        assert text(low) != text(low + (high - low) / 50)


@pytest.mark.parametrize(
    "values, texts",
    [
        ([0.99, 0.9], ["0.99", "0.9"]),
        ([0.99995, 0.99996], ["0.99995", "0.99996"]),
        ([1e-5, 8.0, 32], ["1e-05", "8", "32"]),
        ([None, True, "relu"], ["", "True", "relu"]),
        ([], []),
    ],
)
def test_a_column_has_the_digits_that_distinguish_its_values(
    values: list[object], texts: list[str]
) -> None:
    assert formats.column(values) == texts
