"""The text of a YAML file, and messages about errors at an index of it."""

from __future__ import annotations

import bisect
import re
import unicodedata
from typing import NoReturn

import yaml

from tuner.spec.diagnostics import ERROR, Diagnostic, InvalidSpec, Location

MAX_BYTES = 2**18
INVISIBLE = r"[^\S\t\n\r ]|[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
_SUSPECT = re.compile(
    rf"^(?:<{{7}}|={{7}}|>{{7}})(?!\S)|\$\{{|\{{\{{|\{{%|{INVISIBLE}", re.MULTILINE
)
_COMMENT = re.compile(r"(^|\s)#")


class Source:
    """The text of a file."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def at(self, index: int) -> Location:
        """Line and column as editors count them; PyYAML treats more characters as line breaks."""
        line = bisect.bisect_right(self._starts, index)
        return Location(self.file, line, index - self._starts[line - 1] + 1)

    def start(self, index: int, above: int = 0) -> int:
        """The start of the line, or of a line above it."""
        return self._starts[max(0, self.at(index).line - 1 - above)]

    def refuse(self, index: int, message: str) -> NoReturn:
        """Raises InvalidSpec."""
        raise InvalidSpec([Diagnostic(ERROR, self.at(index), message)])


def decode(data: bytes, file: str) -> str:
    """The text of a file. Raises InvalidSpec."""
    if len(data) > MAX_BYTES:
        wrong = f"the file has {len(data)} bytes, but may have {MAX_BYTES}. Is it the right one?"
        Source("", file).refuse(0, wrong)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8", "replace")
        wrong = f"the byte 0x{error.object[error.start]:02X} is not UTF-8. Save the file as UTF-8."
        Source(before, file).refuse(len(before), wrong)


def explain(error: yaml.MarkedYAMLError, source: Source, *marks: int) -> tuple[int, str]:
    """The index and message of PyYAML's error; common ones are reworded."""
    begun, index = marks[0], marks[-1]
    if error.problem == "but found another document":
        return index, "a second document begins here. Write one per file."
    if error.problem == "could not find expected ':'":
        return begun, "no colon follows this name. Write `name: value`."
    if error.problem == "mapping values are not allowed here":
        wrong = "no colon may stand here. Put the value in quotes, or write the line above in full."
        return index, wrong
    if source.text[index : index + 1] == "\t":
        indented = not source.text[source.start(index) : index].strip()
        where, instead = ("in the indentation", "spaces") if indented else ("here", "a space")
        return index, f"a tab stands {where}. Write {instead}."
    problem = " ".join(str(error.problem).split())
    context = f", {error.context}" if error.context else ""
    if begun != index:
        context += f" that begins in line {source.at(begun).line}"
    return index, f"not YAML: {problem}{context}."


def cause(source: Source, *marks: int) -> tuple[int, str] | None:
    """Finds invisible characters, templates and merge markers at the marks or two lines above."""
    end = source.text.find("\n", max(marks)) % (len(source.text) + 1)
    suspects = _SUSPECT.finditer(source.text, source.start(min(marks), above=2), end)
    for found in reversed(list(suspects)):
        if not _COMMENT.search(source.text[source.start(found.start()) : found.start()]):
            return found.start(), accuse(found[0])
    return None


def accuse(found: str) -> str:
    """The message about a conflict marker, a template or an invisible character."""
    if found[0] in "<=>":
        return f"`{found}` is left of a merge conflict. Resolve it."
    if found[0] in "${":
        return f"`{found}` begins a template that was not filled in. Write the value."
    name = unicodedata.name(found, "a control character")
    instead = "Write a space" if found.isspace() else "Delete it"
    return f"the invisible character U+{ord(found):04X} ({name}) stands here. {instead}."
