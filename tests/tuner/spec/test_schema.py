"""Errors in the form of a field: an unknown name, a value of the wrong type, or no value."""

from __future__ import annotations

import pytest

from tests.support.search_spaces import GOOD, only_diagnostic

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
}


@pytest.mark.parametrize("old, new, message", ERRORS.values(), ids=ERRORS)
def test_an_error_is_found(old: str, new: str, message: str) -> None:
    diagnostic = only_diagnostic(GOOD, old, new)
    assert (diagnostic.severity, diagnostic.message) == ("error", message)
