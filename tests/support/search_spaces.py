"""Good search spaces of both dialects, and what `lint` finds in a changed one.

A case changes a good file in one location, where `>>` marks the spot that the diagnostic must name.
"""

from __future__ import annotations

from tests.conftest import SUPPORT
from tuner.spec.diagnostics import Diagnostic
from tuner.spec.loader import lint

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
