"""The plan of a study: the defaults that it tests against, and how many trials run at a time."""

from __future__ import annotations

import argparse
import os
from typing import Any

import pytest

from tests.support.workspaces import PLAIN, TEMPLATES
from tuner.commands import run
from tuner.spec.loader import load
from tuner.spec.study_spec import CATEGORICAL, DISCRETE, Parameter, StudySpec, TrialJob
from tuner.study import plan_from_command


def spec(*parameters: Parameter, args: tuple[str, ...] = ()) -> StudySpec:
    return StudySpec("mean_score", parameters, job=TrialJob(args=args))


def plan(study: StudySpec, *flags: str) -> Any:
    parser = argparse.ArgumentParser()
    run.add_flags(parser)
    return plan_from_command.make_plan(study, parser.parse_args(["f", "--job-dir", "d", *flags]))


def test_defaults_are_those_of_the_algorithm_and_as_near_as_the_range_comes() -> None:
    found = plan_from_command.defaults(load((TEMPLATES / "hyperparam.yaml").read_bytes(), "f"))
    assert found == {
        "gamma": 0.99, "learning_rate": 0.01, "hidden_neurons": 32, "critic_weight": 1.0,
        "entropy": 1e-5, "batch_size": 256,
    }  # fmt: skip
    found = plan_from_command.defaults(load((TEMPLATES / "hyperparam_pg.yaml").read_bytes(), "f"))
    assert (found["learning_rate"], found["num_envs"]) == (0.007, 4)
    found = plan_from_command.defaults(
        spec(
            Parameter("batch_size", DISCRETE, values=(64.0, 512.0)),
            Parameter("learning_rate_decay", CATEGORICAL, words=("none",)),
            Parameter("algorithm", CATEGORICAL, words=("pg",)),
            args=("--batch_size=500", "--learning_rate_decay=none"),
        )
    )
    assert found == {"batch_size": 512.0, "learning_rate_decay": "none"}


def test_no_more_trials_than_cores_run_at_a_time_unless_one_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    study = load(PLAIN.replace("maxParallelTrials: 1", "maxParallelTrials: 3").encode(), "f")
    assert plan(study, "--engine", "process").parallel == 1
    assert plan(study, "--engine", "process", "--parallel", "2").parallel == 2
    assert plan(study).parallel == 3, "in a stack they share the cores"
