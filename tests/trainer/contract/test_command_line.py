"""The command line, read before anything slow is imported.

More than 250 lines, since each way to spell a flag and each error has a short test.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainer.contract.command_line import parse
from trainer.contract.flags import whole_number
from trainer.contract.presets import preset
from trainer.contract.settings import Hyperparameters, RunOptions

FIELDS = [*dataclasses.fields(Hyperparameters), *dataclasses.fields(RunOptions)]
NAMES = [field.name for field in FIELDS]
OTHER_VALUES = {"int": "7", "float": "0.375", "str": "Own-v0", "bool": "true"}
SLOW = {"tensorflow", "numpy", "gymnasium", "keras", "imageio", "tensorboard"}


def another_value(field: dataclasses.Field[object]) -> str:
    """Some good value other than the default, as text."""
    if field.metadata["choices"]:
        return str(field.metadata["choices"][-1])
    named = {
        "stop_at_score": "none",
        "video": "false",
        "env_kwargs": '{"a": 1}',
        "env_workers": "auto",
        "export": "onnx",
    }
    return named.get(field.name, OTHER_VALUES[str(field.type)])


def value_of(name: str, *arguments: str) -> object:
    command = parse(arguments)
    owner = command.hyperparameters if hasattr(command.hyperparameters, name) else command.options
    return getattr(owner, name)


def refusal(*arguments: str) -> str:
    """What stderr says before the process ends with code 2."""
    with contextlib.redirect_stderr(io.StringIO()) as stderr, pytest.raises(SystemExit) as end:
        parse(arguments)
    assert end.value.code == 2
    return stderr.getvalue()


@pytest.mark.parametrize("field", FIELDS, ids=NAMES)
def test_every_field_is_a_flag(field: dataclasses.Field[object]) -> None:
    value = value_of(field.name, f"--{field.name}", another_value(field))
    assert value != field.default
    assert str(value).lower() == another_value(field).lower()


@pytest.mark.parametrize("field", FIELDS, ids=NAMES)
def test_hyphens_and_equals_signs_say_the_same(field: dataclasses.Field[object]) -> None:
    text, hyphens = another_value(field), field.name.replace("_", "-")
    expected = value_of(field.name, f"--{field.name}", text)
    assert value_of(field.name, f"--{field.name}={text}") == expected
    assert value_of(field.name, f"--{hyphens}", text) == expected
    assert value_of(field.name, f"--{hyphens}={text}") == expected


def test_the_last_of_two_wins_whatever_their_spelling() -> None:
    assert value_of("learning_rate", "--learning_rate", "0.1", "--learning-rate=0.2") == 0.2
    assert value_of("learning_rate", "--learning-rate=0.2", "--learning_rate", "0.1") == 0.1


@pytest.mark.parametrize("text, number", [("32", 32), ("32.0", 32), ("1e3", 1000), ("3.2e1", 32)])
def test_a_whole_number_may_be_written_as_a_double(text: str, number: int) -> None:
    assert value_of("batch_size", "--batch_size", text) == number


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_sent_as_a_double_is_the_same_number(number: int) -> None:
    assert whole_number(str(float(number))) == number == whole_number(str(number))


def test_a_long_whole_number_keeps_every_digit() -> None:
    assert value_of("seed", "--seed", "9007199254740993") == 9007199254740993


@pytest.mark.parametrize("text", ["32.5", "nan", "inf", "many", "", "1e400"])
def test_anything_else_is_no_whole_number(text: str) -> None:
    given = text or "''"
    assert refusal(f"--batch_size={text}") == f"error: batch_size={given} is not a whole number.\n"


def test_a_word_is_no_number() -> None:
    message = "error: gamma=high is not a number.\n"
    assert refusal("--gamma", "high") == message


def test_a_choice_must_be_one_of_those_there_are() -> None:
    assert refusal("--collector", "compield") == (
        "error: collector=compield is not one of auto, compiled, gymnasium."
        " Did you mean compiled?\n"
    )


def test_a_value_out_of_range_is_refused_with_the_range() -> None:
    message = "error: gamma=1.5 is out of range. Write a number from 0 to 1.\n"
    assert refusal("--gamma", "1.5") == message


@pytest.mark.parametrize("name", ["seed", "total_steps", "batch_size"])
def test_a_whole_number_of_hundreds_of_digits_is_out_of_range(name: str) -> None:
    assert refusal(f"--{name}", "1" + "0" * 400).count("\n") == 1


@pytest.mark.parametrize(
    "spelling, meant",
    [
        ("--gama", "--gamma"),
        ("--learning-rat", "--learning_rate"),
        ("--batchsize", "--batch_size"),
        ("--hidden_neuron", "--hidden_neurons"),
    ],
)
def test_a_misspelt_flag_names_the_nearest(spelling: str, meant: str) -> None:
    expected = f"error: {spelling} is not a flag of this program. Did you mean {meant}?\n"
    assert refusal(spelling, "1") == expected
    assert refusal(f"{spelling}=1") == expected


def test_a_flag_like_no_other_points_at_the_help() -> None:
    message = "error: --qwzx is not a flag of this program. --help lists the flags.\n"
    assert refusal("--qwzx") == message


@pytest.mark.parametrize("short", ["--gam", "--learn", "--eval", "--s"])
def test_a_flag_cannot_be_shortened(short: str) -> None:
    assert f"{short} is not a flag" in refusal(short, "1")


def test_a_word_without_a_flag_is_refused() -> None:
    assert "extra belongs to no flag" in refusal("extra")


def test_a_flag_without_its_value_is_refused() -> None:
    assert refusal("--gamma").count("\n") == 1


@pytest.mark.parametrize("text", ["-12.5", "-1e3", "-5"])
def test_a_value_may_be_negative(text: str) -> None:
    assert value_of("stop_at_score", "--stop_at_score", text) == text
    assert value_of("stop_at_score", f"--stop_at_score={text}") == text


def test_a_negative_value_out_of_range_is_told_as_such() -> None:
    message = "error: entropy=-0.001 is out of range. Write a number >= 0.\n"
    assert refusal("--entropy", "-1e-3") == message


@pytest.mark.parametrize(
    "flags, value",
    [
        ((), False),
        (("--overwrite",), True),
        (("--overwrite", "true"), True),
        (("--overwrite=False",), False),
    ],
)
def test_false_is_not_read_as_true(flags: tuple[str, ...], value: bool) -> None:
    assert value_of("overwrite", *flags) is value


WORDS = st.one_of(
    st.text(),
    st.sampled_from([f"--{name}" for name in NAMES]),
    st.builds("--{}={}".format, st.sampled_from(NAMES), st.text()),
    st.floats().map(str),
    st.integers(-(10**400), 10**400).map(str),
    st.sampled_from(["--", "-", "--help", "-h", "true", "pg", "1" + "0" * 400]),
)


@given(st.lists(WORDS, max_size=6))
@example(["--seed", "1" + "0" * 400])
def test_any_command_line_is_read_or_ends_with_code_0_or_2(arguments: list[str]) -> None:
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        try:
            parse(arguments)
        except SystemExit as end:
            assert end.code in (0, 2)


@pytest.fixture(scope="module")
def help_text() -> str:
    with contextlib.redirect_stdout(io.StringIO()) as stdout, pytest.raises(SystemExit) as end:
        parse(["--help"])
    assert end.value.code == 0
    return stdout.getvalue()


@pytest.mark.parametrize("field", FIELDS, ids=NAMES)
def test_the_help_tells_every_flag_with_its_default_and_range(
    field: dataclasses.Field[object], help_text: str
) -> None:
    entry = re.search(rf"^  --{field.name} .*?(?=^  --|^\S|\Z)", help_text, re.S | re.M)
    assert entry is not None
    text = " ".join(entry.group().split())
    named = {"job_dir": "a new folder under runs/", "overwrite": "false", "video": "true"}
    default = named.get(field.name, field.default)
    assert f"default {default}" in text
    if field.metadata["range"]:
        assert f"range {field.metadata['range']}" in text


def test_the_help_tells_what_pg_does_otherwise(help_text: str) -> None:
    for_pg = preset("pg", RunOptions.environment)["learning_rate"]
    assert f"default {Hyperparameters.learning_rate}, pg {for_pg}" in help_text


def modules_after(*arguments: str) -> set[str]:
    """The top-level modules that `python -m trainer.task` has loaded when it ends."""
    program = (
        "import sys, trainer.task\n"
        "try: trainer.task.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('\\n' + ' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("flag", ["--help", "--gama=1", "--gamma=2"])
def test_a_command_line_is_judged_before_anything_slow_is_imported(flag: str) -> None:
    modules = modules_after(flag)
    assert "trainer" in modules
    assert not modules & SLOW


@pytest.mark.parametrize("flag", ["--gama=1", "--gamma=2", "--batch_size=32.5", "--algorithm=dqn"])
def test_a_bad_flag_ends_the_program_with_code_2_and_one_line(
    flag: str, run_task: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = run_task(flag)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: [^\n]+\n", done.stderr)


def test_the_program_prints_its_help_on_stdout(
    run_task: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_task("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m trainer.task")
