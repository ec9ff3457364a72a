"""What is kept of a policy's course, whatever the stack and however long it trains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainer.agents.networks import Architecture, forward, initialise
from trainer.outputs.policy_snapshots import KEPT, PolicySnapshots, Snapshot
from trainer.storage.checkpoint import CheckpointError

ARCHITECTURE = Architecture((3,), 2, 2, critic=True)
IMAGES = Architecture((20, 20, 1), 2, 2, critic=False)


def weights_at(evaluation: int, agents: int) -> NDArray[np.float32]:
    """Weights that tell their evaluation and agent."""
    rows = np.arange(agents)[:, None] + 100.0 * evaluation + np.zeros((1, ARCHITECTURE.size))
    return rows.astype(np.float32)


def course(lengths: list[int]) -> PolicySnapshots:
    """A stack whose agents train for so many evaluations, 10 steps each and one for each agent."""
    agents = len(lengths)
    snapshots = PolicySnapshots(ARCHITECTURE, weights_at(0, agents))
    for evaluation in range(1, max(lengths) + 1):
        training = np.array(lengths) >= evaluation
        steps = np.minimum(evaluation, lengths) * 10 + np.arange(agents)
        scores = np.full(agents, float(evaluation))
        weights = np.where(
            training[:, None], weights_at(evaluation, agents), np.float32(np.nan)
        )  # of those that have stopped nothing may be looked at
        snapshots.keep(evaluation, training, steps, scores, weights)
    return snapshots


def policy_of(snapshots: PolicySnapshots, agent: int, length: int, agents: int) -> list[Snapshot]:
    weights = weights_at(length, agents)
    return snapshots.of(agent, length * 10 + agent, float(length), weights)


def told(snapshot: Snapshot) -> set[float]:
    """What the weights say: evaluation and agent."""
    return {float(x) for kernel, bias in snapshot.layers for x in (*kernel.flat, *bias)}


def test_the_middle_is_the_evaluation_nearest_to_half_of_the_agents_own_steps() -> None:
    snapshots = course([5, 2, 6])
    for agent, length, half in ((0, 5, 2), (1, 2, 1), (2, 6, 3)):
        start, middle, end = policy_of(snapshots, agent, length, 3)
        assert (start.label, start.steps, start.score) == ("start", 0, None)
        assert (middle.label, middle.steps, middle.score) == ("middle", half * 10 + agent, half)
        assert (end.label, end.steps, end.score) == ("end", length * 10 + agent, length)
        assert told(start) == {agent}
        assert told(middle) == {100.0 * half + agent}
        assert told(end) == {100.0 * length + agent}


def test_a_policy_that_was_evaluated_at_its_end_only_has_no_middle() -> None:
    found = policy_of(course([1, 3]), 0, 1, 2)
    assert [snapshot.label for snapshot in found] == ["start", "end"]


@pytest.mark.parametrize(
    "length, kept",
    [
        (6, [1, 2, 3, 4, 5, 6]),
        (7, [2, 4, 6]),
        (13, [2, 4, 6, 8, 10, 12]),
        (14, [4, 8, 12]),
        (28, [8, 16, 24]),
    ],
)
def test_every_other_evaluation_goes_when_there_are_too_many(length: int, kept: list[int]) -> None:
    """Of the agent that stopped after 3 all stay."""
    scores = course([length, 3]).snapshot()["scores"]
    assert scores[scores[:, 0] > 0, 0].tolist() == kept
    assert scores[:4, 1].tolist() == [1, 2, 3, 0]


@given(lengths=st.lists(st.integers(1, 200), min_size=1, max_size=3))
@settings(deadline=None, max_examples=50)
def test_the_middle_is_near_the_middle_and_memory_is_bounded(lengths: list[int]) -> None:
    snapshots = course(lengths)
    assert len(snapshots.snapshot()["steps"]) <= KEPT
    for agent, length in enumerate(lengths):
        found = policy_of(snapshots, agent, length, len(lengths))
        if length == 1:
            continue
        evaluation = round(found[1].score or 0)
        assert 1 / 3 <= evaluation / length <= 2 / 3
        assert length > KEPT or evaluation == length // 2
        assert told(found[1]) == {100.0 * evaluation + agent}


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=4))
@settings(deadline=None, max_examples=30)
def test_what_is_kept_of_an_agent_does_not_depend_on_the_stack(lengths: list[int]) -> None:
    together = course(lengths).snapshot()["scores"]
    for agent, length in enumerate(lengths):
        alone = course([length]).snapshot()["scores"][:, 0]
        kept = together[:, agent]
        assert np.array_equal(kept[kept > 0], alone[alone > 0])


@given(length=st.integers(1, 60), cut=st.integers(0, 60))
@settings(deadline=None, max_examples=30)
def test_a_course_that_is_taken_up_goes_on_as_if_it_had_never_been_cut(
    length: int, cut: int
) -> None:
    """The arrays are all there is: how many evaluations there were is told by who goes on."""
    whole = course([max(length, cut)]).snapshot()
    cut_course = course([cut]) if cut else PolicySnapshots(ARCHITECTURE, weights_at(0, 1))
    again = PolicySnapshots(ARCHITECTURE, weights_at(0, 1))
    again.restore(cut_course.snapshot())
    for evaluation in range(cut + 1, length + 1):
        again.keep(
            evaluation,
            np.array([True]),
            np.array([evaluation * 10]),
            np.array([float(evaluation)]),
            weights_at(evaluation, 1),
        )
    for name, array in again.snapshot().items():
        assert array.dtype == whole[name].dtype
        assert array.tobytes() == whole[name].tobytes(), name


def test_the_layers_are_those_of_the_policy_and_not_of_the_critic() -> None:
    weights = initialise(ARCHITECTURE, [np.random.default_rng(0), np.random.default_rng(1)])
    snapshots = PolicySnapshots(ARCHITECTURE, weights)
    _, end = snapshots.of(1, 10, None, weights)
    observations = np.random.default_rng(2).normal(size=(1, 5, 3)).astype(np.float32)
    theirs = forward(ARCHITECTURE.unpack(weights[1:])["actor"], observations, ())
    ours = forward(tuple((k[None], b[None, None]) for k, b in end.layers), observations, ())
    np.testing.assert_array_equal(ours, theirs)


def test_nothing_is_kept_of_policies_of_images() -> None:
    weights = initialise(IMAGES, [np.random.default_rng(0)])
    snapshots = PolicySnapshots(IMAGES, weights)
    snapshots.keep(1, np.array([True]), np.array([10]), np.array([1.0]), weights)
    assert snapshots.snapshot()["weights"].size == 0
    assert snapshots.of(0, 10, 1.0, weights) == []


def test_a_snapshot_is_one_of_that_moment() -> None:
    snapshots = course([3])
    before = snapshots.snapshot()
    kept = {name: array.copy() for name, array in before.items()}
    snapshots.keep(4, np.array([True]), np.array([40]), np.array([4.0]), weights_at(4, 1))
    assert all(np.array_equal(before[name], array) for name, array in kept.items())


@pytest.mark.parametrize("name", ["weights", "steps", "scores"])
def test_a_snapshot_of_something_else_is_refused(name: str) -> None:
    arrays = course([3]).snapshot()
    for wrong in (arrays[name][1:], arrays[name][:, :0], arrays[name].astype(np.int8)):
        if name == "steps" and len(wrong) == 2:
            wrong = wrong[:, :0]  # fewer slots are refused by the others
        with pytest.raises(CheckpointError, match=name):
            PolicySnapshots(ARCHITECTURE, weights_at(0, 1)).restore({**arrays, name: wrong})
    with pytest.raises(CheckpointError, match=f"it has no {name}"):
        rest = {key: array for key, array in arrays.items() if key != name}
        PolicySnapshots(ARCHITECTURE, weights_at(0, 1)).restore(rest)
