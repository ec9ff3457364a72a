"""Parses YAML into a tree of values with their locations.

PyYAML composes the nodes and their marks. This module adds numbers such as `1e-4`, as gcloud reads
them; refuses what a person would misread (repeated keys, `010` for 8, dates); and limits the size
of expanded aliases.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NoReturn

import yaml

from trainer.contract.text import shown
from tuner.spec.diagnostics import Location
from tuner.spec.yaml_source import INVISIBLE, Source, accuse, cause, decode, explain

MAX_VALUES = 50_000  # with all aliases expanded

_TAG = "tag:yaml.org,2002:"
_BASE_8_OR_60 = re.compile(r"[-+]?0[0-9_]+\Z|.*:")
_BOOLEANS = {**yaml.SafeLoader.bool_values, "y": True, "n": False}
_QUOTE_IT = [f"{_TAG}{name}" for name in ("timestamp", "merge", "value")]
# Text to PyYAML, but not to gcloud: a number without a dot or a sign, and y and n.
_EXPONENT = re.compile(r"[-+]?([0-9][0-9_]*\.?|[0-9_]*\.[0-9_]+)[eE][-+]?[0-9]+\Z")
_Y_OR_N = re.compile(r"[yYnN]\Z")


def like_gcloud(kind: type[yaml.SafeLoader] | type[yaml.SafeDumper]) -> None:
    """Makes a loader or dumper distinguish text from numbers and booleans as gcloud does."""
    kind.add_implicit_resolver(f"{_TAG}float", _EXPONENT, list("-+.0123456789"))
    kind.add_implicit_resolver(f"{_TAG}bool", _Y_OR_N, list("yYnN"))


class _Loader(yaml.SafeLoader):
    pass


like_gcloud(_Loader)


@dataclass(frozen=True)
class Value:
    """A scalar, a list or a mapping. An entry of a mapping also has the location of its key."""

    content: bool | int | float | str | list[Value] | dict[str, Value] | None
    location: Location
    key_location: Location | None = None
    size: int = 1

    @property
    def integer(self) -> int | None:
        """The value as an integer; None if it is not one."""
        number = self.number
        return int(number) if number is not None and float(number).is_integer() else None

    @property
    def number(self) -> int | float | None:
        """The value as a finite number, or None; quoted numbers count, as in gcloud."""
        number = self.content
        if isinstance(number, str):
            number = _number_in(number)
        if isinstance(number, bool) or not isinstance(number, int | float):
            return None
        try:
            return number if math.isfinite(float(number)) else None
        except OverflowError:
            return None


def _number_in(text: str) -> int | float | None:
    if not re.fullmatch(r"[-+0-9.eE]{1,100}", text):
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def read(data: bytes, file: str) -> Value:
    """The single document in `data`. Raises InvalidSpec with the location of the error."""
    source = Source(decode(data, file), file)
    try:
        loader = _Loader(source.text)
        node = loader.get_single_node()
        if node is None:
            source.refuse(0, "the file is empty. templates/ has examples.")
        return _Reader(source).value(node)
    except yaml.reader.ReaderError as error:
        character = ord(source.text[error.position])
        wrong = f"the character U+{character:04X} is not allowed in YAML. Delete it."
        source.refuse(error.position, wrong)
    except yaml.MarkedYAMLError as error:
        marks = [mark.index for mark in (error.context_mark, error.problem_mark) if mark]
        source.refuse(*(cause(source, *marks) or explain(error, source, *marks)))
    except RecursionError:
        source.refuse(loader.index, "values are nested too deeply.")
    except (ValueError, OverflowError):  # "\\UFFFFFFFF"
        source.refuse(loader.index, "not YAML: no such character.")


class _Reader:
    """Converts nodes to values, and limits the size of expanded aliases."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._read: dict[yaml.Node, Value] = {}  # an alias is the same node as its anchor
        self._open: set[yaml.Node] = set()

    def value(self, node: yaml.Node) -> Value:
        if node not in self._read:
            if node in self._open:
                self._refuse(node, "this value contains an alias of itself.")
            self._open.add(node)
            value = self._read[node] = self._new(node)
            if value.size > MAX_VALUES:
                self._refuse(
                    node, f"there are more than {MAX_VALUES} values, with aliases expanded."
                )
        return self._read[node]

    def _new(self, node: yaml.Node) -> Value:
        at = self._source.at(node.start_mark.index)
        if isinstance(node, yaml.ScalarNode):
            return Value(self._scalar(node), at)
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            self._refuse(node, f"the tag {shown(node.tag)} has no meaning here. Delete it.")
        if isinstance(node, yaml.MappingNode):
            entries = self._mapping(node)
            return Value(entries, at, size=1 + sum(value.size for value in entries.values()))
        items = [self.value(item) for item in node.value]
        return Value(items, at, size=1 + sum(item.size for item in items))

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Value]:
        entries: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key, value = self._key(key_node), self.value(value_node)
            if key_node.tag == f"{_TAG}merge":
                merged |= self._merge(value_node)
            elif key in entries:
                first = entries[key].key_location
                self._refuse(
                    key_node,
                    f"{shown(key)} is given twice, first in line {first.line if first else 1}."
                    " Delete one.",
                )
            else:
                at = self._source.at(key_node.start_mark.index)
                entries[key] = Value(value.content, value.location, at, value.size)
        return merged | entries

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            at = node.start_mark.index
            wrong = "a name must be text, not a list or a mapping."
            self._source.refuse(*(cause(self._source, at) or (at, wrong)))
        self._refuse_invisible(node)
        return str(node.value)

    def _merge(self, node: yaml.Node) -> dict[str, Value]:
        """The entries of `<<: *a` or `<<: [*a, *b]`; the first mapping takes precedence."""
        merged: dict[str, Value] = {}
        for each in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            source = self.value(each).content
            if not isinstance(source, dict):
                self._refuse(node, "`<<` merges mappings, but this is not one.")
            merged = source | merged
        return merged

    def _scalar(self, node: yaml.ScalarNode) -> bool | int | float | str | None:
        self._refuse_invisible(node)
        text, tag = str(node.value), node.tag.removeprefix(_TAG)
        try:
            if tag == "null":
                return None
            if tag == "bool":
                return _BOOLEANS[text.lower()]
            if tag in ("int", "float"):
                return self._number(node, text, tag)
        except (ValueError, KeyError):
            self._refuse(node, f"{shown(text)} is not read as a number, true or false.")
        if tag == "str":
            return text
        if node.tag in _QUOTE_IT:
            self._refuse(node, f"{shown(text)} is not read as text here. Put it in quotes.")
        self._refuse(node, f"the tag {shown(node.tag)} has no meaning here. Delete it.")

    def _number(self, node: yaml.ScalarNode, text: str, tag: str) -> int | float:
        if _BASE_8_OR_60.match(text):
            self._refuse(
                node,
                f"{shown(text)} is a number to base {60 if ':' in text else 8} in YAML. Write it"
                " to base 10, or in quotes if it is text.",
            )
        digits = text.replace("_", "").lower()
        if tag == "float":
            return float(digits.replace(".inf", "inf").replace(".nan", "nan"))
        if len(digits) > 1000:
            self._refuse(node, "a number has more than 1000 digits.")
        return int(digits, 0)

    def _refuse(self, node: yaml.Node, message: str) -> NoReturn:
        self._source.refuse(node.start_mark.index, message)

    def _refuse_invisible(self, node: yaml.ScalarNode) -> None:
        """Refuses invisible characters and unusual spaces, except in quotes."""
        start, end = node.start_mark.index, node.end_mark.index
        if node.style is None and (
            found := re.compile(INVISIBLE).search(self._source.text, start, end)
        ):
            self._source.refuse(found.start(), accuse(found[0]))
