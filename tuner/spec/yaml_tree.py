"""YAML as a tree in which every value knows its place.

Reads what gcloud reads, YAML 1.1 with numbers such as `1e-4`, and refuses what a person would
read otherwise: a key given twice, `010` for 8, dates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from tuner.spec.diagnostics import ERROR, Finding, Place, Refused, shown

MAX_BYTES = 2**18
MAX_DEPTH = 50
MAX_VALUES = 50_000  # with every alias written out

_BASE_8_OR_60 = re.compile(r"[-+]?0[0-9_]+\Z|.*:")
_YES = {"y", "yes", "true", "on"}
_TAG = "tag:yaml.org,2002:"
# What is text to PyYAML, but not to gcloud: a number without a dot or a sign, and y and n.
_EXPONENT = re.compile(r"[-+]?([0-9][0-9_]*\.?|[0-9_]*\.[0-9_]+)[eE][-+]?[0-9]+\Z")
_Y_OR_N = re.compile(r"[yYnN]\Z")


def like_gcloud(kind: type[yaml.SafeLoader] | type[yaml.SafeDumper]) -> None:
    """Makes a loader or dumper take for text what gcloud takes for text."""
    kind.add_implicit_resolver(f"{_TAG}float", _EXPONENT, list("-+.0123456789"))
    kind.add_implicit_resolver(f"{_TAG}bool", _Y_OR_N, list("yYnN"))


class _Loader(yaml.SafeLoader):
    pass


like_gcloud(_Loader)


@dataclass(frozen=True)
class Value:
    """A scalar, a list or a mapping. The place of a mapping's entry is that of its key."""

    content: bool | int | float | str | list[Value] | dict[str, Value] | None
    place: Place
    key_place: Place | None = None
    size: int = 1

    @property
    def whole(self) -> int | None:
        """The whole number that this is, if it is one."""
        number = self.number
        return int(number) if number is not None and float(number).is_integer() else None

    @property
    def number(self) -> int | float | None:
        """The number that this is, finite, also in quotes: gcloud takes both."""
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
    """The one document in `data`; raises Refused with the place where reading ended."""
    text = _decoded(data, file)
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        place = _place(text, error.position, file)
        _refuse(place, f"the character U+{ord(text[error.position]):04X} must not stand in YAML.")
    try:
        return _Composer(loader, file).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or loader.get_mark()
        problem = " ".join(str(error.problem).split())
        if r"'\t'" in problem:
            problem += "; indent with spaces, not tabs"
        context = f", {error.context}" if error.context else ""
        message = f"not YAML: {problem}{context}."
    except (ValueError, OverflowError):  # "\UFFFFFFFF", 0x_
        mark = loader.get_mark()
        message = "not YAML: no such character or number."
    _refuse(Place(file, mark.line + 1, mark.column + 1), message)


def _decoded(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        _refuse(
            Place(file, 1, 1),
            f"the file must have at most {MAX_BYTES} bytes, but has {len(data)}.",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8", "replace")
        _refuse(
            _place(before, len(before), file),
            f"the byte 0x{error.object[error.start]:02X} is not UTF-8. Save the file as UTF-8.",
        )


def _place(text: str, position: int, file: str) -> Place:
    before = text[:position]
    return Place(file, before.count("\n") + 1, position - before.rfind("\n"))


def _refuse(place: Place, message: str) -> NoReturn:
    raise Refused([Finding(ERROR, place, message)])


class _Composer:
    """Makes values of YAML's events, and bounds what a small file may grow into."""

    def __init__(self, loader: Any, file: str) -> None:
        self.loader = loader
        self.file = file
        self.anchors: dict[str, Value] = {}

    def document(self) -> Value:
        events = self._events()
        event = next(events)
        if isinstance(event, yaml.StreamEndEvent):
            _refuse(Place(self.file, 1, 1), "the file is empty. templates/ has examples.")
        value = self._value(next(events), events, depth=0)
        next(events)
        event = next(events)
        if not isinstance(event, yaml.StreamEndEvent):
            _refuse(self._at(event), "a second document begins here. Write one per file.")
        return value

    def _events(self) -> Iterator[Any]:
        self.loader.get_event()  # the start of the stream
        while self.loader.check_event():
            yield self.loader.get_event()

    def _at(self, event: Any) -> Place:
        return Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _value(self, event: Any, events: Iterator[Any], depth: int) -> Value:
        place = self._at(event)
        if depth > MAX_DEPTH:
            _refuse(place, f"values must be nested at most {MAX_DEPTH} deep.")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                _refuse(place, f"*{shown(event.anchor)} stands for nothing that ends before it.")
            return self.anchors[event.anchor]
        if isinstance(event, yaml.ScalarEvent):
            value = Value(self._scalar(event, place), place)
        elif event.tag not in (None, "!", f"{_TAG}map", f"{_TAG}seq"):
            _refuse(place, f"the tag {shown(event.tag)} has no meaning here. Delete it.")
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._list(place, events, depth)
        else:
            value = self._mapping(place, events, depth)
        if value.size > MAX_VALUES:
            _refuse(place, f"there must be at most {MAX_VALUES} values, aliases written out.")
        if event.anchor:
            self.anchors[event.anchor] = value
        return value

    def _list(self, place: Place, events: Iterator[Any], depth: int) -> Value:
        items: list[Value] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._value(event, events, depth + 1))
        return Value(items, place, size=1 + sum(item.size for item in items))

    def _mapping(self, place: Place, events: Iterator[Any], depth: int) -> Value:
        entries: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._key(event)
            value = self._value(next(events), events, depth + 1)
            if key == "<<" and event.style is None:
                merged |= self._merge(value)
            elif key in entries:
                first = entries[key].key_place
                _refuse(
                    self._at(event),
                    f"{shown(key)} is given twice, first in line {first.line if first else 1}."
                    " Delete one.",
                )
            else:
                entries[key] = Value(value.content, value.place, self._at(event), value.size)
        entries = merged | entries
        return Value(entries, place, size=1 + sum(value.size for value in entries.values()))

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            _refuse(self._at(event), "a name must be text, not a list, a mapping or an alias.")
        return str(event.value)

    def _merge(self, value: Value) -> dict[str, Value]:
        """What `<<: *a` or `<<: [*a, *b]` brings; of two the first wins."""
        merged: dict[str, Value] = {}
        for source in value.content if isinstance(value.content, list) else [value]:
            if not isinstance(source.content, dict):
                _refuse(value.place, "`<<` must have mappings to merge.")
            merged = source.content | merged
        return merged

    def _scalar(self, event: Any, place: Place) -> bool | int | float | str | None:
        text = str(event.value)
        tag = event.tag or self.loader.resolve(yaml.ScalarNode, text, event.implicit)
        if tag == f"{_TAG}null":
            return None
        if tag == f"{_TAG}bool" and event.implicit[0]:
            return text.lower() in _YES
        if tag in (f"{_TAG}str", "!"):
            return text
        if tag in (f"{_TAG}int", f"{_TAG}float") and event.implicit[0]:
            return self._number(text, tag == f"{_TAG}int", place)
        if event.tag is None:
            _refuse(place, f"{shown(text)} is not read as text here. Put it in quotes.")
        _refuse(place, f"the tag {shown(tag)} has no meaning here. Delete it.")

    def _number(self, text: str, whole: bool, place: Place) -> int | float:
        if _BASE_8_OR_60.match(text):
            _refuse(
                place,
                f"{shown(text)} is a number to base {60 if ':' in text else 8} in YAML. Write it"
                " to base 10, or in quotes if it is text.",
            )
        digits = text.replace("_", "").lower()
        if whole:
            if len(digits) > 1000:
                _refuse(place, "a number must have at most 1000 digits.")
            return int(digits, 0)
        return float(digits.replace(".inf", "inf").replace(".nan", "nan"))
