"""A learning curve as text for a terminal, and as a small picture."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import NamedTuple

from trainer.contract.run_record import Point

HEIGHT = 13  # lines of a plot, without its axis
_NARROWEST = 8  # columns of a plot, however narrow the terminal is
_BLOCKS, _ASCII = ("●", "░", "│", "└", "─"), ("*", ":", "|", "+", "-")
_WIDE, _HIGH, _LEFT, _EDGE = 480, 240, 48, 20  # pixels


class Row(NamedTuple):
    """The worst, the mean and the best agent at a step."""

    step: float
    low: float
    mean: float
    high: float


def text(points: Sequence[Point], width: int, *, blocks: bool) -> list[str]:
    """The mean over the agents as a line, in a band from the worst to the best of them.

    Args:
        blocks: whether the terminal has more than ASCII.
    """
    rows = _rows(points)
    dot, band, side, corner, below = _BLOCKS if blocks else _ASCII
    low, high = _range(rows)
    marks = {0: high, HEIGHT // 2: (low + high) / 2, HEIGHT - 1: low}
    labels = {line: f"{value:.4g}" for line, value in marks.items()}
    margin = max(map(len, labels.values()))
    columns = max(_NARROWEST, width - margin - 3)
    last = rows[-1].step or 1

    def line_of(value: float) -> int:
        return round((high - value) / (high - low) * (HEIGHT - 1))

    grid = [[" "] * columns for _ in range(HEIGHT)]
    before = None
    for column in range(columns):
        row = _at(rows, column, last, columns)
        if row is None:
            continue
        for line in range(line_of(row.high), line_of(row.low) + 1):
            grid[line][column] = band
        here = line_of(row.mean)
        there = here if before is None else before + (here > before) - (here < before)
        for line in range(min(here, there), max(here, there) + 1):  # no gap where it is steep
            grid[line][column] = dot
        before = here
    lines = [
        f"{labels.get(i, ''):>{margin}} {side}{''.join(row)}".rstrip() for i, row in enumerate(grid)
    ]
    end = f"{last:,.0f} steps" if columns > 16 else f"{last:,.0f}"
    return [
        *lines,
        f"{'':{margin}} {corner}{below * columns}",
        f"{'':{margin}}  0{end:>{columns - 1}}",
    ]


def svg(points: Sequence[Point], title: str) -> str:
    """The same as a picture."""
    rows = _rows(points)
    low, high = _range(rows)
    last = rows[-1].step or 1

    def x(step: float) -> float:
        return _LEFT + (_WIDE - _LEFT - _EDGE) * step / last

    def y(value: float) -> float:
        return _EDGE + (_HIGH - 2 * _EDGE) * (high - value) / (high - low)

    def path(pairs: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in pairs)

    mean = path([(row.step, row.mean) for row in rows])
    top = [(row.step, row.high) for row in rows]
    bottom = [(row.step, row.low) for row in reversed(rows)]
    dots = [f'<circle cx="{x(r.step):.1f}" cy="{y(r.mean):.1f}" r="2"/>' for r in rows]
    escaped = title.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" width="{_WIDE}"'
        f' height="{_HIGH}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{_WIDE}" height="{_HIGH}" fill="#fff"/>\n'
        f'<polygon points="{path([*top, *bottom])}" fill="#4c78a8" opacity="0.2"/>\n'
        f'<polyline points="{mean}" fill="none" stroke="#4c78a8" stroke-width="2"/>\n'
        f'<g fill="#4c78a8">{"".join(dots)}</g>\n'
        f'<path d="M{_LEFT},{_EDGE}V{_HIGH - _EDGE}H{_WIDE - _EDGE}" fill="none" stroke="#888"/>\n'
        f'<g text-anchor="end"><text x="{_LEFT - 4}" y="{_EDGE + 4}">{high:.4g}</text>'
        f'<text x="{_LEFT - 4}" y="{_HIGH - _EDGE}">{low:.4g}</text>'
        f'<text x="{_WIDE - _EDGE}" y="{_HIGH - 5}">{last:,.0f} steps</text></g>\n'
        f'<text x="{_LEFT}" y="13">{escaped}</text>\n</svg>\n'
    )


def _rows(points: Sequence[Point]) -> list[Row]:
    """A row a step, in their order: of two reports of one step the last counts."""
    found = {p.step: Row(p.step, min(p.known), p.mean, max(p.known)) for p in points}
    return [found[step] for step in sorted(found)]


def _range(rows: Sequence[Row]) -> tuple[float, float]:
    low, high = min(row.low for row in rows), max(row.high for row in rows)
    return (low, high) if low < high else (low - 1, high + 1)


def _at(rows: Sequence[Row], column: int, last: float, columns: int) -> Row | None:
    """What the curve is in a column; None left of its first point."""
    step = last * column / (columns - 1)
    after = bisect.bisect_left(rows, step, key=lambda row: row.step)
    if after == 0:
        return rows[0] if round(rows[0].step / last * (columns - 1)) == column else None
    if after == len(rows):
        return rows[-1]
    left, right = rows[after - 1], rows[after]
    share = (step - left.step) / (right.step - left.step)
    return Row(*(a + share * (b - a) for a, b in zip(left, right, strict=True)))
