"""The diagnostics of a whole file: which are given, in which order, and how they read."""

from __future__ import annotations

import pytest

from tests.support.search_spaces import GOOD, GOOD_VERTEX, ORIGINAL, changed, only_diagnostic
from tuner.spec.loader import lint


@pytest.mark.parametrize("good", [GOOD, GOOD_VERTEX], ids=["ai_platform", "vertex_ai"])
def test_a_good_file_has_no_findings(good: str) -> None:
    assert lint(good.encode(), "f.yaml") == []


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
