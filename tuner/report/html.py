"""A report as one page of HTML that needs nothing else."""

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

from tuner.report import checklist, summary
from tuner.report.charts import charts, curve_trials, trust_rows
from tuner.report.model import Report
from tuner.report.optuna_figures import LINES, figures
from tuner.report.playground import Part
from tuner.report.plotly import Chart
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
    environment.filters |= {"short": summary.short, "score": summary.score, "big": summary.big}
    drawn = charts(report) | figures(report)
    found = noise(summary.groups(report.scored)) if len(report.scored) > 1 else None
    budget = summary.budget(report)
    return environment.get_template("report.html").render(
        report=report,
        play=play,
        headline=summary.headline(report),
        facts=summary.facts(report, found),
        rows=summary.rows(report),
        states=sorted({trial.state for trial in report.trials}),
        charts=drawn,
        slices=[name for name in drawn if name.startswith("slice-")],
        lines=LINES,
        trust=trust_rows(report),
        curves=curve_trials(report),
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


def as_json(drawn: Mapping[str, Chart]) -> Markup:
    """JSON that may stand in a script: nothing in it ends one or begins another."""
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


def _file(name: str) -> str:
    return (resources.files("tuner.report") / "assets" / name).read_text(encoding="utf-8")


def _raw(name: str) -> Markup:
    """Our own, which ends no element that it stands in."""
    return Markup(_file(name))
