"""What our trainer would refuse in every trial, or never report."""

from __future__ import annotations

from collections.abc import Iterator

from tuner.spec.diagnostics import ERROR, Finding, Place, number, shown
from tuner.spec.study_spec import CATEGORICAL, DOUBLE, Parameter, StudySpec
from tuner.spec.trainer_flags import Flag, Flags, arguments, find, given, unknown


def check(spec: StudySpec, flags: Flags) -> Iterator[Finding]:
    yield from _metric(spec, flags)
    yield from _arguments(spec, flags)
    for parameter in spec.parameters:
        flag = find(parameter.name, flags)
        if flag is not None:
            yield from _values(parameter, flag)
        elif parameter.name:
            yield _error(parameter.places["name"], unknown(parameter.name, flags))


def _error(place: Place, message: str) -> Finding:
    return Finding(ERROR, place, message)


def _metric(spec: StudySpec, flags: Flags) -> Iterator[Finding]:
    reported = given(spec.job.args, flags).get("metric_tag", flags["metric_tag"].default)
    if spec.metric and spec.metric != reported:
        name = "metricId" if spec.vertex else "hyperparameterMetricTag"
        yield _error(
            spec.places["metric"],
            f"the metric must be {shown(reported)}, which is what the trainer reports, but is"
            f" {shown(spec.metric)}. Write `{name}: {shown(reported)}`.",
        )


def _arguments(spec: StudySpec, flags: Flags) -> Iterator[Finding]:
    for at, name, value in arguments(spec.job.args, flags):
        place, word = spec.job.places[f"args.{at}"], spec.job.args[at]
        flag = find(name, flags)
        if not word.startswith("--"):
            yield _error(place, f"{shown(word)} belongs to no flag. Write `--name=value`.")
        elif flag is None:
            yield _error(place, unknown(name, flags))
        elif flag.name == "job_dir":
            yield _error(
                place,
                "--job-dir in args would be one folder for all trials. Delete it: the job's own"
                " output folder gets a part for each.",
            )
        elif value is None:
            yield _error(place, f"--{flag.name} must have a value. Write `--{flag.name}=value`.")
        elif wrong := flag.refusal(value):
            yield _error(place, f"--{flag.name} {wrong}, but is {shown(value)}.{flag.hint(value)}")


def _values(parameter: Parameter, flag: Flag) -> Iterator[Finding]:
    """The parameter's type and all its values, against what the flag takes."""
    place = parameter.places["type"]
    if parameter.type == CATEGORICAL:
        for index, word in enumerate(parameter.words):
            if wrong := flag.refusal(word):
                message = f"{flag.name} {wrong}, but this is {shown(word)}.{flag.hint(word)}"
                yield _error(parameter.places[f"words.{index}"], message)
    elif not flag.takes_numbers:
        choices = f" with {', '.join(flag.choices)}" if flag.choices else ""
        yield _error(
            place,
            f"{flag.name} takes words, but {parameter.type} is for numbers. Write"
            f" CATEGORICAL{choices}.",
        )
    elif flag.kind == "int" and parameter.type == DOUBLE:
        yield _error(
            place, f"{flag.name} takes whole numbers, but DOUBLE gives others. Write INTEGER."
        )
    else:
        for value, where in parameter.numbers:
            if wrong := flag.refusal(str(value)):
                yield _error(where, f"{flag.name} {wrong}, but this is {number(value)}.")
