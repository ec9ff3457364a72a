"""Markdown tables made from the code: flags, presets, and the fields of both YAML dialects."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

IGNORED = "anything; set by the service, or not used here"


def filled(markdown: str) -> str:
    """Returns a page's text with each line `<!-- name -->` replaced by the table of that name."""
    tables = {
        "flags": flags,
        "presets": presets,
        "fields of AI Platform": lambda: fields("AI_PLATFORM"),
        "fields of Vertex AI": lambda: fields("VERTEX_AI"),
    }
    return re.sub(r"^<!-- (.*) -->$", lambda name: tables[name[1]](), markdown, flags=re.MULTILINE)


def flags() -> str:
    """Returns a heading and a table for each group of flags, from the settings' dataclasses."""
    from trainer.contract.presets import preset
    from trainer.contract.settings import UNUSED, Hyperparameters, RunOptions

    others = {name: preset(name, RunOptions.environment) for name in ("pg", "ppo")}
    parts = []
    for kind in (Hyperparameters, RunOptions):
        rows = []
        for field in dataclasses.fields(kind):
            facts = field.metadata
            takes = facts["range"] or ", ".join(f"`{choice}`" for choice in facts["choices"])
            theirs = [
                "unused" if field.name in UNUSED[name]
                else f"`{chosen[field.name]}`" if field.name in chosen
                else ""
                for name, chosen in others.items()
            ]  # fmt: skip
            plain = str(field.default).lower() if field.type == "bool" else field.default
            default = "new, under `runs/`" if field.name == "job_dir" else f"`{plain}`"
            rows.append([f"`--{field.name}`", default, *theirs, takes, facts["help"]])
        summary = (kind.__doc__ or "").splitlines()[0]
        title = "Hyperparameters" if kind is Hyperparameters else "Run options"
        head = ["flag", "default", "for PG", "for PPO", "range or choices", "meaning"]
        parts.append(f"## {title}\n\n{summary}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def presets() -> str:
    """Returns the table of presets: which defaults depend on algorithm and environment."""
    from trainer.contract.presets import PRESETS

    return table(
        ["algorithm", "environment", "flags"],
        [
            [algorithm, "any" if environment == "*" else environment,
             " ".join(f"`--{name}={value}`" for name, value in chosen.items())]
            for (algorithm, environment), chosen in PRESETS.items()
        ],
    )  # fmt: skip


def fields(dialect: str) -> str:
    """Returns the table of a dialect's fields and the values that each takes."""
    from tuner.spec import google_schemas

    rows = [[f"`{name}`", takes] for name, takes in _fields(getattr(google_schemas, dialect))]
    return table(["field", "value"], rows)


def _fields(description: Any, path: str = "") -> Iterator[tuple[str, str]]:
    for name, kind in description.items():
        here = f"{path}.{name}" if path else name
        items = ""
        if isinstance(kind, list):
            kind, items, here = kind[0], "a list of ", f"{here}[]"
        if isinstance(kind, dict):
            yield from _fields(kind, here)
        elif isinstance(kind, tuple):
            yield here, items + ", ".join(f"`{word}`" for word in kind)
        else:
            yield here, items + (IGNORED if kind == "anything" else kind)


def table(head: list[str], rows: list[list[Any]]) -> str:
    """Returns a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
