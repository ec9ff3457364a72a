"""Fields that are flags: a default, a help text, a range or choices, and the check of a value."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.contract.text import did_you_mean, nearest, shown

_ROUNDING = 1e-9  # services send 0.010000000000000002 for a bound of 0.01; which is accepted


@dataclass(frozen=True)
class Range:
    """The numbers a setting may take."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"{'>' if self.low_open else '>='} {self.low}"
        return f"{'(' if self.low_open else '['}{self.low}, {self.high}]"

    @property
    def words(self) -> str:
        """The range as it follows `a number`: `from 0 to 1`, `>= 0`, `> 0`."""
        return str(self) if self.high == math.inf else f"from {self.low} to {self.high}"

    def clamp(self, value: float) -> float:
        """`value`, or the bound that it equals up to rounding."""
        for bound in (self.low, self.high):
            if math.isfinite(bound) and abs(value - bound) <= _ROUNDING * abs(bound):
                return float(bound)
        return value

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value <= self.high if math.isfinite(self.high) else value < math.inf
        return above and below


def setting(
    default: Any,
    help: str,
    *,
    range: Range | None = None,
    choices: Sequence[str] = (),
    metavar: str = "",
    fixed: str = "",
    wrong: Callable[[str], str] = lambda value: "",
) -> Any:
    """A dataclass field that is a flag.

    Args:
        fixed: why a search must not vary it; empty if it may.
        wrong: what else is wrong with a value, to follow `name=value `; empty if nothing is.
    """
    metadata = {
        "help": help, "range": range, "choices": tuple(choices), "metavar": metavar,
        "fixed": fixed, "wrong": wrong,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata)


UNIT = Range(0, 1)
POSITIVE = Range(0, low_open=True)
NOT_NEGATIVE = Range(0)


def check(field: dataclasses.Field[Any], value: Any) -> Any:
    """`value`, or the bound that it equals up to rounding.

    Raises ValueError, with a sentence, for an invalid value.
    """
    choices, limits = field.metadata["choices"], field.metadata["range"]
    given = f"{field.name}={shown(value)}"
    if choices and value not in choices:
        near = did_you_mean(nearest(str(value), choices))
        raise ValueError(f"{given} is not one of {', '.join(choices)}.{near}")
    if limits is not None and isinstance(value, int | float):
        if isinstance(value, float):
            value = limits.clamp(value)
        if value not in limits:
            kind = "a whole number" if field.type == "int" else "a number"
            raise ValueError(f"{given} is out of range. Write {kind} {limits.words}.")
    if wrong := field.metadata["wrong"](value):
        raise ValueError(f"{given} {wrong}")
    return value


def check_all(settings: Any) -> None:
    """Checks every field of a frozen dataclass, as `check` does."""
    for field in dataclasses.fields(settings):
        object.__setattr__(settings, field.name, check(field, getattr(settings, field.name)))
