"""Runs in a stack learn what they would learn alone.

More than 250 lines, since its tests compare runs in a stack with the same runs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.agents.algorithms import ALGORITHMS
from trainer.agents.networks import Architecture, forward
from trainer.agents.random_streams import Purpose
from trainer.batch.program_shapes import ROWS, Shape, common_shape, positions_in, tiles
from trainer.batch.shared_programs import Compiled, SharedPrograms
from trainer.contract.command_line import parse
from trainer.environments import spec
from trainer.run.state import RunState
from trainer.training.loop import Step

UPDATES = 20
# Everything that agents of one program may differ in.
DIFFERENT = (
    {"seeds": 2, "seed": 4, "hidden_neurons": 13, "batch_size": 100, "learning_rate": 0.003},
    {"seeds": 3, "seed": 1, "hidden_neurons": 9, "batch_size": 64, "gae_lambda": 0.9},
    {"seeds": 1, "seed": 3, "hidden_neurons": 16, "gamma": 0.9, "entropy": 0.02},
    {"seeds": 1, "hidden_neurons": 16, "critic_weight": 0.3, "learning_rate_decay": "none"},
    {"seeds": 2, "hidden_neurons": 16, "epochs": 7, "minibatch_size": 50, "clip_range": 0.1},
)


def make(algorithm: str, evaluation_every: int = 100_000, **flags: object) -> RunState:
    words = [f"--{name}={value}" for name, value in flags.items()]
    words += [f"--algorithm={algorithm}", f"--evaluation_every={evaluation_every}"]
    return RunState(parse(words), spec.find("CartPole-v1"), 475.0)


def learn_alone(run: RunState) -> None:
    progress = run.progress
    while progress.learning.any():
        run.learn()


def learn_together(stack: SharedPrograms, runs: Sequence[RunState]) -> None:
    while learning := [run for run in runs if run.progress.learning.any()]:
        stack.learn(learning)


def until(algorithm: str, flags: dict[str, int]) -> int:
    """Steps that take an agent about `UPDATES` gradient steps."""
    batch = flags.get("batch_size", 256)
    return {"a2c": UPDATES * batch, "pg": UPDATES * 150, "ppo": max(batch, 128)}[algorithm]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_twenty_updates_in_a_stack_give_the_weights_of_twenty_alone(algorithm: str) -> None:
    several = [(until(algorithm, flags), flags) for flags in DIFFERENT]
    stacked = [make(algorithm, every, **flags) for every, flags in several]
    learn_together(SharedPrograms(), stacked)
    for run, (every, flags) in zip(stacked, several, strict=True):
        alone = make(algorithm, every, **flags)
        learn_alone(alone)
        updates = alone.agents.state.updates.numpy()
        assert updates.min() >= UPDATES - 5, "this is to be a test of several updates"
        np.testing.assert_array_equal(run.progress.steps, alone.progress.steps)
        for name, ours, theirs in zip(
            alone.agents.state._fields, run.agents.state, alone.agents.state, strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-5, err_msg=name)
        np.testing.assert_array_equal(run.collector.collected, alone.collector.collected)
        np.testing.assert_allclose(run.collector.state.physics, alone.collector.state.physics,
                                   rtol=1e-6, atol=1e-9)  # fmt: skip


def test_a_stack_plays_the_episodes_that_each_run_would_play() -> None:
    runs = [make("a2c", 512, **flags) for flags in DIFFERENT]
    stack = SharedPrograms()
    learn_together(stack, runs)
    for run, (greedy, sampled) in zip(runs, stack.execute(Step.SCORE, runs), strict=True):
        np.testing.assert_array_equal(greedy, run.returns(greedy=True))
        np.testing.assert_array_equal(sampled, run.returns(greedy=False))
    for run, returns in zip(runs, stack.validate(runs), strict=True):
        weights, episodes = run.agents.state.averaged, run.progress.plan.validation_episodes
        theirs = run.collector.play(weights, episodes, Purpose.VALIDATION, 0, greedy=True)
        np.testing.assert_array_equal(returns, theirs)


def test_who_else_is_in_the_stack_changes_nothing() -> None:
    """Bit for bit, as long as the program is the same one."""
    flags = [{"seeds": 2, "seed": seed} for seed in range(3)]
    stack, first = SharedPrograms(), [make("a2c", 2048, **each) for each in flags]
    learn_together(stack, first)
    second = [
        make("a2c", 2048, **flags[2]),
        make("a2c", 2048, learning_rate=0.5, seeds=4),
        make("a2c", 2048, batch_size=64, seeds=3),  # whose rows come first
    ]
    learn_together(stack, second)
    np.testing.assert_array_equal(first[2].agents.state.weights, second[0].agents.state.weights)


def test_an_agent_that_diverges_harms_no_other() -> None:
    good = make("a2c", 2048, seeds=2)
    bad = make("a2c", 2048, learning_rate=1e30, max_gradient_norm=1e30, value_scale=1e30)
    learn_together(SharedPrograms(), [good, bad])
    alone = make("a2c", 2048, seeds=2)
    learn_alone(alone)
    assert bad.progress.diverged.all() and not good.progress.diverged.any()
    np.testing.assert_allclose(
        good.agents.state.weights, alone.agents.state.weights, rtol=1e-3, atol=2e-5
    )


def test_runs_that_come_later_find_their_program_ready() -> None:
    stack = SharedPrograms()
    for seed in range(3):
        learn_together(stack, [make("a2c", 512, seed=seed, learning_rate=0.01 * (seed + 1))])
    programs = [compiled._function for compiled in stack._programs.values()]
    assert [program.experimental_get_tracing_count() for program in programs] == [1]


def test_threads_share_what_one_of_them_compiles() -> None:
    """To the last bit what one thread would have made, and nothing is compiled twice."""
    runs, alone = ([make("a2c", 512, seed=seed) for seed in range(4)] for _ in range(2))
    stack = SharedPrograms()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda run: learn_together(stack, [run]), runs))
    programs = [compiled._function for compiled in stack._programs.values()]
    assert [program.experimental_get_tracing_count() for program in programs] == [1]
    learn_together(stack, alone)
    for one, other in zip(runs, alone, strict=True):
        np.testing.assert_array_equal(one.agents.state.weights, other.agents.state.weights)


def test_what_another_thread_compiles_is_called_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits who has something else to do."""
    stack, calls = SharedPrograms(), list[int]()
    narrow, wide = make("a2c", 512), make("a2c", 512, hidden_neurons=64)

    def learn_rows(shape: Shape, program: Compiled, rows: Any) -> None:
        calls.append(shape.architecture.hidden_neurons)

    monkeypatch.setattr("trainer.batch.shared_programs.learn_rows", learn_rows)
    stack.learn([narrow, wide])
    assert calls == [32, 64]
    with stack._programs["learn", common_shape(narrow)]._compiling:
        stack.learn([narrow, wide])
    assert calls == [32, 64, 64, 32]


def test_a_run_goes_on_alone_where_the_stack_has_left_it() -> None:
    """What a checkpoint holds is the same; only the program that goes on is another."""
    stacked, alone = (make("a2c", 2048, seeds=2) for _ in range(2))
    learn_together(SharedPrograms(), [stacked])
    learn_alone(alone)
    for run in (stacked, alone):
        run.progress.record(np.zeros(2))
        learn_alone(run)
    np.testing.assert_allclose(
        stacked.agents.state.weights, alone.agents.state.weights, rtol=1e-3, atol=5e-5
    )


@given(st.integers(1, 40), st.integers(0, 40), st.booleans())
def test_narrow_networks_say_the_same_inside_wide_ones(
    neurons: int, more: int, critic: bool
) -> None:
    narrow = Architecture((4,), 2, neurons, critic=critic)
    wide = narrow._replace(hidden_neurons=neurons + more)
    generator = np.random.default_rng(neurons)
    weights = generator.normal(size=(2, narrow.size)).astype(np.float32)
    padded = np.zeros((2, wide.size), np.float32)
    padded[:, positions_in(narrow, wide)] = weights
    x = generator.normal(size=(2, 3, 4)).astype(np.float32)
    for name, network in narrow.unpack(weights).items():
        np.testing.assert_allclose(
            forward(wide.unpack(padded)[name], x, ()), forward(network, x, ()), atol=1e-4
        )


@given(st.lists(st.integers(0, 3), max_size=5 * ROWS))
def test_tiles_hold_every_row_once_in_order_and_never_two_shapes(shapes: list[int]) -> None:
    rows = list(enumerate(shapes))
    found = tiles(rows, lambda row: row[1])  # type: ignore[arg-type, return-value]
    assert sorted(row for _, tile in found for row in tile) == rows
    for shape, tile in found:
        assert {theirs for _, theirs in tile} == {shape} and 1 <= len(tile) <= ROWS
        assert tile == sorted(tile)
    for shape in set(shapes):
        sizes = [len(tile) for theirs, tile in found if theirs == shape]
        assert all(size == ROWS for size in sizes[:-1]), "no row is idle before the last call"


def test_runs_of_many_agents_and_of_few_share_calls() -> None:
    """As many agents in each call as fit, whosever they are."""
    runs = [make("a2c", 512, seeds=ROWS + 3, seed=1), make("a2c", 512, seeds=ROWS - 3, seed=2)]
    stack, calls = SharedPrograms(), list[int]()
    learn_together(stack, [make("a2c", 512)])
    (compiled,) = stack._programs.values()
    program = compiled._function
    compiled._function = lambda *inputs: calls.append(1) or program(*inputs)
    learn_together(stack, runs)
    assert len(calls) == 2
    for run in runs:
        alone = make("a2c", 512, seeds=run.progress.size, seed=run.command.options.seed)
        learn_alone(alone)
        np.testing.assert_allclose(
            run.agents.state.weights, alone.agents.state.weights, rtol=1e-3, atol=2e-5
        )


def test_only_agents_that_have_changed_are_validated() -> None:
    run = make("a2c", 512, seeds=2)
    stack = SharedPrograms()
    learn_together(stack, [run])
    run.progress.record(np.array([1.0, 2.0]))
    run.progress.training[1] = False
    (returns,) = stack.validate([run])
    assert np.isfinite(returns[0]).all() and np.isnan(returns[1]).all()


def test_few_shapes_serve_a_whole_search_space() -> None:
    shapes = {
        common_shape(make("a2c", hidden_neurons=neurons, batch_size=batch))
        for neurons in range(8, 129, 4)
        for batch in (64, 200, 256, 300, 1024)
    }
    assert len(shapes) <= 3


@pytest.mark.learning
def test_final_scores_are_distributed_as_those_of_runs_alone() -> None:
    """50 seeds each way, two widths; the same seeds, so it is the engine that is compared."""
    from scipy.stats import ks_2samp

    flags = {"seeds": 10, "total_steps": 30_000, "evaluation_episodes": 20}
    kinds = [
        partial(make, "a2c", 5_000, seed=seed, hidden_neurons=neurons, **flags)
        for seed, neurons in ((1, 12), (2, 12), (3, 20), (4, 32), (5, 32))
    ]
    stack, runs = SharedPrograms(), [kind() for kind in kinds]
    while training := [run for run in runs if run.progress.training.any()]:
        learn_together(stack, training)
        for run, scores in zip(training, stack.execute(Step.VALIDATE, training), strict=True):
            run.progress.record(scores)
    stacked = stack.returns(runs, greedy=False)
    alone = []
    for kind in kinds:
        run = kind()
        run.train()
        alone.append(run.returns(greedy=False))
    ours, theirs = (np.concatenate(x).mean(axis=1) for x in (stacked, alone))
    assert len(ours) == len(theirs) == 50
    assert ks_2samp(ours, theirs).pvalue > 0.01
    assert abs(ours.mean() - theirs.mean()) < 3 * theirs.std() / np.sqrt(50)
