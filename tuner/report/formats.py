"""Numbers, counts and durations as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from trainer.contract import text

_MOST_DIGITS = 6  # significant ones, of a parameter


def scores(shown: Iterable[float]) -> Callable[[float], str]:
    """Formats scores with as many decimals as it takes to tell them apart."""
    values = list(shown)
    largest = max(map(abs, values), default=0.0)
    spread = max(values, default=0.0) - min(values, default=0.0) or largest
    decimals = 0 if largest >= 1000 else 1
    if 0 < spread < 10:
        decimals = min(4, 2 - math.floor(math.log10(spread)))
    return lambda value: f"{value:,.{decimals}f}" if abs(value) < 1e9 else f"{value:.4g}"


def column(values: Sequence[Any]) -> list[str]:
    """A parameter's values, with as many digits as it takes to tell them apart."""
    for digits in range(4, _MOST_DIGITS + 1):
        found = [short(value, digits) for value in values]
        if len(set(found)) == len(set(map(str, values))):
            break
    return found


def short(value: Any, digits: int = 4) -> str:
    """A parameter's value; nothing for None."""
    if isinstance(value, float):
        return text.number(float(f"{value:.{digits}g}"))
    return "" if value is None else str(value)


def big(count: float) -> str:
    """A count in three digits."""
    for unit, name in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}"
    return f"{count:.0f}"


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
