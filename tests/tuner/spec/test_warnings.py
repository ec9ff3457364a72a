"""Warnings about settings that are allowed, but waste trials or money, or mislead."""

from __future__ import annotations

import pytest

from tests.support.search_spaces import GAMMA, GOOD, GOOD_VERTEX, only_diagnostic
from tuner.spec.loader import lint

WARNINGS = {
    "a linear learning rate": (
        "    - parameterName: batch_size\n",
        "    - {parameterName: learning_rate, type: DOUBLE, minValue: 0.001, maxValue: 0.01,\n"
        "       scaleType: >>UNIT_LINEAR_SCALE}\n    - parameterName: batch_size\n",
        "learning rates differ by factors, and a linear scale hardly tries small ones. Write"
        " UNIT_LOG_SCALE.",
    ),
    "a learning rate without a scale": (
        "    - parameterName: batch_size\n",
        "    - >>{parameterName: learning-rate, type: DOUBLE, minValue: 0.001, maxValue: 0.01}\n"
        "    - parameterName: batch_size\n",
        "learning rates differ by factors, and a linear scale hardly tries small ones. Write"
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
        "with gamma 1 the returns are not discounted, and values have no bound. Write 0.999 or"
        " less, with UNIT_REVERSE_LOG_SCALE.",
    ),
    "all trials in parallel": (
        "maxParallelTrials: 5",
        "maxParallelTrials: >>20",
        "all 20 trials run in parallel, so none learns from another. Write 5 or fewer.",
    ),
    "too few trials": (
        "maxTrials: 20",
        "maxTrials: >>15",
        "15 trials find little among 4 parameters. Write 16 or more, four per parameter, or tune"
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
        "pg does not use critic_weight, so tuning it wastes trials. Delete the parameter.",
    ),
    "a parameter that PG does not use, by the arguments": (
        "--algorithm=a2c\n  - --seeds=5\n  hyperparameters:\n    goal: MAXIMIZE\n"
        "    hyperparameterMetricTag: mean_score\n    maxTrials: 20\n    maxParallelTrials: 5\n"
        f"    params:\n{GAMMA}    - parameterName: batch_size",
        "--algorithm=pg\n  - --seeds=5\n  hyperparameters:\n    goal: MAXIMIZE\n"
        "    hyperparameterMetricTag: mean_score\n    maxTrials: 20\n    maxParallelTrials: 5\n"
        f"    params:\n{GAMMA}    - parameterName: >>batch_size",
        "pg does not use batch_size, so tuning it wastes trials. Delete the parameter.",
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


def test_a_parameter_that_one_of_two_algorithms_uses_has_no_warning() -> None:
    both = "- {parameterName: algorithm, type: CATEGORICAL, categoricalValues: [a2c, pg]}"
    text = GOOD.replace("    params:\n", f"    params:\n    {both}\n")
    assert lint(text.encode(), "f.yaml") == []


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
