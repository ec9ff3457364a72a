"""The command line: every flag is made from a field of `config`, so there is no second list."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from trainer.contract.presets import preset
from trainer.contract.settings import Command, Hyperparameters, RunOptions


def parse(arguments: Sequence[str]) -> Command:
    """The command that `arguments` spell.

    A bad one ends the process with code 2 and one sentence on stderr, `--help` with code 0.
    """
    parser = _parser()
    given = vars(_parse_known(parser, arguments))
    algorithm = given.get("algorithm", RunOptions.algorithm)
    environment = given.get("environment", RunOptions.environment)
    chosen = preset(algorithm, environment)
    sources = {
        field.name: next(
            (kind for kind, names in (("flag", given), ("preset", chosen)) if field.name in names),
            "default",
        )
        for field in _fields()
    }
    values = {**chosen, **given}
    try:
        hyperparameters = Hyperparameters(**_of(Hyperparameters, values))
        options = RunOptions(**_of(RunOptions, values))
    except ValueError as error:
        parser.error(str(error))
    return Command(hyperparameters, options, sources)


def _of(kind: type[Hyperparameters | RunOptions], values: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: values[f.name] for f in dataclasses.fields(kind) if f.name in values}


def whole_number(text: str) -> int:
    """An int from `32` or `32.0`: tuning services send whole numbers as doubles."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _yes_or_no(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


# type in the dataclass -> (reader, what a value must be)
_READERS: dict[str, tuple[Any, str]] = {
    "int": (whole_number, "a whole number"),
    "float": (float, "a number"),
    "str": (str, "a word"),
    "bool": (_yes_or_no, "true or false"),
}


class Parser(argparse.ArgumentParser):
    """Ends a bad command with code 2 and one sentence, and no usage text around it."""

    def error(self, message: str) -> NoReturn:
        ours = re.sub(r"^argument \S+: (?=`)", "", message)
        print(f"error: {ours}", file=sys.stderr)
        raise SystemExit(2)


class _Formatter(argparse.HelpFormatter):
    """Lists each flag once; the epilog says that hyphens will do."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return f"{action.option_strings[0]} {self._format_args(action, str(action.metavar))}"


def _fields() -> list[dataclasses.Field[Any]]:
    return [*dataclasses.fields(Hyperparameters), *dataclasses.fields(RunOptions)]


def _parser() -> Parser:
    parser = Parser(
        prog="python -m trainer.task",
        usage="%(prog)s [flags]",
        description="Trains policy-gradient (pg) or advantage actor-critic (a2c) agents, scores"
        " them on fresh episodes, and leaves model, metrics and video in the job dir.",
        epilog="Every flag may also be spelt with hyphens. Exit codes: 0 success, 1 a failed"
        " run, 2 a bad command line, 130 interrupted.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=_Formatter,
    )
    for kind, title in ((Hyperparameters, "hyperparameters"), (RunOptions, "run options")):
        group = parser.add_argument_group(title)
        for field in dataclasses.fields(kind):
            _add_flag(group, field)
    return parser


def _add_flag(group: Any, field: dataclasses.Field[Any]) -> None:
    metadata, kind = field.metadata, str(field.type)
    spellings = dict.fromkeys([f"--{field.name}", f"--{field.name.replace('_', '-')}"])
    extra: dict[str, Any] = {"nargs": "?", "const": True} if kind == "bool" else {}
    group.add_argument(
        *spellings,
        dest=field.name,
        type=_reader(field),
        metavar=metadata["metavar"] or "|".join(metadata["choices"]) or _NOUNS[kind],
        help=f"{metadata['help']} {_default_and_range(field)}",
        **extra,
    )


_NOUNS = {"int": "N", "float": "X", "str": "WORD", "bool": "true|false"}


def _default_and_range(field: dataclasses.Field[Any]) -> str:
    default = {"job_dir": "a new folder under runs/"}.get(field.name, field.default)
    facts = [f"default {str(default).lower() if isinstance(default, bool) else default}"]
    for_pg = preset("pg", RunOptions.environment).get(field.name, default)
    if for_pg != default:
        facts[0] += f", pg {for_pg}"
    if field.metadata["range"]:
        facts.append(f"range {field.metadata['range']}")
    return f"({'; '.join(facts)})".replace("%", "%%")


def _reader(field: dataclasses.Field[Any]) -> Any:
    read, noun = _READERS[str(field.type)]
    choices = field.metadata["choices"]

    def checked(text: str) -> Any:
        try:
            value = read(text)
        except (ValueError, KeyError, OverflowError):
            raise argparse.ArgumentTypeError(
                f"`{field.name}` must be {noun}, but got {field.name}={text}."
            ) from None
        if choices and value not in choices:
            near = difflib.get_close_matches(value, choices, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise argparse.ArgumentTypeError(
                f"`{field.name}` must be one of {', '.join(choices)}, "
                f"but got {field.name}={text}.{hint}"
            )
        return value

    return checked


def _parse_known(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    known, unknown = parser.parse_known_args(_join_negative_numbers(arguments))
    if unknown:
        name = unknown[0].split("=")[0]
        names = [f"--{field.name}" for field in _fields()]
        near = difflib.get_close_matches(name.replace("-", "_").replace("__", "--", 1), names, 1)
        hint = f" Did you mean {near[0]}?" if near else " --help lists the flags."
        parser.error(f"{name} is not a flag of this program.{hint}")
    return known


def _join_negative_numbers(arguments: Sequence[str]) -> list[str]:
    """`--x -1e3` as `--x=-1e3`: argparse takes some negative numbers for flags."""
    joined: list[str] = []
    for argument in arguments:
        last = joined[-1] if joined else ""
        if re.fullmatch(r"-[\d.][\w.+-]*", argument) and re.fullmatch(r"--[^=]+", last):
            joined[-1] = f"{last}={argument}"
        else:
            joined.append(argument)
    return joined
