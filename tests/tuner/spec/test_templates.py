"""The templates have no errors or warnings, and only values that the trainer accepts."""

from __future__ import annotations

import dataclasses

import pytest

from tests.conftest import ROOT
from trainer.contract.command_line import parse
from trainer.contract.presets import preset
from trainer.contract.settings import UNUSED, Hyperparameters, RunOptions
from tuner.cloud.vertex_job import hp_tuning_job
from tuner.spec.loader import examine, load
from tuner.spec.study_spec import LOG, REVERSE_LOG, StudySpec

TEMPLATES = ROOT / "templates"
NAMES = sorted(path.name for path in TEMPLATES.glob("*.yaml") if path.stem != "rayjob")
TUNED_BY_THE_USER = (
    *("gamma", "learning_rate", "hidden_neurons"),
    *("critic_weight", "entropy", "batch_size"),
)
FIELDS = {field.name: field for field in dataclasses.fields(Hyperparameters)}


def study(name: str) -> StudySpec:
    return load((TEMPLATES / name).read_bytes(), name)


def test_there_is_one_for_each_algorithm_and_one_to_try_the_parts() -> None:
    assert NAMES == ["hyperparam.yaml", "hyperparam_pg.yaml", "smoke.yaml"]


@pytest.mark.parametrize("name", NAMES)
def test_it_has_neither_errors_nor_warnings(name: str) -> None:
    assert examine((TEMPLATES / name).read_bytes(), name)[1] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_corner_is_a_command_that_the_trainer_takes(name: str) -> None:
    spec = study(name)
    for bound in ("low", "high"):
        flags = [f"--{p.name}={getattr(p, bound)}" for p in spec.parameters]
        command = parse([*spec.job.args, *flags])
        assert command.options.metric_tag == spec.metric
        assert command.unused == []


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_a_hyperparameter_with_its_type(name: str) -> None:
    for parameter in study(name).parameters:
        kind = {"float": "DOUBLE", "int": "INTEGER"}[str(FIELDS[parameter.name].type)]
        assert parameter.type == kind


@pytest.mark.parametrize("name", NAMES)
def test_every_default_but_zero_is_in_the_range(name: str) -> None:
    spec = study(name)
    algorithm = parse(spec.job.args).options.algorithm
    chosen = preset(algorithm, RunOptions.environment)
    for parameter in spec.parameters:
        default = float(chosen.get(parameter.name, FIELDS[parameter.name].default))
        assert parameter.low is not None and parameter.high is not None
        assert default == 0 or parameter.low <= default <= parameter.high, parameter.name


@pytest.mark.parametrize("name", NAMES)
def test_at_most_a_quarter_of_the_trials_run_at_a_time(name: str) -> None:
    assert 4 * study(name).max_parallel_trials <= study(name).max_trials


@pytest.mark.parametrize("name", NAMES)
def test_hopeless_trials_are_stopped_early(name: str) -> None:
    assert study(name).early_stopping == "median"


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_on_a_cpu_and_several_agents_are_scored_together(name: str) -> None:
    spec = study(name)
    assert (spec.job.machine_type, spec.job.accelerator) == ("n1-standard-4", "")
    assert parse(spec.job.args).options.seeds > 1


@pytest.mark.parametrize("name", NAMES)
def test_it_has_an_equivalent_on_vertex(name: str) -> None:
    job = hp_tuning_job(study(name), image="gcr.io/p/a2c:1", job_dir="gs://bucket/job")
    assert job["maxTrialCount"] == study(name).max_trials


def test_a2c_tunes_the_six_parameters_of_the_user() -> None:
    spec = study("hyperparam.yaml")
    assert tuple(parameter.name for parameter in spec.parameters) == TUNED_BY_THE_USER
    scales = {parameter.name: parameter.scale for parameter in spec.parameters}
    assert scales["learning_rate"] == LOG
    assert scales["gamma"] == REVERSE_LOG
    assert all((p.high or 0) < 1 for p in spec.parameters if p.name == "gamma")


def test_pg_tunes_what_pg_uses() -> None:
    spec = study("hyperparam_pg.yaml")
    assert parse(spec.job.args).options.algorithm == "pg"
    assert not {parameter.name for parameter in spec.parameters} & set(UNUSED["pg"])
