"""Settings: what they accept, what they refuse, and what they come to."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.contract import presets
from trainer.contract.command_line import parse
from trainer.contract.fields import Range
from trainer.contract.settings import RESERVED_TAGS, Batching, Hyperparameters, RunOptions

FIELDS = [*dataclasses.fields(Hyperparameters), *dataclasses.fields(RunOptions)]
RANGED = [(Hyperparameters, f) for f in dataclasses.fields(Hyperparameters) if f.metadata["range"]]
FLOATS = [f.name for _, f in RANGED if f.type == "float"]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_may_be_nan_or_infinite(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}={value} is out of range"):
        Hyperparameters(**{name: value})


@pytest.mark.parametrize("kind, field", RANGED, ids=[field.name for _, field in RANGED])
def test_a_bound_belongs_to_its_range_unless_it_is_open(
    kind: type, field: dataclasses.Field
) -> None:  # type: ignore[type-arg]
    limits: Range = field.metadata["range"]
    if limits.low_open:
        with pytest.raises(ValueError, match=field.name):
            kind(**{field.name: limits.low})
    else:
        assert getattr(kind(**{field.name: limits.low}), field.name) == limits.low
    if math.isfinite(limits.high):
        assert getattr(kind(**{field.name: limits.high}), field.name) == limits.high


@pytest.mark.parametrize(
    "name, value", [("gamma", 1.001), ("gamma", -0.001), ("batch_size", 0), ("num_envs", -3)]
)
def test_a_value_past_a_bound_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}={value} is out of range"):
        Hyperparameters(**{name: value})


def test_a_refusal_says_the_name_the_value_and_what_to_write() -> None:
    with pytest.raises(ValueError) as refusal:
        Hyperparameters(gamma=1.5)
    assert str(refusal.value) == "gamma=1.5 is out of range. Write a number from 0 to 1."


def test_a_refusal_names_an_open_bound_too() -> None:
    with pytest.raises(ValueError) as refusal:
        Hyperparameters(learning_rate=0.0)
    assert str(refusal.value) == "learning_rate=0.0 is out of range. Write a number > 0."


def test_a_value_one_rounding_past_a_bound_is_moved_onto_it() -> None:
    assert Hyperparameters(gamma=math.nextafter(1, 2)).gamma == 1
    beyond = math.nextafter(0.999999, 1)
    assert Hyperparameters(averaging=beyond).averaging == 0.999999


def test_a_value_well_inside_a_range_is_kept_to_the_last_bit() -> None:
    assert Hyperparameters(gamma=0.9999).gamma == 0.9999


@pytest.mark.parametrize("seed", [2**63 - 2, 2**63 - 1000])
def test_a_whole_number_near_a_bound_stays_what_it_is(seed: int) -> None:
    assert RunOptions(seed=seed).seed == seed


def test_a_whole_number_just_past_a_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="seed"):
        RunOptions(seed=2**63)


def test_a_whole_number_too_large_for_a_double_is_refused() -> None:
    with pytest.raises(ValueError, match="seed"):
        RunOptions(seed=10**400)


@pytest.mark.parametrize("settings", [Hyperparameters(), RunOptions()])
def test_settings_cannot_be_changed(settings: object) -> None:
    name = dataclasses.fields(settings)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, name, 1)


def test_no_name_is_used_twice() -> None:
    names = [field.name for field in FIELDS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("tag", [*RESERVED_TAGS, "", "  "])
def test_a_metric_tag_that_would_hide_hypertunes_own_keys_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="metric_tag"):
        RunOptions(metric_tag=tag)


@pytest.mark.parametrize("score", ["none", "threshold", "195", "-12.5", "1e3"])
def test_a_stop_score_is_a_number_or_one_of_two_words(score: str) -> None:
    assert RunOptions(stop_at_score=score).stop_at_score == score


@pytest.mark.parametrize("score", ["nan", "inf", "None!", ""])
def test_any_other_stop_score_is_refused(score: str) -> None:
    with pytest.raises(ValueError, match="stop_at_score"):
        RunOptions(stop_at_score=score)


def test_a_batch_is_environments_times_steps() -> None:
    batching = Batching(Hyperparameters(batch_size=256, num_envs=8), "a2c")
    assert (batching.num_envs, batching.steps, batching.batch_size) == (8, 32, 256)


def test_a_batch_that_does_not_divide_is_rounded_up() -> None:
    batching = Batching(Hyperparameters(batch_size=20, num_envs=8), "a2c")
    assert (batching.num_envs, batching.steps, batching.batch_size) == (8, 3, 24)


def test_environments_are_never_more_than_the_batch() -> None:
    batching = Batching(Hyperparameters(batch_size=5, num_envs=8), "a2c")
    assert (batching.num_envs, batching.steps, batching.batch_size) == (5, 1, 5)


@given(batch_size=st.integers(1, 2**24), num_envs=st.integers(1, 65536))
def test_the_effective_batch_is_the_next_multiple(batch_size: int, num_envs: int) -> None:
    batching = Batching(Hyperparameters(batch_size=batch_size, num_envs=num_envs), "a2c")
    assert batching.batch_size is not None
    assert batching.num_envs == min(num_envs, batch_size)
    assert 0 <= batching.batch_size - batch_size < batching.num_envs


def test_pg_takes_whole_episodes_whatever_the_batch_size() -> None:
    batching = Batching(Hyperparameters(batch_size=4, num_envs=8), "pg")
    assert (batching.num_envs, batching.steps, batching.batch_size) == (8, None, None)


def test_every_preset_sets_real_settings_within_their_ranges() -> None:
    for values in presets.PRESETS.values():
        options = {f.name for f in dataclasses.fields(RunOptions)} & values.keys()
        RunOptions(**{name: values[name] for name in options})  # type: ignore[arg-type]
        Hyperparameters(**{n: v for n, v in values.items() if n not in options})  # type: ignore[arg-type]


def test_the_preset_of_a_pair_beats_the_one_of_its_algorithm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = {("pg", "*"): {"gamma": 0.5, "entropy": 0.1}, ("pg", "Own-v0"): {"gamma": 0.6}}
    monkeypatch.setattr(presets, "PRESETS", both)
    assert presets.preset("pg", "Own-v0") == {"gamma": 0.6, "entropy": 0.1}
    assert presets.preset("pg", "Other-v0") == {"gamma": 0.5, "entropy": 0.1}
    assert presets.preset("a2c", "Own-v0") == {}


def test_a_flag_beats_a_preset_and_a_preset_beats_a_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = {("a2c", "Own-v0"): {"gamma": 0.6, "entropy": 0.1}}
    monkeypatch.setattr(presets, "PRESETS", own)
    command = parse(["--environment", "Own-v0", "--gamma", "0.7"])
    assert command.hyperparameters == Hyperparameters(gamma=0.7, entropy=0.1)


def test_a_command_knows_where_each_value_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {("a2c", "Own-v0"): {"gamma": 0.6, "entropy": 0.1}}
    monkeypatch.setattr(presets, "PRESETS", own)
    command = parse(["--environment", "Own-v0", "--gamma", "0.7"])
    assert set(command.sources) == {field.name for field in FIELDS}
    told = {"gamma": "flag", "entropy": "preset", "environment": "flag"}
    assert dict(command.sources) == dict.fromkeys(command.sources, "default") | told


def test_pg_reports_the_flags_it_has_no_use_for() -> None:
    flags = ["--batch_size", "64", "--gae_lambda", "0.9", "--critic_weight", "1"]
    assert set(parse(["--algorithm", "pg", *flags]).unused) == {
        "batch_size",
        "gae_lambda",
        "critic_weight",
    }


def test_pg_reports_nothing_that_was_not_given() -> None:
    assert parse(["--algorithm", "pg", "--gamma", "0.9"]).unused == []


def test_ppo_uses_every_flag() -> None:
    flags = [f"--{f.name}={f.default}" for f in dataclasses.fields(Hyperparameters)]
    assert parse([*flags, "--algorithm=ppo"]).unused == []


def test_where_a_run_goes_is_no_part_of_what_it_is() -> None:
    here = parse(["--job_dir", "a"])
    there = parse(["--job_dir", "b", "--overwrite", "--video=false"])
    assert here.values == there.values
