"""Every parser of both packages: whatever a user types ends in a result or in one sentence."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import pkgutil

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tuner.commands
from trainer.contract.command_line import Parser, _parser
from trainer.contract.flags import FLAGS, whole_number
from tuner.__main__ import COMMANDS
from tuner.__main__ import parser as tuner_parser

FAR_FROM_WORDS = [
    "--",
    "-",
    "",
    "\0",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "a" * 100_000,
    "a b " * 30_000,
]
VALUES = st.one_of(
    st.text(),
    st.sampled_from([*FAR_FROM_WORDS, "true", "1", "-1e3", "nan", "1e400", "9" * 5000, "%s", "{}"]),
    st.floats().map(str),
    st.integers().map(str),
)


def parsers() -> dict[str, Parser]:
    """Each command's parser by its name, with every flag that it has."""
    found = {"trainer.task": _parser()}
    for name in COMMANDS:
        whole = tuner_parser([name])
        (commands,) = (a for a in whole._actions if isinstance(a, argparse._SubParsersAction))
        found[name] = commands.choices[name]
    return found


PARSERS = parsers()
FLAGS_OF = [
    (name, action.option_strings[0])
    for name, each in PARSERS.items()
    for action in each._actions
    if action.option_strings and action.option_strings[0] != "-h"
]


def ended(parser: argparse.ArgumentParser, *words: str) -> tuple[int, str]:
    """The exit code of a command line, 0 where it is good, and what stands on stderr."""
    with (
        contextlib.redirect_stderr(io.StringIO()) as stderr,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        try:
            parser.parse_args(words)
        except SystemExit as end:
            return int(end.code or 0), stderr.getvalue()
    return 0, stderr.getvalue()


def assert_one_sentence(code: int, said: str) -> None:
    assert code in (0, 2)
    if code == 2:
        assert said.startswith("error: ") and said.endswith((".\n", "?\n"))
        assert said[:-1].isprintable() and len(said) <= 600


def test_every_command_of_the_tuner_is_tried() -> None:
    assert {module.name for module in pkgutil.iter_modules(tuner.commands.__path__)} == {
        *COMMANDS, "errors"
    }  # fmt: skip
    for name in COMMANDS:
        assert hasattr(importlib.import_module(f"tuner.commands.{name}"), "add_flags")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FLAGS_OF), VALUES, st.booleans())
@example(("trainer.task", "--seed"), "a" * 100_000, True)
def test_any_value_of_any_flag_is_taken_or_refused_in_one_sentence(
    flag: tuple[str, str], value: str, joined: bool
) -> None:
    name, word = flag
    words = [f"{word}={value}"] if joined else [word, value]
    assert_one_sentence(*ended(PARSERS[name], *words))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(PARSERS)), st.lists(VALUES, max_size=4))
def test_any_words_are_taken_or_refused_in_one_sentence(name: str, words: list[str]) -> None:
    assert_one_sentence(*ended(PARSERS[name], *words))


@pytest.mark.parametrize("name, flag", FLAGS_OF)
def test_two_hyphens_are_no_value(name: str, flag: str) -> None:
    code, said = ended(PARSERS[name], f"{flag}=--")
    assert (code, said) == (2, f"error: {flag}=-- has no value. Write one after the `=`.\n")


@pytest.mark.parametrize("name, flag", [each for each in FLAGS_OF if each[1] != "--seeds"])
def test_no_flag_can_be_shortened(name: str, flag: str) -> None:
    code, said = ended(PARSERS[name], f"{flag[:-1]}=1")
    assert code == 2 and f"{flag[:-1]} is not a flag of this program." in said


@pytest.mark.parametrize("value", FAR_FROM_WORDS[3:])
def test_a_strange_value_is_shown_short_and_escaped(value: str) -> None:
    code, said = ended(PARSERS["trainer.task"], f"--learning_rate={value}")
    assert code == 2
    assert said.endswith("is not a number.\n") and len(said) < 200 and said[:-1].isprintable()


def test_a_value_of_another_kind_is_told_in_words() -> None:
    parser = Parser()
    parser.add_argument("--deadline", type=float)
    parser.add_argument("--episodes", type=whole_number)
    assert ended(parser, "--deadline=soon") == (2, "error: --deadline: 'soon' is not a number.\n")
    assert ended(parser, "--episodes=1.5") == (
        2, "error: --episodes: '1.5' is not a whole number.\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    "other, flag",
    [("lr", "learning_rate"), ("env", "environment"), ("env_id", "environment"),
     ("vf-coef", "critic_weight"), ("discount", "gamma"), ("n_steps", "batch_size")],
)  # fmt: skip
def test_a_flag_of_another_library_is_understood(other: str, flag: str) -> None:
    _, said = ended(PARSERS["trainer.task"], f"--{other}=1")
    assert said == f"error: --{other} is not a flag of this program. Did you mean --{flag}?\n"


@pytest.mark.parametrize("word", ["--trial", "--sigma", "--reg_rate", "--scale-factor", "--x"])
def test_a_flag_that_only_looks_like_ours_is_not_taken_for_it(word: str) -> None:
    _, said = ended(PARSERS["trainer.task"], word)
    assert said == f"error: {word} is not a flag of this program. --help lists the flags.\n"


def test_every_setting_is_a_flag_of_the_trainer() -> None:
    assert {flag for name, flag in FLAGS_OF if name == "trainer.task"} == {
        f"--{name}" for name in FLAGS
    }
