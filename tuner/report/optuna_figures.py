"""Optuna's figures of a search: importances, parallel coordinates, a slice for each parameter.

They are drawn of a study rebuilt from the report's trials, not of the study's own file: so the
trials of every service have them, and axes show values as flags give them.
"""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna import visualization
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import PedAnovaImportanceEvaluator

from tuner.report.chart import Chart, compact, spread, text
from tuner.report.formats import short
from tuner.report.model import Report, Trial
from tuner.search.objective import direction
from tuner.spec.study_spec import CATEGORICAL, LOG, MINIMIZE, Parameter

LEAST_SCORES = 10  # different ones; with fewer, importances are mostly chance
LINES = 120  # trials in parallel coordinates
_MOST_TICKS = 4

_SCALE = [[0.0, "var(--scale-low)"], [1.0, "var(--scale-high)"]]


def figures(report: Report) -> dict[str, Chart]:
    """The figures that there are enough trials for."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = [n for n in report.space if len({t.parameters.get(n) for t in report.scored}) > 1]
    trials = [t for t in report.scored if all(name in t.parameters for name in names)]
    if len(trials) < 2 or not names:
        return {}
    study = functools.cache(lambda: _study(report, names, trials))
    wanted: dict[str, Callable[[], Chart]] = {}
    if has_enough_scores(report) and len(names) > 1:
        wanted["importances"] = lambda: _importances(study())
    if len(names) > 1:
        few = spread(trials, LINES)
        wanted["parallel"] = lambda: _parallel(_study(report, names, few), report)
    for index, name in enumerate(names):
        wanted[f"slice-{index}"] = functools.partial(lambda n: _slice(study(), report, n), name)
    found = {}
    for figure, make in wanted.items():
        # Optuna raises these, or only warns, if it cannot tell anything from the trials.
        with (
            contextlib.suppress(ValueError, RuntimeError, ArithmeticError, IndexError),
            warnings.catch_warnings(action="ignore"),
        ):
            found[figure] = make()
    return found


def has_enough_scores(report: Report) -> bool:
    """Whether importances and shares of variance would be more than chance."""
    return len({t.estimate.value for t in report.scored if t.estimate}) >= LEAST_SCORES


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


def _distribution(parameter: Parameter, values: Sequence[Any]) -> BaseDistribution:
    if parameter.type == CATEGORICAL or not all(map(_is_number, values)):
        return CategoricalDistribution(sorted({text(value) for value in values}))
    bounds = [bound for bound in (parameter.low, parameter.high) if bound is not None]
    known = [*values, *bounds]
    return FloatDistribution(min(known), max(known), log=parameter.scale == LOG and min(known) > 0)


def _point(axis: BaseDistribution, value: Any) -> Any:
    return text(value) if isinstance(axis, CategoricalDistribution) else float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _importances(study: optuna.Study) -> Chart:
    figure = visualization.plot_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    (bars,) = figure.to_dict()["data"]
    shares = sorted(zip(bars["x"], bars["y"], strict=True), reverse=True)
    bars |= {"marker": {"color": "var(--accent)"}, "hoverinfo": "skip", "hovertemplate": None}
    bars |= {"text": [f"{share:.0%}" for share in bars["x"]], "name": ""}
    layout = {
        "xaxis": {"visible": False, "range": [0, 1.15 * max(bars["x"])]},
        "yaxis": {"automargin": True, "showgrid": False},
        "bargap": 0.45,
        "margin": {"l": 48, "r": 16, "t": 4, "b": 4},
    }
    listed = ", ".join(f"{name} {share:.0%}" for share, name in shares)
    return compact(
        [bars], layout, f"Importance of each parameter: {listed}.", 20 + 36 * len(shares)
    )


def _parallel(study: optuna.Study, report: Report) -> Chart:
    figure = visualization.plot_parallel_coordinate(study, target_name=text(report.unit))
    found = figure.to_dict()
    layout = _only(found["layout"], ("xaxis", "yaxis", "annotations", "shapes"))
    for annotation in layout.get("annotations", ()):
        annotation |= {"font": {"size": 11, "color": "var(--ink)"}, "bgcolor": "var(--panel)"}
    for shape in layout.get("shapes", ()):
        shape["line"] = {"width": 1, "color": "var(--rule-strong)"}
    layout["margin"] = {"l": 48, "r": 48, "t": 16, "b": 40}
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
    label = (
        f"Parallel coordinates of {len(values)} trials: each line runs through a trial's values."
    )
    return compact(lines, layout, label, 400)


def _slice(study: optuna.Study, report: Report, name: str) -> Chart:
    found = visualization.plot_slice(study, params=[text(name)]).to_dict()
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
    values = [trial.params[text(name)] for trial in study.trials]
    if layout["xaxis"].get("type") == "log":
        ticks = _log_ticks(min(values), max(values))
        layout["xaxis"] |= {"tickvals": ticks, "ticktext": list(map(short, ticks))}
    return compact(found["data"], layout, f"{report.unit} of each trial against its {name}.", 230)


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers of a logarithmic axis that is a little wider than these bounds."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{step}e{decade}") for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low / 1.2 <= tick <= high * 1.2]
        if len(ticks) <= _MOST_TICKS:
            return ticks
    return spread(ticks, _MOST_TICKS)


def _only(layout: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: layout[name] for name in names if name in layout}
