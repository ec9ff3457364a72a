"""Rules of the trainer: flags and values that it would refuse in every trial, and its metric."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.contract import flags
from trainer.contract.settings import RunOptions
from trainer.contract.text import did_you_mean, shown
from tuner.spec.diagnostics import ERROR, Diagnostic, Location
from tuner.spec.study_spec import CATEGORICAL, DOUBLE, Parameter, StudySpec


def check(spec: StudySpec) -> Iterator[Diagnostic]:
    """The errors of a study."""
    yield from _metric(spec)
    yield from _arguments(spec)
    for parameter in spec.parameters:
        yield from _parameter(parameter)


def _error(location: Location, message: str) -> Diagnostic:
    return Diagnostic(ERROR, location, message)


def _metric(spec: StudySpec) -> Iterator[Diagnostic]:
    reported = flags.given(spec.job.args).get("metric_tag", RunOptions.metric_tag)
    if spec.metric and spec.metric != reported:
        name = "metricId" if spec.vertex else "hyperparameterMetricTag"
        yield _error(
            spec.locations["metric"],
            f"the trainer reports {shown(reported)}, not {shown(spec.metric)}. Write"
            f" `{name}: {shown(reported)}`.",
        )


def _arguments(spec: StudySpec) -> Iterator[Diagnostic]:
    for at, name, value in flags.arguments(spec.job.args):
        location, word = spec.job.locations[f"args.{at}"], spec.job.args[at]
        field = flags.find(name)
        if not word.startswith("--"):
            yield _error(location, f"{shown(word)} belongs to no flag. Write `--name=value`.")
        elif field is None:
            yield _error(location, _unknown(name))
        elif field.name == "job_dir":
            yield _error(
                location,
                "--job-dir in args would be one folder for all trials. Delete it: each trial gets a"
                " folder of its own in the job's.",
            )
        elif value in (None, "--"):
            yield _error(location, f"--{field.name} has no value. Write `--{field.name}=value`.")
        elif wrong := _refusal(field, value):
            yield _error(location, wrong)


def _parameter(parameter: Parameter) -> Iterator[Diagnostic]:
    """Checks a parameter's name, type and values against the trainer's flag."""
    field = flags.find(parameter.name)
    if field is None:
        if parameter.name:
            yield _error(parameter.locations["name"], _unknown(parameter.name))
    elif wrong := flags.not_tunable(field):
        yield _error(parameter.locations["name"], wrong)
    elif parameter.type == CATEGORICAL:
        for index, word in enumerate(parameter.words):
            if wrong := _refusal(field, word):
                yield _error(parameter.locations[f"words.{index}"], wrong)
    elif field.type not in ("int", "float"):
        choices = ", ".join(field.metadata["choices"])
        yield _error(
            parameter.locations["type"],
            f"{field.name} takes words, but {parameter.type} is for numbers. Write CATEGORICAL with"
            f" {choices}.",
        )
    elif field.type == "int" and parameter.type == DOUBLE:
        yield _error(
            parameter.locations["type"],
            f"{field.name} takes whole numbers, but DOUBLE gives fractions. Write INTEGER.",
        )
    else:
        for value, location in parameter.numbers:
            if wrong := _refusal(field, str(value)):
                yield _error(location, wrong)


def _refusal(field: flags.Setting, text: str) -> str:
    """The trainer's message about a value; "" if it accepts the value."""
    try:
        flags.read(field, text)
    except ValueError as error:
        return str(error)
    return ""


def _unknown(name: str) -> str:
    hint = did_you_mean(flags.meant(name)) or " `python -m trainer.task --help` lists its flags."
    return f"the trainer has no flag --{shown(name)}.{hint}"
