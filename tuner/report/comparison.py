"""The winner's score at each stage, search, confirm and test, beside that of the defaults."""

from __future__ import annotations

from typing import Any, NamedTuple

from trainer.contract.run_record import number
from tuner.report.chart import Chart, compact, text
from tuner.report.model import Estimate, Report

_COLORS = {"search": "var(--warn)", "defaults": "var(--muted)"}


class Stage(NamedTuple):
    """One row of the comparison."""

    name: str
    kind: str  # search, confirm, test or defaults
    estimate: Estimate


def stages(report: Report) -> list[Stage]:
    """The stages that the winner went through."""
    winner = report.winner
    if winner is None or winner.estimate is None:
        return []
    rows = [Stage(f"Search (trial {winner.name})", "search", winner.estimate)]
    top = report.scored[0]
    if top.estimate and top is not winner:
        rows.insert(0, Stage(f"Search, best (trial {top.name})", "search", top.estimate))
    fresh = [("Confirm", "confirm", report.confirmed.get(winner.name))]
    if report.best:
        fresh += [
            ("Test", "test", report.tested.get("winner")),
            ("Defaults, test", "defaults", report.tested.get("defaults")),
        ]
    return rows + [Stage(name, kind, found[1]) for name, kind, found in fresh if found]


def chart(report: Report) -> Chart | None:
    """The stages side by side, with the optimism of the search; None if there is one only."""
    rows = stages(report)
    if len(rows) < 2:
        return None
    found = [row.estimate for row in rows]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [estimate.value for estimate in found],
        "y": [text(row.name) for row in rows],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [estimate.high - estimate.value for estimate in found],
            "arrayminus": [estimate.value - estimate.low for estimate in found],
            "thickness": 2,
            "width": 0,
            "color": "var(--rule-strong)",
        },
        "marker": {
            "size": 13,
            "color": [_COLORS.get(row.kind, "var(--accent)") for row in rows],
            "line": {"width": 2, "color": "var(--panel)"},
        },
        "hovertemplate": "%{y}: %{x:.5g}<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": text(report.unit)}, "zeroline": False},
        "yaxis": {"autorange": "reversed", "automargin": True, "showgrid": False},
        **_optimism(report, rows),
    }
    texts = (f"{name} {e.value:.4g} ({e.low:.4g} to {e.high:.4g})" for name, _, e in rows)
    label = f"Scores of each stage: {'; '.join(texts)}."
    return compact([trace], layout, label, 110 + 46 * len(rows))


def _optimism(report: Report, rows: list[Stage]) -> dict[str, Any]:
    """A bracket between the score of the search and that of the test."""
    tuning, gap = report.best.get("tuning"), number(report.best.get("optimism_gap"))
    claimed = number(tuning.get("claimed")) if isinstance(tuning, dict) else None
    tested = [(y, row.estimate.value) for y, row in enumerate(rows) if row.kind == "test"]
    if claimed is None or gap is None or not tested:
        return {}
    y, shown = tested[0]
    points = [(claimed, 0, claimed, y - 0.3), (claimed, y - 0.3, shown, y - 0.3)]
    return {
        "shapes": [
            {"type": "line", "x0": x0, "y0": y0, "x1": x1, "y1": y1}
            | {"line": {"width": 1.5, "color": "var(--warn)", "dash": "dot"}}
            for x0, y0, x1, y1 in [*points, (shown, y - 0.3, shown, y - 0.12)]
        ],
        "annotations": [
            {
                "x": min(claimed, shown),
                "y": y - 0.3,
                "text": f"optimism {gap:.3g}",
                "showarrow": False,
                "xanchor": "right",
                "xshift": -8,
                "font": {"color": "var(--warn)", "size": 12},
            }
        ],
    }
