"""What the training services accept, read from gcloud's own generated classes.

Source text, never imported, so that none of gcloud's bundled libraries get between ours.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

CLIENTS = Path("lib/googlecloudsdk/generated_clients/apis")
JSON_TYPES: dict[str, tuple[type, ...]] = {
    "StringField": (str,),
    "BytesField": (str,),
    "BooleanField": (bool,),
    "FloatField": (int, float),
}


def find_sdk() -> Path | None:
    """Where gcloud lies with its message classes; None where either is missing."""
    gcloud = shutil.which("gcloud")
    sdk = Path(gcloud).resolve().parent.parent if gcloud else None
    return sdk if sdk and (sdk / CLIENTS).is_dir() else None


class Field(NamedTuple):
    """One field of a message: its kind, the class it refers to if any, and whether it is a list."""

    kind: str
    refers_to: str
    repeated: bool


@dataclass(frozen=True)
class Schema:
    """The messages and enums of one generated client, by qualified name."""

    messages: Mapping[str, Mapping[str, Field]]
    enums: Mapping[str, frozenset[str]]

    def complaints(self, value: Any, message: str, at: str) -> Iterator[str]:
        """What the service would refuse in `value`, which should be a `message`."""
        if not isinstance(value, dict):
            yield f"Invalid value at '{at}': a {message} must be an object, got {value!r}"
            return
        fields = self.messages[message]
        if "additionalProperties" in fields:  # a map: its keys are the user's
            return
        for name, item in value.items():
            if name not in fields:
                yield f"Unknown name \"{name}\" at '{at}': Cannot find field."
                continue
            here, field = f"{at}.{name}", fields[name]
            if not field.repeated:
                yield from self._of_field(item, field, message, here)
            elif isinstance(item, list):
                for index, element in enumerate(item):
                    yield from self._of_field(element, field, message, f"{here}[{index}]")
            else:
                yield f"Invalid value at '{here}': must be a list, got {item!r}"

    def _of_field(self, value: Any, field: Field, message: str, at: str) -> Iterator[str]:
        if field.kind == "MessageField":
            if not field.refers_to.startswith("extra_types."):  # free JSON
                yield from self.complaints(value, self._find(field.refers_to, message), at)
        elif field.kind == "EnumField":
            words = self.enums[self._find(field.refers_to, message)]
            if not isinstance(value, str) or value not in words:
                yield f"Invalid value at '{at}': {value!r} is none of {sorted(words)}"
        elif not _scalar(value, field.kind):
            yield f"Invalid value at '{at}' ({field.kind}): {value!r}"

    def _find(self, name: str, inside: str) -> str:
        nested = f"{inside}.{name}"
        return nested if nested in self.messages or nested in self.enums else name


@cache
def schema(sdk: Path, api: str) -> Schema:
    """The schema of `ml` or `aiplatform` in the gcloud that lies in `sdk`."""
    source = (sdk / CLIENTS / api / "v1" / f"{api}_v1_messages.py").read_text(encoding="utf-8")
    messages: dict[str, dict[str, Field]] = {}
    enums: dict[str, frozenset[str]] = {}

    def visit(node: ast.ClassDef, outer: str) -> None:
        name = f"{outer}{node.name}"
        assigned = {
            target.id: statement.value
            for statement in node.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        if ast.unparse(node.bases[0]).endswith(".Enum"):
            enums[name] = frozenset(assigned)
            return
        messages[name] = {
            key: _field(call) for key, call in assigned.items() if isinstance(call, ast.Call)
        }
        for statement in node.body:
            if isinstance(statement, ast.ClassDef):
                visit(statement, f"{name}.")

    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ClassDef):
            visit(statement, "")
    return Schema(messages, enums)


def _field(call: ast.Call) -> Field:
    assert isinstance(call.func, ast.Attribute)
    first = call.args[0]
    refers_to = first.value if isinstance(first, ast.Constant) else ""
    repeated = any(keyword.arg == "repeated" for keyword in call.keywords)
    return Field(call.func.attr, refers_to if isinstance(refers_to, str) else "", repeated)


def _scalar(value: Any, kind: str) -> bool:
    """Whether JSON's `value` may stand for a field of this kind."""
    if isinstance(value, bool):  # which Python takes for an integer
        return kind == "BooleanField"
    if kind == "IntegerField":
        # 64-bit integers travel as strings
        return re.fullmatch(r"-?\d+", str(value)) is not None
    return isinstance(value, JSON_TYPES[kind])
