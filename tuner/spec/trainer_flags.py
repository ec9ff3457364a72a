"""What the trainer's flags take, from a file made of its settings: the trainer is not imported."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tuner.spec.diagnostics import did_you_mean, number, shown

_FILE = Path(__file__).with_name("trainer_flags.json")


@dataclass(frozen=True)
class Flag:
    """One flag of the trainer."""

    name: str
    kind: str  # int, float, str or bool
    default: Any
    low: float = -math.inf
    low_open: bool = False
    high: float | None = None
    choices: tuple[str, ...] = ()
    unused_by: tuple[str, ...] = ()  # algorithms
    presets: tuple[tuple[str, str, Any], ...] = ()  # algorithm, environment or *, their default

    def default_for(self, algorithm: str, environment: str) -> Any:
        """What the trainer takes where the flag is not given."""
        chosen = {(a, e): default for a, e, default in self.presets}
        general = chosen.get((algorithm, "*"), self.default)
        return chosen.get((algorithm, environment), general)

    @property
    def takes_numbers(self) -> bool:
        """Whether at least some numbers are good values; `stop_at_score` takes words too."""
        return self.kind in ("int", "float") or self.name == "stop_at_score"

    @property
    def range(self) -> str:
        """What a number must be: `> 0`, `>= 1`, `from 0 to 1`."""
        if self.high is None:
            return f"{'>' if self.low_open else '>='} {number(self.low)}"
        return f"from {number(self.low)} to {number(self.high)}"

    def refusal(self, text: str) -> str | None:
        """What the trainer would say to `--name=text`; None where it takes it."""
        if self.kind == "bool":
            return None if text.lower() in ("true", "false") else "must be true or false"
        if self.kind == "str":
            if not self.choices or text in self.choices:
                return None
            return f"must be one of {', '.join(self.choices)}"
        try:
            value = float(text)
        except (ValueError, OverflowError):
            value = math.nan
        if not math.isfinite(value):
            return "must be a number"
        if self.kind == "int" and not value.is_integer():
            return "must be a whole number"
        low_enough = value <= (math.inf if self.high is None else self.high)
        high_enough = value > self.low if self.low_open else value >= self.low
        return None if low_enough and high_enough else f"must be {self.range}"

    def hint(self, text: str) -> str:
        return did_you_mean(text, self.choices)


Flags = Mapping[str, Flag]


@functools.cache
def trainer_flags() -> Flags:
    """Every flag of the trainer by its name."""
    rows: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))
    for row in rows:
        row.update({name: tuple(row.get(name, ())) for name in ("choices", "unused_by")})
        row["presets"] = tuple(tuple(preset) for preset in row.get("presets", ()))
    return {row["name"]: Flag(**row) for row in rows}


def find(name: str, flags: Flags) -> Flag | None:
    """The flag of that name; the trainer takes hyphens for all of its underscores."""
    flag = flags.get(name.replace("-", "_"))
    return flag if flag and name in (flag.name, flag.name.replace("_", "-")) else None


class Argument(NamedTuple):
    """A flag as it is given in `args`."""

    at: int  # which of the words names it
    name: str  # without the hyphens before it
    value: str | None


def arguments(words: Sequence[str], flags: Flags) -> Iterator[Argument]:
    """What `--name value`, `--name=value` and switches in `words` say."""
    index = 0
    while index < len(words):
        at, word = index, words[index]
        index += 1
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            yield Argument(at, word, None)
        elif equals:
            yield Argument(at, name, value)
        elif index < len(words) and not words[index].startswith("--"):
            yield Argument(at, name, words[index])
            index += 1
        else:
            flag = find(name, flags)
            yield Argument(at, name, "true" if flag and flag.kind == "bool" else None)


def given(words: Sequence[str], flags: Flags) -> dict[str, str]:
    """Flag -> value, of the good ones; the last of two wins, as in the trainer."""
    values = {}
    for argument in arguments(words, flags):
        flag = find(argument.name, flags)
        if flag and argument.value is not None and not flag.refusal(argument.value):
            values[flag.name] = argument.value
    return values


def unknown(name: str, flags: Flags) -> str:
    """The sentence about a name that the trainer has no flag for."""
    hint = did_you_mean(name.replace("-", "_"), list(flags))
    more = hint or " `python -m trainer.task --help` lists its flags."
    return f"the trainer has no flag --{shown(name)}.{more}"
