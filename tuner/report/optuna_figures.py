"""Optuna's own figures of a search, of a study that is made again from the trials.

Again, and not from its file: so trials of every service have them, axes show values as flags do,
and a mirrored logarithm reads from left to right.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna import visualization
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import PedAnovaImportanceEvaluator

from tuner.report.model import Axis, Report, Trial
from tuner.report.plotly import Chart, compact, spread, text
from tuner.search.objective import direction
from tuner.spec.study_spec import CATEGORICAL, MINIMIZE

LEAST_TRIALS = 4  # with a score, before importances mean anything
LINES = 120  # trials in parallel coordinates

_SCALE = [[0.0, "var(--scale-low)"], [1.0, "var(--scale-high)"]]


def figures(report: Report) -> dict[str, Chart]:
    """Importances, parallel coordinates, and a slice for each parameter, where there are any."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = [name for name, axis in report.space.items() if _varies(axis, name, report.scored)]
    trials = [t for t in report.scored if all(name in t.parameters for name in names)]
    if len(trials) < 2 or not names:
        return {}
    study = _study(report, names, trials)
    found = {}
    if len(trials) >= LEAST_TRIALS and len(names) > 1:
        found["importances"] = _made(lambda: _importances(study, report))
    if len(names) > 1:
        few = _study(report, names, spread(trials, LINES))
        found["parallel"] = _made(lambda: _parallel(few, report, min(len(trials), LINES)))
    for index, name in enumerate(names):
        found[f"slice-{index}"] = _made(
            lambda name=name: _slice(study, report, name)  # type: ignore[misc]
        )
    return {name: chart for name, chart in found.items() if chart is not None}


def _varies(axis: Axis, name: str, trials: Sequence[Trial]) -> bool:
    return len({trial.parameters.get(name) for trial in trials}) > 1


def _study(report: Report, names: Sequence[str], trials: Sequence[Trial]) -> optuna.Study:
    axes = {
        text(name): _distribution(report.space[name], [t.parameters[name] for t in trials])
        for name in names
    }
    toward = direction(report.objective, report.goal)
    study = optuna.create_study(direction="minimize" if toward == MINIMIZE else "maximize")
    ordered = sorted(trials, key=lambda t: (not t.name.isdigit(), len(t.name), t.name))
    study.add_trials(
        [
            optuna.create_trial(
                params={text(n): _point(axes[text(n)], t.parameters[n]) for n in names},
                distributions=axes,
                value=t.estimate.value,
            )
            for t in ordered
            if t.estimate is not None
        ]
    )
    return study


def _distribution(axis: Axis, values: Sequence[Any]) -> BaseDistribution:
    if axis.type == CATEGORICAL or not all(map(_is_number, values)):
        return CategoricalDistribution(sorted({text(value) for value in values}))
    known = [*values, *(x for x in (axis.low, axis.high) if x is not None)]
    return FloatDistribution(min(known), max(known), log=axis.log and min(known) > 0)


def _point(axis: BaseDistribution, value: Any) -> Any:
    return text(value) if isinstance(axis, CategoricalDistribution) else float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _made(make: Callable[[], Chart]) -> Chart | None:
    """A figure, or None where Optuna finds too little in the trials for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return make()
        except (ValueError, RuntimeError, ZeroDivisionError, IndexError):
            return None


def _importances(study: optuna.Study, report: Report) -> Chart:
    figure = visualization.plot_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    found = figure.to_dict()
    (bars,) = found["data"]
    order = [
        f"{name} {share:.0%}"
        for share, name in sorted(zip(bars["x"], bars["y"], strict=True), reverse=True)
    ]
    bars |= {"marker": {"color": "var(--accent)"}, "hoverinfo": "skip", "hovertemplate": None}
    bars |= {"text": [f"{share:.0%}" for share in bars["x"]], "name": ""}
    layout: dict[str, Any] = {
        "xaxis": {"visible": False, "range": [0, 1.15 * max(bars["x"])]},
        "yaxis": {"automargin": True, "showgrid": False},
        "bargap": 0.45,
    }
    height = 70 + 38 * len(bars["y"])
    label = f"Importance of each parameter: {', '.join(order)}."
    return compact(found["data"], layout, label, height)


def _parallel(study: optuna.Study, report: Report, count: int) -> Chart:
    figure = visualization.plot_parallel_coordinate(study, target_name=text(report.metric))
    found = figure.to_dict()
    layout = _only(found["layout"], ("xaxis", "yaxis", "annotations", "shapes"))
    for annotation in layout.get("annotations", ()):
        annotation["font"] = {"size": 11, "color": "var(--ink)"}
        annotation["bgcolor"] = "var(--panel)"
    for shape in layout.get("shapes", ()):
        shape["line"] = {"width": 1, "color": "var(--rule-strong)"}
    values = [trial.value or 0.0 for trial in study.trials]
    low, high = min(values), max(values)
    lines = [trace for trace in found["data"] if trace.get("mode") == "lines"]  # no colour bar
    for line, value in zip(lines, values, strict=False):
        share = (value - low) / (high - low or 1.0)
        if direction(report.objective, report.goal) == MINIMIZE:
            share = 1 - share
        line["line"] = {"color": f"mix({share:.2f})", "width": 1.6}
        line |= {"opacity": round(0.4 + 0.5 * share, 2), "hoverinfo": "skip"}
        for unused in ("customdata", "hovertemplate"):
            line.pop(unused, None)
    label = f"Parallel coordinates of {count} trials: each line is a trial, through its values."
    return compact(lines, layout, label, 400)


def _slice(study: optuna.Study, report: Report, name: str) -> Chart:
    figure = visualization.plot_slice(study, params=[text(name)])
    found = figure.to_dict()
    for trace in found["data"]:
        trace["marker"] = {
            "color": trace["marker"]["color"],
            "colorscale": _SCALE,
            "showscale": False,
            "size": 7 if len(study.trials) < 200 else 4,
            "line": {"color": "var(--panel)", "width": 0.5},
        }
        trace["hovertemplate"] = "%{x}<br>%{y:.5g}<extra></extra>"
        trace["type"] = "scattergl" if len(study.trials) > 2000 else "scatter"
    layout = _only(found["layout"], ("xaxis", "yaxis"))
    layout["yaxis"] = {"nticks": 5}
    layout["xaxis"] |= {"nticks": 5}
    label = f"{report.metric} of each trial against its {name}."
    return compact(found["data"], layout, label, 230)


def _only(layout: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: layout[name] for name in names if name in layout}
