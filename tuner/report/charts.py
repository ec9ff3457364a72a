"""Charts of learning curves and of agents' scores. Colours are names of the page's own."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from tuner.report.chart import Chart, compact, spread, text
from tuner.report.model import RUN, Report, Trial

SERIES = 6  # colours that the page has
_POINTS = 80  # of a curve
_TRIALS = 24  # whose agents are drawn


def curves(report: Report) -> Chart | None:
    """Mean scores over training, with the range over agents of the first trial."""
    drawn = curve_trials(report)
    data: list[dict[str, Any]] = []
    for index, trial in enumerate(drawn, 1):
        points = spread(trial.points, _POINTS)
        steps, scores = [point.step for point in points], [point.known for point in points]
        name = "mean" if report.kind == RUN else f"trial {text(trial.name)}"
        line = {"type": "scatter", "mode": "lines", "showlegend": False, "hoverinfo": "skip"}
        if index == 1:
            low, high = list(map(min, scores)), list(map(max, scores))
            band = {"fill": "toself", "fillcolor": "var(--band)", "line": {"width": 0}}
            data.append({**line, **band, "x": steps + steps[::-1], "y": high + low[::-1]})
        if report.kind == RUN:
            thin = {"line": {"color": "var(--series-1)", "width": 0.8}, "opacity": 0.35}
            data += [{**line, **thin, "x": steps, "y": y} for y in _agents(scores)]
        color = f"var(--series-{index})"
        data.append(
            {
                "type": "scatter",
                "x": steps,
                "y": list(map(statistics.fmean, scores)),
                "mode": "lines+markers" if len(points) < 3 else "lines",
                "line": {"color": color, "width": 2.5},
                "marker": {"color": color, "size": 8},
                "name": name,
                "hovertemplate": f"{name}: %{{y:.5g}} at %{{x:,}} steps<extra></extra>",
            }
        )
    if not data:
        return None
    layout = {
        "xaxis": {
            "title": {"text": "environment steps of each agent"},
            "rangemode": "tozero",
            "exponentformat": "SI",
            "minexponent": 3,
        },
        "yaxis": {"title": {"text": text(report.metric)}},
        "showlegend": len(drawn) > 1,
    }
    names = ", ".join(trial.name for trial in drawn)
    which = "the run" if report.kind == RUN else f"trials {names}"
    return compact(data, layout, f"Learning curves of {which}.", 400)


def strips(report: Report) -> Chart | None:
    """The score of every agent, trial by trial."""
    known = [trial for trial in report.scored if len(trial.run.scores.scores) > 1]
    drawn = spread(known, _TRIALS)
    if len(drawn) < 2:
        return None
    dots = [(index, score) for index, t in enumerate(drawn) for score in t.run.scores.scores]
    points = {"type": "scatter", "mode": "markers"}
    data = [
        {
            **points,
            "name": "agent",
            "x": [index for index, _ in dots],
            "y": [score for _, score in dots],
            "marker": {"color": "var(--series-1)", "size": 7, "opacity": 0.45},
            "hovertemplate": "%{y:.5g}<extra></extra>",
        },
        {
            **points,
            "name": "mean of a trial",
            "x": list(range(len(drawn))),
            "y": [statistics.fmean(trial.run.scores.scores) for trial in drawn],
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
    """The trials whose curves are drawn."""
    return [trial for trial in report.trials if trial.points][:SERIES]


def _agents(scores: Sequence[Sequence[float]]) -> list[list[float]]:
    """A curve for each agent, if there are several."""
    count = min(map(len, scores))
    return [[each[agent] for each in scores] for agent in range(count if count > 1 else 0)]
