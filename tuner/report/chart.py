"""A chart as Plotly's JSON, with no more points and digits than a screen shows."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Chart:
    """A figure and its text alternative."""

    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    label: str
    height: int


def compact(data: Sequence[Any], layout: Mapping[str, Any], label: str, height: int) -> Chart:
    """A chart whose numbers have six digits."""
    return Chart([_short(trace) for trace in data], _short(layout), label, height)


def text(words: object) -> str:
    """Escaped words, because Plotly interprets some HTML."""
    return html.escape(str(words), quote=False)


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly spaced, the first and the last included."""
    if len(items) <= count:
        return list(items)
    last = len(items) - 1
    return [items[round(index * last / (count - 1))] for index in range(count)]


def _short(found: Any) -> Any:
    if isinstance(found, float):
        return float(f"{found:.6g}") if math.isfinite(found) else None
    if isinstance(found, Mapping):
        return {key: _short(value) for key, value in found.items() if key != "template"}
    if isinstance(found, list | tuple):
        return [_short(item) for item in found]
    return found
