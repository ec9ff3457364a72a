"""Every diagnostic: what it says, and at which line and column.

A case changes a good file in one location, where `>>` marks the spot that the diagnostic must name.
"""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import SUPPORT
from trainer.contract.flags import FLAGS
from tuner.cloud.vertex_job import hp_tuning_job
from tuner.spec.diagnostics import Diagnostic, InvalidSpec, errors
from tuner.spec.google_schemas import AI_PLATFORM, VERTEX_AI
from tuner.spec.loader import examine, lint

ORIGINAL = SUPPORT / "original.yaml"
GOOD = """\
trainingInput:
  scaleTier: CUSTOM
  masterType: n1-standard-4
  args:
  - --algorithm=a2c
  - --seeds=5
  hyperparameters:
    goal: MAXIMIZE
    hyperparameterMetricTag: mean_score
    maxTrials: 20
    maxParallelTrials: 5
    params:
    - parameterName: gamma
      type: DOUBLE
      minValue: 0.9
      maxValue: 0.999
      scaleType: UNIT_REVERSE_LOG_SCALE
    - parameterName: batch_size
      type: DISCRETE
      discreteValues: [64, 128, 256]
    - parameterName: learning_rate_decay
      type: CATEGORICAL
      categoricalValues: [linear, none]
    - parameterName: hidden_neurons
      type: INTEGER
      minValue: 8
      maxValue: 128
      scaleType: UNIT_LOG_SCALE
"""
GOOD_VERTEX = """\
maxTrialCount: 20
parallelTrialCount: 5
studySpec:
  metrics:
  - metricId: mean_score
    goal: MAXIMIZE
  measurementSelectionType: LAST_MEASUREMENT
  parameters:
  - parameterId: gamma
    doubleValueSpec: {minValue: 0.9, maxValue: 0.999}
    scaleType: UNIT_REVERSE_LOG_SCALE
  - parameterId: batch_size
    discreteValueSpec: {values: [64, 128, 256]}
  - parameterId: hidden_neurons
    integerValueSpec: {minValue: 8, maxValue: 128}
trialJobSpec:
  workerPoolSpecs:
  - machineSpec: {machineType: n1-standard-4}
    replicaCount: 1
    containerSpec:
      imageUri: gcr.io/p/a2c:1
      args: [--seeds=5]
"""
GAMMA = GOOD[GOOD.index("    - parameterName: gamma") : GOOD.index("    - parameterName: batch")]


def changed(good: str, old: str, new: str) -> tuple[str, tuple[int, int]]:
    """The file with `new` for `old`, and the line and column that `>>` marks in it."""
    assert good.count(old) == 1, f"{old!r} must stand in the file once"
    before, marked, after = good.replace(old, new).partition(">>")
    assert marked
    return before + after, (before.count("\n") + 1, len(before) - before.rfind("\n"))


def only_diagnostic(good: str, old: str, new: str) -> Diagnostic:
    """The one diagnostic in the changed file, which must stand where the mark is."""
    text, location = changed(good, old, new)
    (diagnostic,) = lint(text.encode(), "f.yaml")
    assert diagnostic.location == ("f.yaml", *location)
    return diagnostic


@pytest.mark.parametrize("good", [GOOD, GOOD_VERTEX], ids=["ai_platform", "vertex_ai"])
def test_a_good_file_has_no_findings(good: str) -> None:
    assert lint(good.encode(), "f.yaml") == []


ERRORS = {
    "an unknown field names the nearest": (
        "maxTrials: 20",
        "maxTrials: 20\n    >>maxFailedTrails: 3",
        "maxFailedTrails is not a field of hyperparameters. Did you mean maxFailedTrials?",
    ),
    "an unknown field like no other lists those there are": (
        "scaleType: UNIT_REVERSE_LOG_SCALE",
        "scaleType: UNIT_REVERSE_LOG_SCALE\n      >>zzz: 3",
        "zzz is not a field of an item of params. Its fields are categoricalValues,"
        " discreteValues, maxValue, minValue, parameterName, scaleType, type.",
    ),
    "an unknown field at the top": (
        "trainingInput:\n",
        ">>trainingOptions: {}\ntrainingInput:\n",
        "trainingOptions is not a field of the file. Did you mean trainingInput?",
    ),
    "a misspelt word names the nearest": (
        "goal: MAXIMIZE",
        "goal: >>maximise",
        "goal: maximise is not one of MAXIMIZE, MINIMIZE, GOAL_TYPE_UNSPECIFIED."
        " Did you mean MAXIMIZE?",
    ),
    "a whole number must be one": (
        "maxTrials: 20",
        "maxTrials: >>many",
        "maxTrials: many is not a whole number.",
    ),
    "a whole number must not be written as a double": (
        "maxTrials: 20",
        "maxTrials: >>20.0",
        "maxTrials: 20.0 is not a whole number. Write 20.",
    ),
    "a number must be finite": (
        "minValue: 0.9",
        "minValue: >>-.inf",
        "minValue: -inf is not a finite number.",
    ),
    "nan is no number": (
        "minValue: 0.9",
        "minValue: >>.nan",
        "minValue: nan is not a finite number.",
    ),
    "a word must not be a list": (
        "goal: MAXIMIZE",
        "goal: >>[MAXIMIZE]",
        "goal: a list is not one of MAXIMIZE, MINIMIZE, GOAL_TYPE_UNSPECIFIED.",
    ),
    "a switch must be true or false": (
        "maxTrials: 20",
        "enableTrialEarlyStopping: >>'true'\n    maxTrials: 20",
        "enableTrialEarlyStopping: true is not true or false.",
    ),
    "a list must be one": (
        "categoricalValues: [linear, none]",
        "categoricalValues: >>linear",
        "categoricalValues: linear is not a list. Begin each item with a hyphen.",
    ),
    "a mapping must be one": (
        "masterType: n1-standard-4",
        "masterType: n1-standard-4\n  masterConfig: >>[1]",
        "masterConfig: a list is not a mapping.",
    ),
    "text that YAML takes for something else wants quotes": (
        "[linear, none]",
        "[linear, none, >>no]",
        "an item of categoricalValues: false is not text. Put it in quotes.",
    ),
    "a field must have a value": (
        "maxTrials: 20",
        "maxTrials: 20\n    >>resumePreviousJobId:",
        "resumePreviousJobId has no value. Write one, or delete the line.",
    ),
    "a label must be text": (
        "trainingInput:\n",
        "labels: {team: >>1}\ntrainingInput:\n",
        "the label team: 1 is not text. Put it in quotes.",
    ),
    "a parameter needs its bounds": (
        "    - parameterName: gamma\n      type: DOUBLE\n      minValue: 0.9\n",
        "    - >>parameterName: gamma\n      type: DOUBLE\n",
        "gamma has no minValue. Add it.",
    ),
    "a parameter needs a type": (
        "    - parameterName: batch_size\n      type: DISCRETE\n",
        "    - >>parameterName: batch_size\n",
        "batch_size has no type. Add it.",
    ),
    "a field of another type is out of location": (
        "discreteValues: [64, 128, 256]",
        "discreteValues: [64, 128, 256]\n      >>minValue: 1",
        "minValue belongs to DOUBLE and INTEGER, but batch_size is DISCRETE. Delete it.",
    ),
    "a name is tuned once": (
        "    - parameterName: batch_size",
        GAMMA.replace("gamma", ">>gamma") + "    - parameterName: batch_size",
        "gamma is tuned twice, first in line 13. Delete one.",
    ),
    "min must not be above max": (
        "minValue: 0.9\n",
        "minValue: >>0.9999\n",
        "gamma: minValue 0.9999 is above maxValue 0.999. Exchange them.",
    ),
    "the bounds of INTEGER must be whole": (
        "minValue: 8",
        "minValue: >>8.5",
        "hidden_neurons: 8.5 is not whole, as bounds of INTEGER are.",
    ),
    "there is no logarithm of zero": (
        "minValue: 0.9\n      maxValue: 0.999\n      scaleType: UNIT_REVERSE_LOG_SCALE",
        "minValue: >>0.0\n      maxValue: 0.999\n      scaleType: UNIT_LOG_SCALE",
        "gamma: 0 has no logarithm, which UNIT_LOG_SCALE takes. Write the least value worth a"
        " trial, above 0, or UNIT_LINEAR_SCALE.",
    ),
    "words have no scale": (
        "categoricalValues: [linear, none]",
        "categoricalValues: [linear, none]\n      scaleType: >>UNIT_LINEAR_SCALE",
        "learning_rate_decay: words have no scale. Delete scaleType.",
    ),
    "discrete values must increase": (
        "[64, 128, 256]",
        "[64, 256, >>128]",
        "batch_size: 128 comes after 256, but discrete values increase. Sort them, each once.",
    ),
    "discrete values must differ": (
        "[64, 128, 256]",
        "[64, >>64, 128]",
        "batch_size: 64 comes after 64, but discrete values increase. Sort them, each once.",
    ),
    "there are at most a thousand discrete values": (
        "[64, 128, 256]",
        f">>{list(range(1, 1002))}",
        "batch_size: 1,001 values are more than 1,000. Write INTEGER or DOUBLE with bounds.",
    ),
    "there must be a value to choose": (
        "[64, 128, 256]",
        ">>[]",
        "batch_size: there is no value to choose. Add some.",
    ),
    "a grid has no doubles": (
        "maxTrials: 20\n    maxParallelTrials: 5\n    params:\n    - parameterName: gamma\n"
        "      type: DOUBLE",
        "maxTrials: 20\n    algorithm: GRID_SEARCH\n    params:\n    - parameterName: gamma\n"
        "      type: >>DOUBLE",
        "gamma: GRID_SEARCH has no grid for DOUBLE. Write DISCRETE with the values to try, or"
        " another algorithm.",
    ),
    "there is at least one trial": (
        "maxParallelTrials: 5",
        "maxParallelTrials: >>0",
        "0 is no count of trials. Write 1 to 2147483647.",
    ),
    "a time has its unit": (
        "scaleTier: CUSTOM",
        "scaleTier: CUSTOM\n  scheduling: {maxRunningTime: >>1h}",
        "1h is not a time in seconds. Write it such as 3600s.",
    ),
    "an accelerator has a type and a count": (
        "scaleTier: CUSTOM",
        "scaleTier: CUSTOM\n  masterConfig: {acceleratorConfig: {type: >>TPU_V2}}",
        "an accelerator has a type or a count, but not both. Write both, or none.",
    ),
    "CUSTOM needs a machine": (
        "  scaleTier: CUSTOM\n  masterType: n1-standard-4\n",
        "  >>scaleTier: CUSTOM\n",
        "CUSTOM has no masterType. Add one: n1-standard-4.",
    ),
    "a machine needs CUSTOM": (
        "  scaleTier: CUSTOM\n  masterType",
        "  scaleTier: BASIC\n  >>masterType",
        "BASIC has a machine of its own. Write scaleTier: CUSTOM.",
    ),
    "arguments stand in one location": (
        "  args:",
        "  masterConfig: {containerArgs: [--seeds=5]}\n  >>args:",
        "args stand beside containerArgs or containerCommand. Keep one.",
    ),
    "a parameter without a flag names the nearest": (
        "parameterName: batch_size",
        "parameterName: >>batchsize",
        "the trainer has no flag --batchsize. Did you mean batch_size?",
    ),
    "a parameter like no flag points at the help": (
        "parameterName: batch_size",
        "parameterName: >>temperature",
        "the trainer has no flag --temperature. `python -m trainer.task --help` lists its flags.",
    ),
    "a range must be inside the flag's": (
        "maxValue: 0.999",
        "maxValue: >>1.5",
        "gamma=1.5 is out of range. Write a number from 0 to 1.",
    ),
    "a bound that the flag excludes": (
        "[64, 128, 256]",
        "[>>0, 128, 256]",
        "batch_size=0 is out of range. Write a whole number from 1 to 16777216.",
    ),
    "whole numbers are no doubles": (
        "type: INTEGER",
        "type: >>DOUBLE",
        "hidden_neurons takes whole numbers, but DOUBLE gives others. Write INTEGER.",
    ),
    "whole numbers have no halves": (
        "[64, 128, 256]",
        "[64, >>128.5, 256]",
        "batch_size=128.5 is not a whole number.",
    ),
    "a word must be one that the flag takes": (
        "[linear, none]",
        "[linear, >>noone]",
        "learning_rate_decay=noone is not one of linear, none. Did you mean none?",
    ),
    "a word for a number must be one": (
        "type: DISCRETE\n      discreteValues: [64, 128, 256]",
        "type: CATEGORICAL\n      categoricalValues: ['64', >>large]",
        "batch_size=large is not a whole number.",
    ),
    "words are not numbers": (
        "type: CATEGORICAL\n      categoricalValues: [linear, none]",
        "type: >>DISCRETE\n      discreteValues: [1, 2]",
        "learning_rate_decay takes words, but DISCRETE is for numbers. Write CATEGORICAL with"
        " linear, none.",
    ),
    "the metric must be what the trainer reports": (
        "hyperparameterMetricTag: mean_score",
        "hyperparameterMetricTag: >>avg_reward",
        "the trainer reports mean_score, not avg_reward. Write `hyperparameterMetricTag:"
        " mean_score`.",
    ),
    "the metric must be named": (
        "  hyperparameters:\n    goal: MAXIMIZE\n    hyperparameterMetricTag: mean_score\n",
        "  >>hyperparameters:\n    goal: MAXIMIZE\n",
        "the trainer reports mean_score, not training/hptuning/metric. Write"
        " `hyperparameterMetricTag: mean_score`.",
    ),
    "the metric follows the trainer's arguments": (
        "--seeds=5\n  hyperparameters:\n    goal: MAXIMIZE\n    hyperparameterMetricTag: ",
        "--seeds=5\n  - --metric_tag\n  - reward\n  hyperparameters:\n    goal: MAXIMIZE\n"
        "    hyperparameterMetricTag: >>",
        "the trainer reports reward, not mean_score. Write `hyperparameterMetricTag: reward`.",
    ),
    "an argument must be a flag": (
        "- --seeds=5",
        "- --seeds=5\n  - >>--sedes=5",
        "the trainer has no flag --sedes. Did you mean seeds?",
    ),
    "an argument must have a good value": (
        "--algorithm=a2c",
        ">>--algorithm=ac2",
        f"algorithm=ac2 is not one of {', '.join(FLAGS['algorithm'].metadata['choices'])}.",
    ),
    "an argument must have a value": (
        "- --seeds=5",
        "- --seeds=5\n  - >>--seed",
        "--seed has no value. Write `--seed=value`.",
    ),
    "an argument belongs to a flag": (
        "- --seeds=5",
        "- --seeds=5\n  - >>seed",
        "seed belongs to no flag. Write `--name=value`.",
    ),
    "an argument must be text": (
        "- --seeds=5",
        "- --seeds=5\n  - --seed\n  - >>5",
        "an item of args: 5 is not text. Put it in quotes.",
    ),
    "a template that nothing has filled in": (
        "maxTrials: 20",
        "maxTrials: >>${TRIALS}",
        "maxTrials: ${TRIALS} is not a whole number. `${` begins a template that was not filled"
        " in.",
    ),
    "workers": (
        "  args:",
        "  >>workerCount: 9\n  workerType: n1-standard-4\n  args:",
        "the trainer is one process. Delete workerCount and workerType.",
    ),
    "a tier of several machines": (
        "  scaleTier: CUSTOM\n  masterType: n1-standard-4\n",
        "  >>scaleTier: STANDARD_1\n",
        "the trainer is one process, and STANDARD_1 is several machines. Write BASIC.",
    ),
    "a seed that is tuned": (
        "- parameterName: hidden_neurons",
        "- parameterName: >>seed",
        "seed cannot be tuned: a lucky seed is not a better setting. Delete the parameter, or fix"
        " it: --seed=VALUE in args.",
    ),
    "a job dir that is tuned": (
        "- parameterName: learning_rate_decay",
        "- parameterName: >>job-dir",
        "job_dir cannot be tuned: each trial gets a folder of its own in the job's. Delete the"
        " parameter.",
    ),
    "a count of episodes that is tuned": (
        "- parameterName: hidden_neurons",
        "- parameterName: >>evaluation_episodes",
        "evaluation_episodes cannot be tuned: it changes how a score is measured, not what is"
        " learned. Delete the parameter, or fix it: --evaluation_episodes=VALUE in args.",
    ),
    "a name of another library": (
        "parameterName: batch_size",
        "parameterName: >>ent_coef",
        "the trainer has no flag --ent_coef. Did you mean entropy?",
    ),
    "a name that only looks like ours": (
        "parameterName: batch_size",
        "parameterName: >>critic_lr",
        "the trainer has no flag --critic_lr. `python -m trainer.task --help` lists its flags.",
    ),
    "an argument of two hyphens": (
        "- --seeds=5",
        "- --seeds=5\n  - >>--seed=--",
        "--seed has no value. Write `--seed=value`.",
    ),
    "one job dir for all trials": (
        "- --seeds=5",
        "- --seeds=5\n  - >>--job-dir=gs://b/j",
        "--job-dir in args would be one folder for all trials. Delete it: each trial gets a folder"
        " of its own in the job's.",
    ),
}


@pytest.mark.parametrize("old, new, message", ERRORS.values(), ids=ERRORS)
def test_an_error_is_found(old: str, new: str, message: str) -> None:
    diagnostic = only_diagnostic(GOOD, old, new)
    assert (diagnostic.severity, diagnostic.message) == ("error", message)


WARNINGS = {
    "a linear learning rate": (
        "    - parameterName: batch_size\n",
        "    - {parameterName: learning_rate, type: DOUBLE, minValue: 0.001, maxValue: 0.01,\n"
        "       scaleType: >>UNIT_LINEAR_SCALE}\n    - parameterName: batch_size\n",
        "a learning rate acts by its factor, and a linear scale hardly tries small ones. Write"
        " UNIT_LOG_SCALE.",
    ),
    "a learning rate without a scale": (
        "    - parameterName: batch_size\n",
        "    - >>{parameterName: learning-rate, type: DOUBLE, minValue: 0.001, maxValue: 0.01}\n"
        "    - parameterName: batch_size\n",
        "a learning rate acts by its factor, and a linear scale hardly tries small ones. Write"
        " UNIT_LOG_SCALE.",
    ),
    "a wide range on a linear scale": (
        "maxValue: 128\n      scaleType: UNIT_LOG_SCALE",
        "maxValue: 800\n      scaleType: >>UNIT_LINEAR_SCALE",
        "hidden_neurons: on a linear scale nine of ten values are above 80. Write UNIT_LOG_SCALE.",
    ),
    "gamma up to 1": (
        "maxValue: 0.999",
        "maxValue: >>1.0",
        "at gamma 1 the far future counts in full, and values have no bound. Write 0.999 or less,"
        " with UNIT_REVERSE_LOG_SCALE.",
    ),
    "all trials in parallel": (
        "maxParallelTrials: 5",
        "maxParallelTrials: >>20",
        "all 20 trials run in parallel, so none learns from another. Write 5 or fewer.",
    ),
    "too few trials": (
        "maxTrials: 20",
        "maxTrials: >>15",
        "15 trials find little among 4 parameters. Write 16 or more, four a parameter, or tune"
        " fewer.",
    ),
    "no count of trials": (
        "  hyperparameters:\n    goal: MAXIMIZE\n    hyperparameterMetricTag: mean_score\n"
        "    maxTrials: 20\n    maxParallelTrials: 5\n",
        "  >>hyperparameters:\n    goal: MAXIMIZE\n    hyperparameterMetricTag: mean_score\n",
        "maxTrials is missing, so there is one trial. Write `maxTrials: 16` or more.",
    ),
    "a GPU for a small network": (
        "masterType: n1-standard-4",
        "masterType: n1-standard-4\n"
        "  masterConfig: {acceleratorConfig: {type: >>NVIDIA_TESLA_T4, count: 1}}",
        "128 neurons a layer leave an accelerator idle, at several times the price. Write a CPU"
        " machine, such as n1-standard-4.",
    ),
    "a GPU tier for a small network": (
        "scaleTier: CUSTOM\n  masterType: n1-standard-4",
        "scaleTier: >>BASIC_GPU",
        "128 neurons a layer leave an accelerator idle, at several times the price. Write a CPU"
        " machine, such as n1-standard-4.",
    ),
    "a GPU machine for a small network": (
        "masterType: n1-standard-4",
        "masterType: >>complex_model_m_gpu",
        "128 neurons a layer leave an accelerator idle, at several times the price. Write a CPU"
        " machine, such as n1-standard-4.",
    ),
    "a parameter that PG does not use": (
        "    - parameterName: batch_size\n      type: DISCRETE\n"
        "      discreteValues: [64, 128, 256]",
        "    - {parameterName: algorithm, type: CATEGORICAL, categoricalValues: [pg]}\n"
        "    - {parameterName: >>critic_weight, type: DOUBLE, minValue: 0.5, maxValue: 2}",
        "pg has no use for critic_weight, so tuning it wastes trials. Delete the parameter.",
    ),
    "a parameter that PG does not use, by the arguments": (
        "--algorithm=a2c\n  - --seeds=5\n  hyperparameters:\n    goal: MAXIMIZE\n"
        "    hyperparameterMetricTag: mean_score\n    maxTrials: 20\n    maxParallelTrials: 5\n"
        f"    params:\n{GAMMA}    - parameterName: batch_size",
        "--algorithm=pg\n  - --seeds=5\n  hyperparameters:\n    goal: MAXIMIZE\n"
        "    hyperparameterMetricTag: mean_score\n    maxTrials: 20\n    maxParallelTrials: 5\n"
        f"    params:\n{GAMMA}    - parameterName: >>batch_size",
        "pg has no use for batch_size, so tuning it wastes trials. Delete the parameter.",
    ),
    "one agent per trial": (
        "  - --algorithm=a2c\n  - --seeds=5\n",
        "  >>- --algorithm=a2c\n",
        "a trial trains one agent, and the best of many single runs is luck. Write --seeds=5 in"
        " args: five agents side by side, scored together.",
    ),
    "a search for the worst": (
        "goal: MAXIMIZE",
        "goal: >>MINIMIZE",
        "this searches for the worst policy: a higher score is better. Write MAXIMIZE.",
    ),
}


@pytest.mark.parametrize("old, new, message", WARNINGS.values(), ids=WARNINGS)
def test_a_warning_is_given(old: str, new: str, message: str) -> None:
    diagnostic = only_diagnostic(GOOD, old, new)
    assert (diagnostic.severity, diagnostic.message) == ("warning", message)


def test_a_gpu_for_a_large_network_is_well_spent() -> None:
    text = GOOD.replace("CUSTOM\n  masterType: n1-standard-4", "BASIC_GPU")
    text = text.replace("maxValue: 128\n", "maxValue: 2048\n")
    assert lint(text.encode(), "f.yaml") == []


def test_what_one_of_two_algorithms_uses_is_worth_tuning() -> None:
    both = "- {parameterName: algorithm, type: CATEGORICAL, categoricalValues: [a2c, pg]}"
    text = GOOD.replace("    params:\n", f"    params:\n    {both}\n")
    assert lint(text.encode(), "f.yaml") == []


VERTEX_ERRORS = {
    "an unknown field names the nearest": (
        "maxTrialCount: 20",
        ">>maxTrials: 20\nmaxTrialCount: 20",
        "maxTrials is not a field of the file. Did you mean maxTrialCount?",
    ),
    "a whole number must be one": (
        "minValue: 8",
        "minValue: >>8.5",
        "minValue: 8.5 is not a whole number.",
    ),
    "one kind of values": (
        "    discreteValueSpec: {values: [64, 128, 256]}",
        "    discreteValueSpec: {values: [64]}\n    >>categoricalValueSpec: {values: [x]}",
        "batch_size has 2 of doubleValueSpec, integerValueSpec, categoricalValueSpec,"
        " discreteValueSpec. Write one.",
    ),
    "some kind of values": (
        "  - parameterId: batch_size\n    discreteValueSpec: {values: [64, 128, 256]}\n",
        "  - >>parameterId: batch_size\n",
        "batch_size has none of doubleValueSpec, integerValueSpec, categoricalValueSpec,"
        " discreteValueSpec. Write one.",
    ),
    "no default": (
        "maxValue: 128}",
        "maxValue: 128, >>defaultValue: 9}",
        "tuning jobs do not support it. Delete it.",
    ),
    "no noise": (
        "  measurementSelectionType",
        "  >>observationNoise: HIGH\n  measurementSelectionType",
        "tuning jobs do not support it. Delete it.",
    ),
    "no conditions": (
        "    scaleType",
        "    >>conditionalParameterSpecs: []\n    scaleType",
        "conditional parameters cannot be searched. Write them side by side.",
    ),
    "one metric": (
        "  metrics:\n",
        "  >>metrics:\n  - metricId: mean_score\n",
        "the trainer reports one metric. Keep one.",
    ),
    "the metric must be what the trainer reports": (
        "metricId: mean_score",
        "metricId: >>score",
        "the trainer reports mean_score, not score. Write `metricId: mean_score`.",
    ),
    "a name without spaces": (
        "  - metricId: mean_score",
        "  - metricId: >>mean score",
        "a name on Vertex AI has no spaces. Write another, and --metric_tag in args.",
    ),
    "one stopping rule": (
        "  measurementSelectionType",
        "  decayCurveStoppingSpec: {}\n  >>convexAutomatedStoppingSpec: {}\n"
        "  measurementSelectionType",
        "decayCurveStoppingSpec is a stopping rule already. Keep one.",
    ),
    "one replica": (
        "replicaCount: 1",
        ">>replicaCount: 2",
        "the trainer is one process. Write `replicaCount: 1`.",
    ),
    "one worker pool": (
        "  workerPoolSpecs:\n  - machineSpec",
        "  >>workerPoolSpecs:\n  - containerSpec: {imageUri: x, args: [--seeds=5]}\n"
        "  - machineSpec",
        "the trainer is one process. Keep one worker pool.",
    ),
    "an image": (
        "    containerSpec:\n      imageUri: gcr.io/p/a2c:1\n",
        "    >>containerSpec:\n",
        "containerSpec has no imageUri. Add it.",
    ),
    "arguments": (
        "[--seeds=5]",
        "[--seeds=5, >>--sedes=5]",
        "the trainer has no flag --sedes. Did you mean seeds?",
    ),
}


@pytest.mark.parametrize("old, new, message", VERTEX_ERRORS.values(), ids=VERTEX_ERRORS)
def test_an_error_is_found_in_the_vertex_dialect(old: str, new: str, message: str) -> None:
    diagnostic = only_diagnostic(GOOD_VERTEX, old, new)
    assert (diagnostic.severity, diagnostic.message) == ("error", message)


def test_a_missing_count_of_trials_is_named_in_the_vertex_dialect() -> None:
    text = GOOD_VERTEX.replace("maxTrialCount: 20\nparallelTrialCount: 5\n", "")
    (diagnostic,) = lint(text.encode(), "f.yaml")
    assert str(diagnostic) == (
        "f.yaml:1:1: warning: maxTrialCount is missing, so there is one trial. Write"
        " `maxTrialCount: 12` or more."
    )


def test_the_best_measurement_is_a_lucky_one() -> None:
    diagnostic = only_diagnostic(GOOD_VERTEX, "LAST_MEASUREMENT", ">>BEST_MEASUREMENT")
    assert diagnostic.severity == "warning"
    assert diagnostic.message.startswith("the best report is a lucky one")


def test_a_missing_part_is_told_once() -> None:
    (diagnostic,) = lint(b"trainingInput: {args: [--seeds=5], hyperparameters: {}}", "f.yaml")
    assert diagnostic.message == "hyperparameters has no params. Add it."


def test_one_slip_is_one_finding() -> None:
    """A minValue of 0 is refused by the scale, by the flag, and by good sense."""
    rate = "{parameterName: learning_rate, type: DOUBLE, minValue: >>0, maxValue: 0.1,"
    new = f"    params:\n    - {rate} scaleType: UNIT_LOG_SCALE}}\n"
    assert "UNIT_LOG_SCALE" in only_diagnostic(GOOD, "    params:\n", new).message


def test_a_finding_reads_as_editors_like_it() -> None:
    text, _ = changed(GOOD, "maxTrials: 20", "maxTrials: >>many")
    assert str(lint(text.encode(), "dir/f.yaml")[0]) == (
        "dir/f.yaml:10:16: error: maxTrials: many is not a whole number."
    )


def test_findings_come_in_the_order_of_the_file() -> None:
    diagnostics = lint(ORIGINAL.read_bytes(), "original.yaml")
    assert diagnostics == sorted(diagnostics, key=lambda diagnostic: diagnostic.location)


def test_the_original_trainers_file_has_all_that_is_known_against_it() -> None:
    diagnostics = lint(ORIGINAL.read_bytes(), "original.yaml")
    assert [f"{f.location.line} {f.severity} {f.message.split(',')[0]}" for f in diagnostics] == [
        "2 warning a trial trains one agent",
        "3 warning 1000 neurons a layer leave an accelerator idle",
        "6 error the trainer reports mean_score",
        "8 warning all 30 trials run in parallel",
        "14 warning at gamma 1 the far future counts in full",
        "18 error learning_rate=0.0 is out of range. Write a number > 0.",
        "20 warning a learning rate acts by its factor",
        "25 warning hidden_neurons: on a linear scale nine of ten values are above 100. Write"
        " UNIT_LOG_SCALE.",
    ]


def names_in(description: object) -> set[str]:
    """All names of fields and all words of a dialect."""
    if isinstance(description, dict):
        inside = [names_in(value) for value in description.values()]
        return set(description).union(*inside)
    if isinstance(description, list):
        return names_in(description[0])
    return set(description) if isinstance(description, tuple) else set()


NAMES = st.sampled_from(sorted(names_in(AI_PLATFORM) | names_in(VERTEX_AI)))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | NAMES
    | st.sampled_from(["gamma", "batch_size", "--seeds=5", "--seeds", "mean_score", "1e-4", "5s"])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


def shaped(description: object) -> st.SearchStrategy[object]:
    """Values that mostly have the shape described."""
    if isinstance(description, dict):
        fields = {name: shaped(value) | SCALARS for name, value in description.items()}
        exact: st.SearchStrategy[object] = st.fixed_dictionaries({}, optional=fields)
    elif isinstance(description, list):
        exact = st.lists(shaped(description[0]), max_size=3)
    elif isinstance(description, tuple):
        exact = st.sampled_from(description)
    else:
        exact = SCALARS
    return exact


def assert_diagnostics_stand_in(data: bytes) -> None:
    lines = data.decode("utf-8", "replace").splitlines() or [""]
    for diagnostic in lint(data, "f.yaml"):
        assert diagnostic.severity in ("error", "warning")
        assert diagnostic.message and str(diagnostic).isprintable()
        assert 1 <= diagnostic.location.line <= len(lines) + 1
        assert diagnostic.location.column >= 1


@settings(deadline=None)
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert_diagnostics_stand_in(data)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["trainingInput", "studySpec", "trialJobSpec"]), TREES))
def test_any_tree_of_known_names_is_judged(tree: object) -> None:
    assert_diagnostics_stand_in(yaml.safe_dump(tree).encode())


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries({"trainingInput": shaped(AI_PLATFORM["trainingInput"])})
    | st.fixed_dictionaries(
        {name: shaped(VERTEX_AI[name]) for name in ("studySpec", "trialJobSpec")}
    )
)
def test_any_values_of_nearly_the_right_shape_are_judged(tree: object) -> None:
    assert_diagnostics_stand_in(yaml.safe_dump(tree).encode())


FRAGMENTS = [
    *("\t", "\u00a0", "\u200b", "\ufeff", "\u2028", "\r", "\0", "\x1b", "\ud800"),
    *("<<<<<<< HEAD\n", "=======\n", "{{ x }}", "${X}", "{% x %}", "&a ", "*a", "<<: *a", "<<: "),
    *(
        "!!int ",
        "!!set ",
        "!x ",
        "? ",
        "- ",
        ": ",
        "# ",
        "'",
        '"',
        "|\n",
        "---\n",
        "...\n",
        "[",
        "}",
    ),
    *("1e400", "0o7", "010", "1:30", "2026-11-29", "~", "yes", ".nan", "-0.0", "9" * 5000),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([GOOD, GOOD_VERTEX, ORIGINAL.read_text(encoding="utf-8")]),
    st.lists(
        st.tuples(
            st.integers(0, 1000),
            st.integers(0, 20),
            st.text(max_size=5) | st.sampled_from(FRAGMENTS),
        ),
        max_size=4,
    ),
)
def test_any_damage_to_a_good_file_is_judged(
    text: str, damages: list[tuple[int, int, str]]
) -> None:
    for start, length, put in damages:
        text = text[:start] + put + text[start + length :]
    data = text.encode("utf-8", "replace")
    assert_diagnostics_stand_in(data)
    spec, found = examine(data, "f.yaml")
    if spec and not errors(found):
        with contextlib.suppress(InvalidSpec):
            hp_tuning_job(spec, image="a2c:1", job_dir="gs://bucket/job")
