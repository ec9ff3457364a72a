"""Charts of what was found. Colours are names of the page's own."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from tuner.report.model import RUN, Estimate, Point, Report, Trial
from tuner.report.plotly import Chart, compact, spread, text

SERIES = 6  # colours that the page has
POINTS = 80  # of a curve
STRIPS = 24  # trials whose agents are drawn


def charts(report: Report) -> dict[str, Chart]:
    """Those of our own, where there is something to draw."""
    found = {"trust": trust(report), "curves": curves(report), "strips": strips(report)}
    return {name: chart for name, chart in found.items() if chart is not None}


def trust(report: Report) -> Chart | None:
    """What the search claimed, and what fresh seeds made of it."""
    rows = trust_rows(report)
    if len(rows) < 2:
        return None
    names = [name for name, _, _ in rows]
    colors = [
        {"search": "var(--warn)", "defaults": "var(--muted)"}.get(stage, "var(--accent)")
        for _, stage, _ in rows
    ]
    found = [estimate for _, _, estimate in rows]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [estimate.value for estimate in found],
        "y": [text(name) for name in names],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [estimate.high - estimate.value for estimate in found],
            "arrayminus": [estimate.value - estimate.low for estimate in found],
            "thickness": 2,
            "width": 0,
            "color": "var(--rule-strong)",
        },
        "marker": {"size": 13, "color": colors, "line": {"width": 2, "color": "var(--panel)"}},
        "hovertemplate": "%{y}: %{x:.5g}<extra></extra>",
    }
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": text(report.metric)}, "zeroline": False},
        "yaxis": {"autorange": "reversed", "automargin": True, "showgrid": False},
    }
    claimed, shown = _gap(report)
    if claimed is not None and shown is not None:
        where = next((i for i, (_, stage, _) in enumerate(rows) if stage == "test"), 0)
        line = {"type": "line", "yref": "y", "line": {"width": 1.5, "color": "var(--warn)"}}
        layout["shapes"] = [
            line
            | {"x0": claimed, "x1": claimed, "y0": 0, "y1": where - 0.3}
            | {"line": {"width": 1.5, "color": "var(--warn)", "dash": "dot"}},
            line | {"x0": claimed, "x1": shown, "y0": where - 0.3, "y1": where - 0.3},
            line | {"x0": shown, "x1": shown, "y0": where - 0.3, "y1": where - 0.12},
        ]
        layout["annotations"] = [
            {
                "x": min(claimed, shown),
                "y": where - 0.3,
                "text": f"optimism {report.best['optimism_gap']:.4g}",
                "showarrow": False,
                "xanchor": "right",
                "xshift": -8,
                "font": {"color": "var(--warn)", "size": 12},
            }
        ]
    told = "; ".join(f"{name} {_said(estimate)}" for name, _, estimate in rows)
    return compact([trace], layout, f"Scores side by side: {told}.", 110 + 46 * len(rows))


def trust_rows(report: Report) -> list[tuple[str, str, Estimate]]:
    """Name, stage and score of each step that was taken with the winner."""
    winner = report.winner
    rows: list[tuple[str, str, Estimate]] = []
    if winner is None:
        return rows
    top = report.scored[0]
    if top.estimate and top.name != winner.name:
        rows.append((f"Search, best (trial {top.name})", "search", top.estimate))
    if winner.estimate:
        rows.append((f"Search (trial {winner.name})", "search", winner.estimate))
    if winner.name in report.confirmed:
        again = report.confirmed[winner.name][1]
        rows.append((f"Confirm, {again.agents} fresh seeds", "confirm", again))
    if report.best and "winner" in report.tested:
        test = report.tested["winner"][1]
        rows.append((f"Test, {test.agents} fresh seeds", "test", test))
    if report.best and "defaults" in report.tested:
        rows.append(("Defaults, same test", "defaults", report.tested["defaults"][1]))
    return rows


def curves(report: Report) -> Chart | None:
    """Means over agents, in bands from the least agent to the greatest."""
    drawn = curve_trials(report)
    data: list[dict[str, Any]] = []
    for index, trial in enumerate(drawn, 1):
        points = spread(trial.points, POINTS)
        steps = [point.step for point in points]
        low, high = ([pick(p.scores) for p in points] for pick in (min, max))
        name = "agents" if report.kind == RUN else f"trial {text(trial.name)}"
        color = f"var(--series-{index})"
        data.append(
            {
                "type": "scatter",
                "x": steps + steps[::-1],
                "y": high + low[::-1],
                "fill": "toself",
                "fillcolor": f"var(--series-{index}-band)",
                "line": {"width": 0},
                "mode": "lines",
                "hoverinfo": "skip",
                "showlegend": False,
                "legendgroup": name,
            }
        )
        if report.kind == RUN:
            data += _agents(points)
        data.append(
            {
                "type": "scatter",
                "x": steps,
                "y": [statistics.fmean(point.scores) for point in points],
                "mode": "lines+markers" if len(points) < 3 else "lines",
                "line": {"color": color, "width": 2.5},
                "marker": {"color": color},
                "name": "mean" if report.kind == RUN else name,
                "legendgroup": name,
                "hovertemplate": f"{name}: %{{y:.5g}} at %{{x:,}} steps<extra></extra>",
            }
        )
    if not data:
        return None
    layout = {
        "xaxis": {"title": {"text": "environment steps of each agent"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": text(report.metric)}},
        "showlegend": len(drawn) > 1,
    }
    names = ", ".join(trial.name for trial in drawn)
    of = "the run" if report.kind == RUN else f"trials {names}"
    return compact(data, layout, f"Learning curves of {of}, mean and range over agents.", 400)


def _agents(points: Sequence[Point]) -> list[dict[str, Any]]:
    """A thin line for each agent of a run that is alone on the page."""
    count = min(len(point.scores) for point in points)
    return [
        {
            "type": "scatter",
            "x": [point.step for point in points],
            "y": [point.scores[agent] for point in points],
            "mode": "lines",
            "line": {"color": "var(--series-1)", "width": 0.8},
            "opacity": 0.35,
            "hoverinfo": "skip",
            "showlegend": False,
        }
        for agent in range(count if count > 1 else 0)
    ]


def strips(report: Report) -> Chart | None:
    """Every agent of trials from best to worst: how far seeds scatter, how far trials differ."""
    known = [trial for trial in report.scored if len(trial.run.scores.scores) > 1]
    drawn = spread(known, STRIPS)
    if len(drawn) < 2:
        return None
    dots = [(index, score) for index, t in enumerate(drawn) for score in t.run.scores.scores]
    means = [statistics.fmean(trial.run.scores.scores) for trial in drawn]
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "an agent",
            "x": [index for index, _ in dots],
            "y": [score for _, score in dots],
            "marker": {"color": "var(--series-1)", "size": 7, "opacity": 0.45},
            "hovertemplate": "%{y:.5g}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "mean of a trial",
            "x": list(range(len(drawn))),
            "y": means,
            "marker": {
                "symbol": "line-ew",
                "size": 18,
                "line": {"color": "var(--warn)", "width": 3},
            },
            "hovertemplate": "mean %{y:.5g}<extra></extra>",
        },
    ]
    layout = {
        "xaxis": {
            "title": {"text": "trial, best first"},
            "tickvals": list(range(len(drawn))),
            "ticktext": [text(trial.name) for trial in drawn],
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {"title": {"text": text(report.metric)}},
        "showlegend": True,
    }
    label = f"The score of every agent of {len(drawn)} trials, best trial first."
    return compact(data, layout, label, 360)


def curve_trials(report: Report) -> list[Trial]:
    return [trial for trial in report.trials if trial.points][:SERIES]


def _gap(report: Report) -> tuple[float | None, float | None]:
    """What the search claimed for its best trial, and what the winner's test shows."""
    tuning, gap = report.best.get("tuning"), report.best.get("optimism_gap")
    claimed = tuning.get("claimed") if isinstance(tuning, dict) else None
    if not isinstance(claimed, int | float) or not isinstance(gap, int | float):
        return None, None
    if "winner" not in report.tested:
        return None, None
    return float(claimed), report.tested["winner"][1].value


def _said(found: Estimate) -> str:
    return f"{found.value:.4g} ({found.low:.4g} to {found.high:.4g})"
