"""Renders a report as one HTML page that needs no other file and no network."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
import plotly.offline
from markupsafe import Markup

from tuner.report import charts, checklist, comparison, formats, leaderboard, summary
from tuner.report.chart import Chart
from tuner.report.model import Report
from tuner.report.optuna_figures import LEAST_SCORES, LINES, figures, has_enough_scores
from tuner.report.playground import Part
from tuner.report.runs import WITH_INTERVAL
from tuner.report.seed_noise import noise


def render(report: Report, play: Part | None = None) -> str:
    """The page. The same report gives the same page."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    score = formats.scores(_shown(report))
    environment.filters |= {
        "short": formats.short,
        "score": score,
        "big": formats.big,
        "breakable": _breakable,
    }
    own = {
        "stages": comparison.chart(report),
        "curves": charts.curves(report),
        "strips": charts.strips(report),
    }
    drawn = {name: chart for name, chart in own.items() if chart} | figures(report)
    enough = has_enough_scores(report)
    found = noise([t.run.scores.scores for t in report.scored]) if enough else None
    budget = summary.budget(report)
    page = environment.get_template("report.html").render(
        report=report,
        play=play,
        headline=summary.headline(report),
        measure=summary.measure(report),
        spread="95% interval" if report.objective in WITH_INTERVAL else "range of agents",
        facts=summary.facts(report, found, score),
        rows=leaderboard.rows(report),
        states=sorted({trial.state for trial in report.trials}),
        charts=drawn,
        slices=[name for name in drawn if name.startswith("slice-")],
        enough=enough,
        least_scores=LEAST_SCORES,
        lines=LINES,
        stages=comparison.stages(report),
        curves=charts.curve_trials(report),
        videos=_videos(report),
        noise=found,
        budget=budget,
        budget_total=sum(steps for _, steps in budget),
        command=checklist.command(report),
        checklist=checklist.checklist(report),
        style=_raw("report.css"),
        script=_raw("report.js"),
        plotly=Markup(plotly.offline.get_plotlyjs()) if drawn else "",
        charts_json=as_json(drawn),
    )
    return page.encode("utf-8", "replace").decode()  # names of files may not be UTF-8


def _shown(report: Report) -> list[float]:
    """The numbers in the tables of scores."""
    steps = [*report.confirmed.values(), *report.tested.values()]
    found = [trial.estimate for trial in report.scored] + [estimate for _, estimate in steps]
    return [number for e in found if e for number in (e.value, e.low, e.high)]


def as_json(drawn: Mapping[str, Chart]) -> Markup:
    """JSON for a script element, escaped so that it cannot end the element or begin another."""
    content = {name: dataclasses.asdict(chart) for name, chart in drawn.items()}
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _videos(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "which": which,
            "trial": trial,
            "uri": f"data:video/mp4;base64,{base64.b64encode(video).decode()}",
        }
        for which, (trial, video) in report.videos.items()
    ]


def _breakable(name: str) -> Markup:
    """A name with a line break opportunity after each underscore."""
    return Markup("_<wbr>").join(name.split("_"))


def _file(name: str) -> str:
    return (resources.files("tuner.report") / "assets" / name).read_text(encoding="utf-8")


def _raw(name: str) -> Markup:
    """One of our own assets. None of them contains the end tag of its element."""
    return Markup(_file(name))
