"""Tables made from the code: the flags, the fields of both dialects, the modules."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IGNORED = "filled in by the service, or without a meaning here"


def filled(markdown: str) -> str:
    """A page's text with `<!-- name -->` replaced by the table of that name."""
    tables = {
        "flags": flags,
        "presets": presets,
        "fields of AI Platform": lambda: fields("AI_PLATFORM"),
        "fields of Vertex AI": lambda: fields("VERTEX_AI"),
    }
    return re.sub(r"^<!-- (.*) -->$", lambda name: tables[name[1]](), markdown, flags=re.MULTILINE)


def flags() -> str:
    """A heading and a table for each group, from the fields that the program makes its flags of."""
    from trainer.contract.presets import preset
    from trainer.contract.settings import UNUSED, Hyperparameters, RunOptions

    for_pg = preset("pg", RunOptions.environment)
    parts = []
    for kind in (Hyperparameters, RunOptions):
        rows = []
        for field in dataclasses.fields(kind):
            facts = field.metadata
            pg = for_pg.get(field.name, field.default)
            theirs = "unused" if field.name in UNUSED["pg"] else f"`{pg}`"
            takes = facts["range"] or ", ".join(f"`{choice}`" for choice in facts["choices"])
            if theirs == f"`{field.default}`":
                theirs = ""
            plain = str(field.default).lower() if field.type == "bool" else field.default
            default = "new, under `runs/`" if field.name == "job_dir" else f"`{plain}`"
            rows.append([f"`--{field.name}`", default, theirs, takes, facts["help"]])
        summary = (kind.__doc__ or "").splitlines()[0]
        title = "Hyperparameters" if kind is Hyperparameters else "Run options"
        head = ["flag", "default", "PG's", "takes", "what it is"]
        parts.append(f"## {title}\n\n{summary}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def presets() -> str:
    """What stands in place of the defaults, and where."""
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
    """Every field that a dialect knows, and what it takes."""

    from tuner.spec import google_schemas

    rows = [[f"`{name}`", takes] for name, takes in _fields(getattr(google_schemas, dialect))]
    return table(["field", "takes"], rows)


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


def modules(package: str) -> list[str]:
    """The modules of a package that have a page: dotted names below it."""
    names = (
        ".".join(path.relative_to(ROOT / package).with_suffix("").parts)
        for path in sorted((ROOT / package).rglob("*.py"))
    )
    return [name for name in names if not name.endswith(("__init__", "__main__"))]


def package_page(package: str) -> str:
    """A package's modules, and the job of each in its own words."""
    rows = []
    for name in modules(package):
        source = (ROOT / package / Path(*name.split("."))).with_suffix(".py")
        job = (ast.get_docstring(ast.parse(source.read_bytes())) or "").split("\n\n")[0]
        rows.append([f"[{name}]({package}/{name}.md)", job.replace("\n", " ").replace("|", "\\|")])
    return f"# {package}\n\n{table(['module', 'job'], rows)}\n"


def table(head: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
