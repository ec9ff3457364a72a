"""Checks the fields of a file against a description of them, as strictly as gcloud does.

A description is TEXT, WHOLE, NUMBER, SWITCH, ANY or LABELS; a tuple of the words that may be given;
a list with the description of its items; or a dict of fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trainer.contract.text import did_you_mean, nearest, shown
from tuner.spec.diagnostics import ERROR, Diagnostic
from tuner.spec.yaml_tree import Value

TEXT, WHOLE, NUMBER, SWITCH = "text", "a whole number", "a number", "true or false"
ANY = "anything"  # fields that the service fills in, or that a search does not use
LABELS = "labels"

Description = Any  # recursive, which is awkward to express as a type


def check(value: Value, description: Description, name: str) -> Iterator[Diagnostic]:
    """What is wrong with the value of `name`."""
    content, wrong = value.content, ""
    if description == ANY:
        return
    if content is None:
        at = value.key_location or value.location
        yield Diagnostic(ERROR, at, f"{name} has no value. Write one, or delete the line.")
    elif isinstance(description, dict) and isinstance(content, dict):
        yield from _check_fields(content, description, name)
    elif description == LABELS and isinstance(content, dict):
        for label, text in content.items():
            yield from check(text, TEXT, f"the label {shown(label)}")
    elif isinstance(description, list) and isinstance(content, list):
        for item in content:
            yield from check(item, description[0], f"an item of {name}")
    elif isinstance(description, dict) or description == LABELS:
        wrong = "a mapping."
    elif isinstance(description, list):
        wrong = "a list. Begin each item with a hyphen."
    elif isinstance(description, tuple):
        if content not in description:
            near = did_you_mean(nearest(_shown(value), description))
            wrong = f"one of {', '.join(description)}.{near}"
    else:
        wrong = _wrong_scalar(value, description)
    if wrong:
        yield Diagnostic(ERROR, value.location, f"{name}: {_shown(value)} is not {wrong}")


def _check_fields(
    content: dict[str, Value], description: dict[str, Description], name: str
) -> Iterator[Diagnostic]:
    for field, value in content.items():
        if field in description:
            yield from check(value, description[field], field)
        else:
            known = sorted(known for known, kind in description.items() if kind != ANY)
            hint = did_you_mean(nearest(field, known, cutoff=0.7))
            hint = hint or f" Its fields are {', '.join(known)}."
            message = f"{shown(field)} is not a field of {name}.{hint}"
            yield Diagnostic(ERROR, value.key_location or value.location, message)


def _wrong_scalar(value: Value, description: str) -> str:
    good = {
        TEXT: isinstance(value.content, str),
        SWITCH: isinstance(value.content, bool),
        NUMBER: value.number is not None,
        WHOLE: isinstance(value.number, int),  # gcloud refuses 5.0
    }
    if good[description]:
        return ""
    if description == TEXT and not isinstance(value.content, list | dict):
        return f"{description}. Put it in quotes."
    if description == WHOLE and value.integer is not None:
        return f"{description}. Write {value.integer}."
    endless = isinstance(value.content, float) and value.number is None
    return f"{'a finite number' if endless else description}."


def _shown(value: Value) -> str:
    if isinstance(value.content, list | dict):
        return "a list" if isinstance(value.content, list) else "a mapping"
    return shown(value.content).lower() if isinstance(value.content, bool) else shown(value.content)
