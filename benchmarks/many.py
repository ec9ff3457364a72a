"""Many searches at once: their trials learn together in one process and leave only scores.

A search is a generator that yields trials and receives the scores of their agents. All searches
advance together, so that hundreds of trials share a program.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import optuna
import tensorflow as tf
from numpy.typing import NDArray
from optuna.samplers import BaseSampler

from trainer.batch.shared_programs import SharedPrograms
from trainer.contract.command_line import parse
from trainer.contract.statistics import interquartile_mean
from trainer.environments import spec
from trainer.process import tensorflow_env
from trainer.run.state import RunState
from trainer.training.loop import Step, next_step
from tuner.search import sampling, space
from tuner.spec import loader
from tuner.spec.study_spec import StudySpec

TEMPLATE = Path(__file__).parent.parent / "templates" / "hyperparam.yaml"
ENVIRONMENT, SOLVED = "CartPole-v1", 475.0
EPISODES = 20  # of an agent's score; agents of one configuration differ far more than episodes do
Values = dict[str, Any]
Scores = list[NDArray[np.float64]]  # for each trial the mean returns of its agents
T = TypeVar("T")


class Trial(NamedTuple):
    """A configuration, and the first seed and number of its agents."""

    values: Values
    seed: int
    agents: int


Search = Generator[list[Trial], Scores, T]


def template() -> StudySpec:
    """The search space of `templates/hyperparam.yaml`."""
    return loader.load(TEMPLATE.read_bytes(), str(TEMPLATE))


def options(description: str | None, repeats: int) -> argparse.Namespace:
    """Parses the flags of a benchmark of searches."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--repeats", type=int, default=repeats, help="number of searches of each kind"
    )
    parser.add_argument(
        "--total-steps", type=int, default=10_000, help="environment steps of each agent"
    )
    found = parser.parse_args()
    if found.repeats < 1:
        parser.error(f"--repeats is {found.repeats}, but must be at least 1")
    return found


def together(searches: Sequence[Search[T]], total_steps: int) -> list[T]:
    """Runs the searches; returns their results. Each agent takes `total_steps` steps."""
    tensorflow_env.prepare()
    tensorflow_env.prefer_one_core()
    tf.get_logger().setLevel("ERROR")  # no warnings about a program for each shape
    programs, results = SharedPrograms(), dict[int, T]()
    wanted = {index: next(search) for index, search in enumerate(searches)}
    while wanted:
        every_trial = [trial for trials in wanted.values() for trial in trials]
        scores = iter(train(every_trial, total_steps, programs))
        following = {}
        for index, trials in wanted.items():
            try:
                following[index] = searches[index].send([next(scores) for _ in trials])
            except StopIteration as end:
                results[index] = end.value
        wanted = following
    return [results[index] for index in range(len(searches))]


def train(trials: Sequence[Trial], total_steps: int, programs: SharedPrograms) -> Scores:
    """Trains; returns the greedy mean returns of the final policies over fresh episodes."""
    runs = [_run(trial, total_steps) for trial in trials]
    loops = [run.training_steps() for run in runs]
    steps = [next_step(loop) for loop in loops]
    while any(steps):
        for kind in Step:
            waiting = [index for index, step in enumerate(steps) if step is kind]
            results = programs.execute(kind, [runs[index] for index in waiting])
            for index, result in zip(waiting, results, strict=True):
                steps[index] = next_step(loops[index], result)
    return [returns.mean(axis=1) for returns in programs.returns(runs, greedy=True)]


def searching(
    spec: StudySpec, make: Callable[[int], BaseSampler], *, seed: int, agents: int, trials: int
) -> Generator[list[Trial], Scores, list[tuple[Values, float]]]:
    """One search by interquartile means; returns its trials' values and scores, best first.

    Args:
        make: makes the study's sampler from a seed.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=make(seed))
    first = {p.name: parse([]).values[p.name] for p in spec.parameters}
    first = {p.name: space.nearest(p, first[p.name]) for p in spec.parameters}
    planned = sampling.planned(spec.parameters, spec.algorithm, 0, first)
    assert planned is not None, "the first trial is planned"
    study.enqueue_trial(planned)
    found: list[tuple[Values, float]] = []
    while len(found) < trials:
        asked, values = [], []
        for _ in range(min(spec.max_parallel_trials, trials - len(found))):
            asked.append(study.ask())  # considers running trials
            values.append({p.name: space.suggest(asked[-1], p) for p in spec.parameters})
        scores = yield [Trial(each, seed, agents) for each in values]
        for trial, each, of_agents in zip(asked, values, scores, strict=True):
            score = float(interquartile_mean(of_agents))
            study.tell(trial, score)
            found.append((each, score))
    return sorted(found, key=lambda pair: pair[1], reverse=True)


def _run(trial: Trial, total_steps: int) -> RunState:
    flags = trial.values | {
        "seed": trial.seed, "seeds": trial.agents, "total_steps": total_steps,
        "environment": ENVIRONMENT, "evaluation_episodes": EPISODES,
    }  # fmt: skip
    words = [f"--{name}={value}" for name, value in flags.items()]
    return RunState(parse(words), spec.find(ENVIRONMENT), SOLVED)
