"""Looks up the fields of a file, for the readers of both dialects."""

from __future__ import annotations

import dataclasses
from collections.abc import Set

from tuner.spec.diagnostics import ERROR, Diagnostic, Location
from tuner.spec.study_spec import Locations, StudySpec
from tuner.spec.yaml_tree import Value

ONE_PROCESS = "the trainer is one process"


class Fields:
    """A mapping in a file: missing fields, and those of the wrong type, read as a default.

    `schema.check` reports wrong types. Other errors go to `diagnostics`, a list that all mappings
    of a file share. `unused` returns the fields that were not read. With `at`, the name of a field
    of StudySpec, a method also stores the value's location under that name.
    """

    def __init__(
        self,
        value: Value | None,
        home: Location,
        name: str,
        diagnostics: list[Diagnostic],
        found: dict[str, Location] | None = None,
    ) -> None:
        content = value.content if value else None
        self.given = isinstance(content, dict)
        self.content = content if isinstance(content, dict) else {}
        self.home = (value.key_location or value.location) if value else home
        self.name = name
        self.diagnostics = diagnostics
        self.found: dict[str, Location] = {} if found is None else found
        self._used: set[str] = set()
        self._parts: list[Fields] = []

    def __contains__(self, name: str) -> bool:
        return name in self.content

    @property
    def locations(self) -> Locations:
        """The locations of the values read from here and from nested mappings."""
        return Locations(self.home, self.found)

    def value(self, name: str, at: str = "") -> Value | None:
        self._used.add(name)
        value = self.content.get(name)
        if at and value is not None:
            self.found[at] = value.location
            items = value.content if isinstance(value.content, list) else []
            self.found |= {f"{at}.{index}": item.location for index, item in enumerate(items)}
        return value

    def text(self, name: str, default: str = "", at: str = "") -> str:
        value = self.value(name, at)
        return value.content if value and isinstance(value.content, str) else default

    def word(self, name: str, default: str = "", at: str = "") -> str:
        """An enumeration value; `..._UNSPECIFIED` is the same as a missing one."""
        word = self.text(name, default, at)
        return default if word.endswith("_UNSPECIFIED") else word

    def integer(self, name: str, default: int, at: str = "") -> int:
        value = self.value(name, at)
        number = value.integer if value else None
        return default if number is None else number

    def number(self, name: str, at: str = "") -> int | float | None:
        value = self.value(name, at)
        return value.number if value else None

    def switch(self, name: str) -> bool:
        value = self.value(name)
        return bool(value and value.content is True)

    def items(self, name: str, at: str = "") -> list[Value]:
        value = self.value(name, at)
        return value.content if value and isinstance(value.content, list) else []

    def words(self, name: str, at: str = "") -> tuple[str, ...]:
        return tuple(str(item.content) for item in self.items(name, at))

    def numbers(self, name: str, at: str = "") -> tuple[float, ...]:
        """All numbers of a list; empty if an item is not a number, so that indices stay right."""
        numbers = [item.number for item in self.items(name, at)]
        found = tuple(float(number) for number in numbers if number is not None)
        return found if len(found) == len(numbers) else ()

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        value = self.value(name)
        content = value.content if value and isinstance(value.content, dict) else {}
        return tuple((key, str(item.content)) for key, item in content.items())

    def fields(self, name: str) -> Fields:
        """The mapping of that name; empty if it is missing."""
        return self._part(self.value(name), name, self.found)

    def each(self, name: str, called: str) -> list[Fields]:
        """The mappings in the list of that name, each with its own locations."""
        return [self._part(item, called, {}) for item in self.items(name)]

    def first(self, name: str, called: str) -> Fields:
        """The first mapping in the list of that name; empty if there is none."""
        items = self.items(name)
        return self._part(items[0] if items else None, called, self.found)

    def _part(self, value: Value | None, name: str, found: dict[str, Location]) -> Fields:
        part = Fields(value, self.home, name, self.diagnostics, found)
        self._parts.append(part)
        return part

    def at(self, name: str) -> Location:
        """The location of a field's key."""
        value = self.content.get(name)
        return value.key_location or value.location if value else self.home

    def unused(self) -> dict[str, Location]:
        """The fields that were not read, including those of nested mappings."""
        own = {name: self.at(name) for name in self.content if name not in self._used}
        inside = [(part.name, part.unused()) for part in self._parts]
        return own | {f"{part}.{name}": at for part, found in inside for name, at in found.items()}

    def refuse(self, name: str, message: str) -> None:
        """Adds an error about a field."""
        self.diagnostics.append(Diagnostic(ERROR, self.at(name), message))

    def need(self, *names: str) -> None:
        for name in names:
            if self.given and name not in self.content:
                wrong = f"{self.name} has no {name}. Add it."
                self.diagnostics.append(Diagnostic(ERROR, self.home, wrong))


def with_left_out(spec: StudySpec, root: Fields, ignored: Set[str]) -> StudySpec:
    """The study with the names and locations of the fields that it does not have."""
    left_out = {name: location for name, location in root.unused().items() if name not in ignored}
    known = Locations(spec.locations.home, {**spec.locations.of, **left_out})
    return dataclasses.replace(spec, left_out=tuple(left_out), locations=known)
