"""A chart as plotly's JSON, no longer than a screen can show."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Chart:
    """A figure, and what it says to somebody who cannot see it."""

    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    label: str
    height: int


def compact(data: Sequence[Any], layout: Mapping[str, Any], label: str, height: int) -> Chart:
    """A chart with numbers of six digits: no screen shows more."""
    return Chart([_short(trace) for trace in data], _short(layout), label, height)


def text(words: object) -> str:
    """Words that plotly shows as they are: it reads some HTML."""
    return html.escape(str(words), quote=False)


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most so many of them, evenly, the first and the last included."""
    if len(items) <= count:
        return list(items)
    last = len(items) - 1
    return [items[round(index * last / (count - 1))] for index in range(count)]


def _short(found: Any) -> Any:
    if isinstance(found, float):
        return float(f"{found:.6g}")
    if isinstance(found, Mapping):
        return {key: _short(value) for key, value in found.items() if key != "template"}
    if isinstance(found, list | tuple):
        return [_short(item) for item in found]
    return found
