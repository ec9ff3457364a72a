"""A trained CartPole policy as part of a page: it runs in the browser, and the reader can push it.

The policy's file may come from anywhere, so all of it is checked and escaped.
"""

from __future__ import annotations

import json
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

_PAGE = Path(__file__).with_name("assets")
_SCRIPTS = ("cartpole.js", "drawing.js", "game.js", "display.js", "controls.js")
ENVIRONMENTS = ("CartPole-v0", "CartPole-v1")
OBSERVATIONS, ACTIONS = 4, 2
MOST_SNAPSHOTS = 6
_LARGEST = 3e38  # of a float32


class Part(NamedTuple):
    """The content of `<section id="play">`, its style sheet, and the script at the page's end."""

    markup: str
    style: str
    script: str


def section(policy_json_text: str) -> Part | None:
    """The part of the page; None if the text is not a valid policy for CartPole."""
    try:
        policy = _checked(json.loads(policy_json_text))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    template = jinja2.Template(_source("play.html"), autoescape=True, trim_blocks=True)
    markup = template.render(policy)
    # No label may look like the end of the script element.
    data = json.dumps(policy, separators=(",", ":")).replace("<", r"\u003c")
    parts = [f"const policy = {data};", policy_script(), *map(_source, _SCRIPTS)]
    return Part(
        markup, _source("play.css"), "\n".join(['(() => {\n"use strict";', *parts, "})();"])
    )


def policy_script() -> str:
    """The functions that evaluate a policy: those of the JavaScript that runs export."""
    return resources.files("trainer.contract").joinpath("policy.js").read_text(encoding="utf-8")


def _source(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _checked(content: Any) -> dict[str, Any]:
    """The parts of a policy's file that the page needs.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: it is not a policy for CartPole.
    """
    limit = content["max_episode_steps"]
    snapshots = [_snapshot(snapshot) for snapshot in content["snapshots"]]
    sound = (
        content["environment"] in ENVIRONMENTS
        and content["actions"] == ACTIONS
        and _is_count(limit)
        and limit > 0
        and 0 < len(snapshots) <= MOST_SNAPSHOTS
    )
    if not sound:
        raise ValueError("not a policy for CartPole")
    return {"max_episode_steps": limit, "snapshots": snapshots}


def _snapshot(content: Any) -> dict[str, Any]:
    label, steps, score = content["label"], content["steps"], content["score"]
    printable = isinstance(label, str) and label.isprintable() and len(label) <= 40
    if not printable or not _is_count(steps):
        raise ValueError("not a snapshot")
    layers: list[dict[str, Any]] = [
        {"kernel": [_numbers(row) for row in layer["kernel"]], "bias": _numbers(layer["bias"])}
        for layer in content["layers"]
    ]
    widths = [OBSERVATIONS, *(len(layer["bias"]) for layer in layers)]
    for (inputs, outputs), layer in zip(pairwise(widths), layers, strict=True):
        if [len(row) for row in layer["kernel"]] != [outputs] * inputs:
            raise ValueError("the layers do not fit each other")
    if not layers or widths[-1] != ACTIONS:
        raise ValueError("the outputs are not CartPole's")
    return {
        "label": label,
        "steps": steps,
        "score": None if score is None else _numbers([score])[0],
        "layers": layers,
    }


def _numbers(values: Any) -> list[float]:
    if not isinstance(values, list):
        raise TypeError("not a list")
    if not all(type(x) in (int, float) and abs(x) < _LARGEST for x in values):
        raise ValueError("not numbers of float32")
    return [float(x) for x in values]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53
