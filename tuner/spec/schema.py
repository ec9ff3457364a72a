"""Checks values against a description of their fields, as strictly as gcloud does.

A description is one of: TEXT, WHOLE, NUMBER, SWITCH, ANY; a tuple of the words that may stand
there; a list with the description of its items; a dict of fields; LABELS.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tuner.spec.diagnostics import ERROR, Finding, Place, did_you_mean, shown
from tuner.spec.yaml_tree import Value

TEXT, WHOLE, NUMBER, SWITCH = "text", "a whole number", "a number", "true or false"
ANY = "anything"  # what the service fills in, and what a search has no use for
LABELS = "labels"

Description = Any  # it is recursive, which types say badly


def check(value: Value, description: Description, name: str) -> Iterator[Finding]:
    """What is wrong with the value of `name`."""
    if description == ANY:
        return
    wrong = None
    if value.content is None:
        wrong = f"{name} has no value. Write one, or delete the line."
    elif isinstance(description, dict) or description == LABELS:
        if isinstance(value.content, dict):
            yield from _check_fields(value.content, description, name)
        else:
            wrong = _must_be("a mapping", name, value)
    elif isinstance(description, list):
        if isinstance(value.content, list):
            for item in value.content:
                yield from check(item, description[0], f"an item of {name}")
        else:
            wrong = f"{_must_be('a list', name, value)} Begin each item with a hyphen."
    elif isinstance(description, tuple):
        if value.content not in description:
            words = f"one of {', '.join(description)}"
            wrong = _must_be(words, name, value) + did_you_mean(_shown(value), description)
    else:
        wrong = _scalar(value, description, name)
    if wrong:
        yield Finding(ERROR, _place(value), wrong)


def _check_fields(
    content: dict[str, Value], description: Description, name: str
) -> Iterator[Finding]:
    for field, value in content.items():
        if description == LABELS:
            yield from check(value, TEXT, f"the label {shown(field)}")
        elif field in description:
            yield from check(value, description[field], field)
        else:
            ours = sorted(name for name, kind in description.items() if kind != ANY)
            hint = did_you_mean(field, ours) or f" Its fields are {', '.join(ours)}."
            place = value.key_place or value.place
            yield Finding(ERROR, place, f"{shown(field)} is not a field of {name}.{hint}")


def _scalar(value: Value, description: str, name: str) -> str | None:
    good = {
        TEXT: isinstance(value.content, str),
        SWITCH: isinstance(value.content, bool),
        NUMBER: value.number is not None,
        WHOLE: isinstance(value.number, int),  # gcloud refuses 5.0
    }
    if good[description]:
        return None
    wrong = _must_be(description, name, value)
    if description == TEXT and not isinstance(value.content, list | dict):
        return f"{wrong} Put it in quotes."
    if description == WHOLE and value.whole is not None:
        return f"{wrong} Write {value.whole}."
    return wrong


def _must_be(description: str, name: str, value: Value) -> str:
    if description in (NUMBER, WHOLE) and isinstance(value.content, float) and value.number is None:
        description += " and finite"
    return f"{name} must be {description}, but is {_shown(value)}."


def _shown(value: Value) -> str:
    if isinstance(value.content, list):
        return "a list"
    if isinstance(value.content, dict):
        return "a mapping"
    return shown(value.content).lower() if isinstance(value.content, bool) else shown(value.content)


def _place(value: Value) -> Place:
    """Where to look: at the line of the name, if it has no value of its own."""
    return (value.key_place or value.place) if value.content is None else value.place
