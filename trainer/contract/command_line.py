"""The command line. Every flag of the trainer is made from a field of `settings`.

`Parser` is the parser of every command of both packages.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from trainer.contract.errors import BadCommand
from trainer.contract.flags import FLAGS, OTHER_NAMES, Setting, meant, read
from trainer.contract.presets import preset
from trainer.contract.settings import Command, Hyperparameters, RunOptions
from trainer.contract.text import did_you_mean, nearest, shown

_LONGEST = 500  # characters of a message


def parse(arguments: Sequence[str]) -> Command:
    """Parses a command line.

    A bad command line ends the process with code 2 and one sentence on stderr.
    """
    return _command(vars(_parser().parse_args(arguments)))


def parse_keywords(keywords: Mapping[str, object]) -> tuple[Command, list[str]]:
    """The command that keywords spell, and its command line.

    Raises BadCommand with the sentence that the command line would give.
    """
    given, words = {}, []
    for name, value in keywords.items():
        if name not in FLAGS:
            near = meant(name)
            hint = did_you_mean(near) if near else ""
            raise BadCommand(f"{shown(name)} is not a setting of the trainer.{hint}")
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        try:
            given[name] = read(FLAGS[name], text)
        except ValueError as error:
            raise BadCommand(str(error)) from error
        words.append(f"--{name}={text}")
    return _command(given), words


def _command(given: Mapping[str, Any]) -> Command:
    algorithm = given.get("algorithm", RunOptions.algorithm)
    environment = given.get("environment", RunOptions.environment)
    chosen = preset(algorithm, environment)
    sources = {
        name: "flag" if name in given else "preset" if name in chosen else "default"
        for name in FLAGS
    }
    values = {**chosen, **given}
    hyperparameters = Hyperparameters(**_of(Hyperparameters, values))
    return Command(hyperparameters, RunOptions(**_of(RunOptions, values)), sources)


def _of(kind: type[Hyperparameters | RunOptions], values: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: values[f.name] for f in dataclasses.fields(kind) if f.name in values}


class Parser(argparse.ArgumentParser):
    """A strict parser: no abbreviated flags, no unknown ones, no `--x=--`.

    A bad command line ends the process with code 2 and one sentence on stderr.
    """

    other_names: Mapping[str, str] = {}  # what other programs call a flag -> our name for it

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Ends the process for an unknown flag, so that no words are left over."""
        words = list(sys.argv[1:] if args is None else args)
        for word in words:
            if re.fullmatch(r"-[^=]*=--", word):  # argparse takes this `--` away
                self.error(f"{shown(word)} has no value. Write one after the `=`.")
        for word in [] if self._subparsers else words:  # before argparse reports missing ones
            name = word.split("=")[0]
            if re.match("--[^ ]", word) and name not in self._option_string_actions:
                self._refuse(name)
        found, unknown = super().parse_known_args(_join_negative_numbers(words), namespace)
        if unknown:
            self.error(f"{shown(unknown[0])} belongs to no flag. --help lists the flags.")
        return found, []

    def _refuse(self, name: str) -> NoReturn:
        plain = name.lstrip("-").replace("-", "_").lower()
        flags = {
            flag.lstrip("-").replace("-", "_"): flag
            for action in self._actions
            for flag in reversed(action.option_strings)
        }
        meant = self.other_names.get(plain) or nearest(plain, flags)
        hint = did_you_mean(flags[meant]) if meant else " --help lists the flags."
        self.error(f"{shown(name)} is not a flag of this program.{hint}")

    def error(self, message: str) -> NoReturn:
        """Prints one sentence, whatever the user has typed, and ends the process."""
        flag, colon, said = message.removeprefix("argument ").partition(": ")
        if not colon or not message.startswith("argument "):
            sentence = message.replace("the following arguments are required", "still missing")
        elif said.endswith((".", "?")):  # a sentence of ours
            sentence = said
        else:
            said = said.replace("expected one argument", "a value is missing")
            if found := re.fullmatch(r"invalid (\w+) value: (.*)", said, re.DOTALL):
                kind = "a number" if found[1] == "float" else "a whole number"
                said = f"{found[2]} is not {kind}"
            if found := re.fullmatch(r"invalid choice: (.*) \(choose from (.*)\)", said, re.DOTALL):
                known = found[2].replace("'", "")
                said = f"{found[1]} is not one of {known}"
            sentence = f"{flag.split('/')[0]}: {said}"
        sentence = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in sentence)
        if len(sentence) > _LONGEST:
            sentence = f"{sentence[: _LONGEST - 100]} ... {sentence[-95:]}"
        end = "" if sentence.endswith((".", "?")) else "."
        print(f"error: {sentence}{end}", file=sys.stderr)
        raise SystemExit(2)


def _join_negative_numbers(arguments: Sequence[str]) -> list[str]:
    """`--x -1e3` as `--x=-1e3`: argparse mistakes some negative numbers for flags."""
    joined: list[str] = []
    for argument in arguments:
        last = joined[-1] if joined else ""
        if re.fullmatch(r"-[\d.][\w.+-]*", argument) and re.fullmatch(r"--[^=]+", last):
            joined[-1] = f"{last}={argument}"
        else:
            joined.append(argument)
    return joined


class _Formatter(argparse.HelpFormatter):
    """Lists each flag once, with underscores; the epilog mentions hyphens."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return f"{action.option_strings[0]} {self._format_args(action, str(action.metavar))}"


def _parser() -> Parser:
    parser = Parser(
        prog="python -m trainer.task",
        usage="%(prog)s [flags]",
        description="Trains policy-gradient (pg) or advantage actor-critic (a2c) agents, scores"
        " them on fresh episodes, and leaves model, metrics and video in the job dir.",
        epilog="Every flag may also be spelt with hyphens. Exit codes: 0 success, 1 a failed"
        " run, 2 a bad command line, 130 interrupted.",
        argument_default=argparse.SUPPRESS,
        formatter_class=_Formatter,
    )
    parser.other_names = OTHER_NAMES
    for kind, title in (
        (Hyperparameters, "hyperparameters, which a search may vary"),
        (RunOptions, "run options"),
    ):
        group = parser.add_argument_group(title)
        for field in dataclasses.fields(kind):
            _add_flag(group, field)
    return parser


def _add_flag(group: Any, field: Setting) -> None:
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


def _default_and_range(field: Setting) -> str:
    default = {"job_dir": "a new folder under runs/"}.get(field.name, field.default)
    facts = [f"default {str(default).lower() if isinstance(default, bool) else default}"]
    for_pg = preset("pg", RunOptions.environment).get(field.name, default)
    if for_pg != default:
        facts[0] += f", pg {for_pg}"
    if field.metadata["range"]:
        facts.append(f"range {field.metadata['range']}")
    return f"({'; '.join(facts)})".replace("%", "%%")


def _reader(field: Setting) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        try:
            return read(field, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked
