"""Benchmarks of searches: many side by side find what each would find alone, on separate seeds."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks import optimism, samplers
from benchmarks.many import EPISODES, Scores, Trial, searching, template, together, train
from trainer.batch.shared_programs import SharedPrograms
from trainer.contract.command_line import parse
from trainer.environments import spec
from trainer.run.state import RunState
from tuner.search import sampling


def ask(search: optimism.Search[tuple[float, float]]) -> list[list[Trial]]:
    """All that a search asks for, when configurations with a large gamma score well."""
    asked: list[list[Trial]] = []
    scores: Scores | None = None
    while True:
        try:
            asked.append(search.send(scores))  # type: ignore[arg-type]
        except StopIteration:
            return asked
        scores = [np.full(t.agents, 500 * t.values["gamma"]) for t in asked[-1]]


def test_no_seed_serves_two_purposes() -> None:
    spec = template()
    for search in (
        optimism.ours(spec, 3),
        optimism.usual(spec, 3, 30),
        samplers.worth(spec, partial(sampling.sampler, ""), 3),
    ):
        asked = ask(search)
        tuning = {t.seed for trials in asked[:4] for t in trials}
        later = [{t.seed for t in trials} for trials in asked[4:]]
        assert [len(trials) for trials in asked[:4]] == [8, 8, 8, 6]
        assert len(tuning.union(*later)) == 1 + len(later)


def test_the_first_trial_is_the_defaults_and_the_best_comes_first() -> None:
    search = searching(template(), partial(sampling.sampler, ""), seed=1, agents=2, trials=9)
    first = next(search)
    assert first[0].values | {"entropy": 0.0} == {
        name: parse([]).values[name] for name in first[0].values
    }
    second = search.send([np.full(2, float(place)) for place in range(8)])
    try:
        search.send([np.full(2, 3.5) for _ in second])
    except StopIteration as end:
        assert [score for _, score in end.value] == [7, 6, 5, 4, 3.5, 3, 2, 1, 0]
        assert end.value[0][0] == first[7].values


def test_trials_side_by_side_score_as_alone() -> None:
    trials = [Trial({"hidden_neurons": 12}, 1, 2), Trial({"gamma": 0.9}, 2, 1)]
    found = train(trials, 300, SharedPrograms())
    for trial, scores in zip(trials, found, strict=True):
        flags = trial.values | {"seed": trial.seed, "seeds": trial.agents, "total_steps": 300}
        flags["evaluation_episodes"] = EPISODES
        run = RunState(
            parse([f"--{name}={value}" for name, value in flags.items()]),
            spec.find("CartPole-v1"),
            475.0,
        )
        run.train()
        np.testing.assert_allclose(scores, run.returns(greedy=True).mean(axis=1), atol=0.5)


def test_searches_side_by_side_get_their_own_scores() -> None:
    def search(seed: int) -> optimism.Search[int]:
        (scores,) = yield [Trial({}, seed, 1)]
        (again,) = yield [Trial({}, seed, 1)]
        assert scores == again
        return seed

    assert together([search(1), search(2)], 100) == [1, 2]
