"""What the tuner knows of the trainer's flags is what the trainer takes."""

from __future__ import annotations

import contextlib
import io
import runpy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from trainer.contract.command_line import parse
from tuner.spec import trainer_flags as flags
from tuner.spec.trainer_flags import Argument, arguments, find, trainer_flags

FLAGS = trainer_flags()


def test_the_list_of_flags_is_what_the_trainer_says_today() -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "trainer_flags.py"))["text"]()
    kept = (ROOT / "tuner" / "spec" / "trainer_flags.json").read_text(encoding="utf-8")
    assert kept == made, "run .venv/bin/python scripts/trainer_flags.py"


def trainer_takes(*words: str) -> bool:
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            parse(words)
        except SystemExit:
            return False
    return True


@pytest.mark.parametrize("algorithm", ["a2c", "pg"])
@pytest.mark.parametrize("environment", ["CartPole-v1", "Acrobot-v1"])
def test_defaults_are_those_of_the_trainer(algorithm: str, environment: str) -> None:
    values = parse(["--algorithm", algorithm, "--environment", environment]).values
    for name in values.keys() - {"algorithm", "environment"}:
        assert FLAGS[name].default_for(algorithm, environment) == values[name]


NUMBERS = ["0", "1", "-1", "0.5", "1.0", "1.5", "1e3", "1e30", "nan", "inf", "1e400", "7.0", " 7"]
WORDS = ["", "a2c", "pg", "linear", "lineer", "auto", "true", "False", "yes", "threshold"]


@pytest.mark.parametrize("name", [n for n in FLAGS if n not in ("stop_at_score", "metric_tag")])
def test_a_value_is_refused_where_the_trainer_refuses_it(name: str) -> None:
    for text in (*NUMBERS, *WORDS):
        assert (FLAGS[name].refusal(text) is None) == trainer_takes(f"--{name}={text}"), text


@settings(deadline=None)
@given(st.sampled_from(sorted(FLAGS)), st.integers() | st.floats(allow_nan=False))
def test_a_number_is_refused_where_the_trainer_refuses_it(name: str, number: float) -> None:
    flag = FLAGS[name]
    near_a_bound = any(
        abs(number - bound) <= 1e-9 * abs(bound) for bound in (flag.low, flag.high) if bound
    )
    if flag.kind in ("int", "float") and not near_a_bound:
        assert (flag.refusal(str(number)) is None) == trainer_takes(f"--{name}={number}")


@pytest.mark.parametrize("name", ["batch_size", "batch-size"])
def test_a_flag_is_found_by_both_its_spellings(name: str) -> None:
    assert find(name, FLAGS) is FLAGS["batch_size"]


def test_a_mixture_of_both_spellings_is_none() -> None:
    assert find("learning-rate_decay", FLAGS) is None
    assert not trainer_takes("--learning-rate_decay=none")


@pytest.mark.parametrize(
    "words, expected",
    [
        (["--gamma=0.9"], [Argument(0, "gamma", "0.9")]),
        (["--gamma", "0.9"], [Argument(0, "gamma", "0.9")]),
        (["--stop_at_score", "-5"], [Argument(0, "stop_at_score", "-5")]),
        (["--overwrite", "--seed=1"], [Argument(0, "overwrite", "true"), Argument(1, "seed", "1")]),
        (["--gamma"], [Argument(0, "gamma", None)]),
        (["--gamma="], [Argument(0, "gamma", "")]),
        (["gamma", "0.9"], [Argument(0, "gamma", None), Argument(1, "0.9", None)]),
        (["--metric_tag=a=b"], [Argument(0, "metric_tag", "a=b")]),
    ],
)
def test_arguments_are_read_as_the_trainer_reads_them(
    words: list[str], expected: list[Argument]
) -> None:
    assert list(arguments(words, FLAGS)) == expected


def test_the_last_of_two_arguments_wins() -> None:
    assert flags.given(["--seeds=2", "--seeds", "5", "--seed=x"], FLAGS) == {"seeds": "5"}
