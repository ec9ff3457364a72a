"""What the trainer's flags take, and what the tuner may vary: one list for both."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contract import flags
from trainer.contract.command_line import parse
from trainer.contract.flags import FLAGS, OTHER_NAMES, Argument, arguments, find, meant
from trainer.contract.settings import Hyperparameters


@pytest.mark.parametrize("algorithm", ["a2c", "pg"])
@pytest.mark.parametrize("environment", ["CartPole-v1", "Acrobot-v1", "LunarLander-v3"])
def test_settings_are_those_of_a_run_with_the_same_flags(algorithm: str, environment: str) -> None:
    words = [f"--algorithm={algorithm}", "--environment", environment, "--seeds=3.0"]
    command = parse(words)
    assert flags.settings_of(words).items() >= command.values.items()


@pytest.mark.parametrize("name", ["batch_size", "batch-size"])
def test_a_flag_is_found_by_both_its_spellings(name: str) -> None:
    assert find(name) is FLAGS["batch_size"]


def test_a_mixture_of_both_spellings_is_none() -> None:
    assert find("learning-rate_decay") is None


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
def test_arguments_are_read_as_the_command_line_reads_them(
    words: list[str], expected: list[Argument]
) -> None:
    assert list(arguments(words)) == expected


def test_the_last_of_two_arguments_wins() -> None:
    assert flags.given(["--seeds=2", "--seeds", "5.0", "--seed=x"]) == {"seeds": 5}


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(FLAGS)), st.sampled_from(["1", "0.5", "a2c"]))))
def test_given_flags_are_the_same_as_on_the_command_line(pairs: list[tuple[str, str]]) -> None:
    words = [f"--{name}={text}" for name, text in pairs]
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            command = parse(words)
    except SystemExit:
        return
    found = flags.given(words)
    assert {name: source for name, source in command.sources.items() if name in found} == (
        dict.fromkeys(found, "flag")
    )
    assert all(command.values.get(name, value) == value for name, value in found.items())


def test_a_search_may_vary_every_hyperparameter_and_the_algorithm_and_nothing_else() -> None:
    tunable = {name for name, field in FLAGS.items() if not flags.not_tunable(field)}
    assert tunable == {*Hyperparameters.__dataclass_fields__, "algorithm"}


def test_a_setting_that_cannot_be_tuned_is_refused_with_the_reason() -> None:
    assert flags.not_tunable(FLAGS["seed"]) == (
        "seed cannot be tuned: a lucky seed is not a better setting. Delete the parameter, or fix"
        " it: --seed=VALUE in args."
    )


@pytest.mark.parametrize(
    "name, flag",
    [
        ("lr", "learning_rate"),
        ("env", "environment"),
        ("env_id", "environment"),
        ("env-name", "environment"),
        ("vf_coef", "critic_weight"),
        ("ent_coef", "entropy"),
        ("discount", "gamma"),
        ("n_envs", "num_envs"),
        ("timesteps", "total_steps"),
        ("total_timesteps", "total_steps"),
        ("n_steps", "batch_size"),
        ("max_grad_norm", "max_gradient_norm"),
        ("GAMMA", "gamma"),
        ("gama", "gamma"),
        ("sedes", "seeds"),
    ],
)
def test_names_of_other_libraries_and_slips_are_understood(name: str, flag: str) -> None:
    assert meant(name) == flag


@pytest.mark.parametrize(
    "name", ["trial", "reg_rate", "sigma", "critic_lr", "scale-factor", "edge", "x", "", "-", "--"]
)
def test_where_only_letters_are_alike_there_is_no_hint(name: str) -> None:
    assert meant(name) == ""


def test_no_name_of_another_library_is_a_flag_of_ours() -> None:
    assert not OTHER_NAMES.keys() & FLAGS.keys()
    assert set(OTHER_NAMES.values()) <= FLAGS.keys()
