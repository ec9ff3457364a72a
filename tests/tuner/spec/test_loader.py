"""The diagnostics of a file: which are given, their order and their format."""

from __future__ import annotations

import pytest

from tests.support.search_spaces import GOOD, GOOD_VERTEX, ORIGINAL, changed, only_diagnostic
from tuner.spec.loader import lint


@pytest.mark.parametrize("good", [GOOD, GOOD_VERTEX], ids=["ai_platform", "vertex_ai"])
def test_a_valid_file_has_no_diagnostics(good: str) -> None:
    assert lint(good.encode(), "f.yaml") == []


def test_a_missing_part_is_reported_once() -> None:
    (diagnostic,) = lint(b"trainingInput: {args: [--seeds=5], hyperparameters: {}}", "f.yaml")
    assert diagnostic.message == "hyperparameters has no params. Add it."


def test_one_mistake_gives_one_diagnostic() -> None:
    """A minValue of 0 breaks rules of the scale and of the flag, and deserves a warning."""
    rate = "{parameterName: learning_rate, type: DOUBLE, minValue: >>0, maxValue: 0.1,"
    new = f"    params:\n    - {rate} scaleType: UNIT_LOG_SCALE}}\n"
    assert "UNIT_LOG_SCALE" in only_diagnostic(GOOD, "    params:\n", new).message


def test_a_diagnostic_has_the_format_that_editors_parse() -> None:
    text, _ = changed(GOOD, "maxTrials: 20", "maxTrials: >>many")
    assert str(lint(text.encode(), "dir/f.yaml")[0]) == (
        "dir/f.yaml:10:16: error: maxTrials: many is not a whole number."
    )


def test_diagnostics_have_the_order_of_the_file() -> None:
    diagnostics = lint(ORIGINAL.read_bytes(), "original.yaml")
    assert diagnostics == sorted(diagnostics, key=lambda diagnostic: diagnostic.location)


def test_the_original_trainers_file_has_all_that_is_known_against_it() -> None:
    diagnostics = lint(ORIGINAL.read_bytes(), "original.yaml")
    assert [f"{f.location.line} {f.severity} {f.message.split(',')[0]}" for f in diagnostics] == [
        "2 warning a trial trains one agent",
        "3 warning 1000 neurons a layer leave an accelerator idle",
        "6 error the trainer reports mean_score",
        "8 warning all 30 trials run in parallel",
        "14 warning with gamma 1 the returns are not discounted",
        "18 error learning_rate=0.0 is out of range. Write a number > 0.",
        "20 warning learning rates differ by factors",
        "25 warning hidden_neurons: on a linear scale nine of ten values are above 100. Write"
        " UNIT_LOG_SCALE.",
    ]
