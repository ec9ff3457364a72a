"""Environments as people have them: which are used, which are refused, and in which words."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

from tests.support import zoo
from trainer.environments.construction import Recipe
from trainer.environments.errors import BadEnvironment
from trainer.environments.observations import Encoder
from trainer.environments.spec import find

ZOO = "tests.support.zoo"


def refusal(name: str, **how: Any) -> str:
    with pytest.raises(BadEnvironment) as refused:
        find(name, **how)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("kind", "shape", "pixels"),
    [
        ("Line", (2,), False),
        ("Matrix", (12,), False),
        ("Scalar", (1,), False),
        ("Bits", (8,), False),
        ("Digits", (13,), False),
        ("Pair", (13,), False),
        ("Named", (4,), False),
        ("ChannelsFirst", (24, 30, 3), True),
        ("SmallImage", (7, 6, 3), False),
        ("Identifiers", (2,), False),
    ],
)
@pytest.mark.parametrize("frame_stack", [1, 3])
def test_every_space_is_encoded(
    kind: str, shape: tuple[int, ...], pixels: bool, frame_stack: int
) -> None:
    environment = find(f"{ZOO}:{kind}", frame_stack=frame_stack)
    *front, last = shape
    expected = (*front, last * frame_stack)
    assert (environment.observation_shape, environment.pixels) == (expected, pixels)
    env = environment.make()
    first, second = env.reset(seed=1)[0], env.step(1)[0]
    encoded = environment.encode([first, second])
    assert encoded.shape == (2, *expected)
    assert encoded.dtype == (np.uint8 if pixels else np.float32)
    assert not np.array_equal(encoded[0], encoded[1])
    env.close()


def test_channels_that_come_first_go_last() -> None:
    encoder = Encoder(zoo.ChannelsFirst.observation_space)
    image = np.random.default_rng(0).integers(256, size=(3, 24, 30), dtype=np.uint8)
    assert np.array_equal(encoder.encode([image])[0], np.moveaxis(image, 0, -1))


def test_stacked_grey_frames_are_channels() -> None:
    encoder = Encoder(spaces.Box(0, 255, (4, 84, 84), np.uint8))
    assert encoder.shape == (84, 84, 4)
    assert Encoder(spaces.Box(0, 255, (84, 84), np.uint8)).shape == (84, 84, 1)
    stacked = Encoder(spaces.Box(0, 255, (4, 84, 84, 3), np.uint8))
    image = np.random.default_rng(0).integers(256, size=(4, 84, 84, 3), dtype=np.uint8)
    assert np.array_equal(stacked.encode([image])[0, ..., 3:6], image[1])


def test_integers_beyond_float32_are_scaled_by_their_bounds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    environment = find(f"{ZOO}:Identifiers")
    assert "has integers up to 1099511627776 in its observations" in caplog.text
    encoded = environment.encode([np.array([0, 2**40]), np.array([2**39, 2**38])])
    assert encoded.tolist() == [[0, 1], [0.5, 0.25]]


def test_integers_without_bounds_are_named() -> None:
    wide = Encoder(spaces.Box(-(2**63), 2**63 - 1, (2,), np.int64))
    assert "int64 observations without bounds" in str(wide.warning)
    assert wide.encode([np.array([3, -4])]).tolist() == [[3, -4]]
    assert Encoder(spaces.Box(0, 1000, (2,), np.int64)).warning is None
    assert Encoder(spaces.Box(0, 255, (2,), np.uint8)).warning is None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Needs", "missing 1 required positional argument: 'level'. --env_kwargs"),
        ("NoLicence", "could not be made: RuntimeError: no licence server at port 7."),
        ("NoFile", "FileNotFoundError: [Errno 2] No such file or directory: 'prices.csv'."),
        ("WrongShape", "must return observations of Box(-1.0, 1.0, (2,), float32) from reset, but"),
        ("WrongType", "but returned one of float64."),
        ("OldReset", "must return (observation, info) from reset"),
        ("OldSeed", "unexpected keyword argument 'seed'. Gymnasium calls reset(seed=..., opt"),
        ("OldStep", "must return (observation, reward, terminated, truncated, info) from step"),
        ("ArrayReward", "a reward that is one number, but its first step returned an array of sh"),
        ("NoReward", "a reward that is one number, but its first step returned None."),
        ("FirstNan", "that are finite, but returned one with nan."),
        ("A_NUMBER", "is not a class or a function"),
        ("Nobody", "no class, function or registered id Nobody."),
    ],
)
def test_a_fault_is_refused_in_its_own_words(kind: str, words: str) -> None:
    said = refusal(f"{ZOO}:{kind}")
    assert words in said
    assert f"{ZOO}:{kind}" in said
    assert "Did you mean" not in said


def test_where_an_environment_raised_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    refusal(f"{ZOO}:NoLicence")
    assert 'raise RuntimeError("no licence server at port 7")' in caplog.text
    assert "gymnasium" not in caplog.text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere_at_all:Own-v0", "module nowhere_at_all, which is not installed and not in this"),
        ("tests.nowhere:Own-v0", "module tests.nowhere, which is not installed"),
        ("ALE/Pong-v5", "ale_py registers it: --environment ale_py:ALE/Pong-v5"),
        ("MiniGrid-Empty-5x5-v0", "--environment minigrid:MiniGrid-Empty-5x5-v0"),
    ],
)
def test_a_module_that_is_missing_is_named(name: str, words: str) -> None:
    assert words in refusal(name)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "import no_such_package_xyz",
            "ModuleNotFoundError: No module named 'no_such_package_xyz'",
        ),
        ("1 +", "SyntaxError: invalid syntax"),
        ("undefined_name", "NameError: name 'undefined_name' is not defined"),
        ("raise KeyError('HOME_OF_SIM')", "KeyError: 'HOME_OF_SIM'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_with_the_cause(
    source: str, words: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    said = refusal("broken_module:Own-v0")
    assert "broken_module, which could not be imported" in said
    assert words in said


def test_an_environment_is_an_id_a_class_a_factory_or_a_function_of_ones_own() -> None:
    of_id, of_class = find(f"{ZOO}:ZooLine-v0"), find(f"{ZOO}:Line", max_episode_steps=50)
    of_factory = find(f"{ZOO}:make_long_line", max_episode_steps=50)
    own = find(zoo.make_long_line, max_episode_steps=50)
    assert of_id.reward_threshold == 0.5
    assert {e.max_episode_steps for e in (of_id, of_class, of_factory, own)} == {50}
    assert own.make().unwrapped.size == 50  # type: ignore[attr-defined]


def test_arguments_limits_and_wrappers_reach_the_environment() -> None:
    environment = find(
        "tests.support.zoo:ZooLine-v0",
        kwargs={"size": 20},
        wrappers=[f"{ZOO}:Doubled", f"{ZOO}:Doubled"],
        max_episode_steps=7,
    )
    assert environment.customised
    env = environment.make()
    env.reset(seed=0)
    _, reward, *_ = env.step(0)
    assert reward == pytest.approx(-0.4)
    assert env.unwrapped.size == 20  # type: ignore[attr-defined]
    ends = [env.step(0)[3] for _ in range(6)]
    assert ends == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("wrapper", "words"),
    [
        ("Doubled", "`wrappers` Doubled is not of the form module:name."),
        (f"{ZOO}:nothing", "`wrappers` tests.support.zoo:nothing does not exist"),
        (f"{ZOO}:A_NUMBER", "is not a function or class"),
        (f"{ZOO}:not_a_wrapper", "must return a Gymnasium environment, but returned a NoneType."),
        (f"{ZOO}:broken_wrapper", "could not wrap tests.support.zoo:Line: KeyError: 'WRAPPER_HO"),
    ],
)
def test_a_wrapper_that_is_none_is_refused(wrapper: str, words: str) -> None:
    assert words in refusal(f"{ZOO}:Line", wrappers=[wrapper])


def test_only_what_has_no_limit_of_its_own_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    def limited() -> Any:
        return TimeLimit(zoo.Line(), 30)

    assert find(limited).max_episode_steps == 30
    assert find(f"{ZOO}:Endless", max_episode_steps=20).max_episode_steps == 20
    assert not caplog.records
    assert find(f"{ZOO}:Endless").max_episode_steps == 1000
    assert "has no time limit" in caplog.text


def test_a_mask_that_nobody_heeds_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    find(f"{ZOO}:Masked", max_episode_steps=20)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "info['action_mask']" in caplog.text


def test_what_is_made_to_be_looked_at_is_closed() -> None:
    zoo.Counted.made = zoo.Counted.closed = 0
    find(f"{ZOO}:Counted")
    with pytest.raises(BadEnvironment):
        Recipe(f"{ZOO}:Counted", wrappers=(f"{ZOO}:broken_wrapper",)).make()
    assert zoo.Counted.made == zoo.Counted.closed == 2
