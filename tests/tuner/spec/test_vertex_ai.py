"""Errors in a search space in the dialect of Vertex AI."""

from __future__ import annotations

import pytest

from tests.support.search_spaces import GOOD_VERTEX, only_diagnostic

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
        "conditional parameters cannot be searched. Write them as separate parameters.",
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
        "Vertex AI allows no spaces in names. Write another, and --metric_tag in args.",
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
