"""Errors in fields of AI Platform that depend on other fields."""

from __future__ import annotations

import pytest

from tests.support.search_spaces import GOOD, only_diagnostic

ERRORS = {
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
    "CUSTOM needs a machine": (
        "  scaleTier: CUSTOM\n  masterType: n1-standard-4\n",
        "  >>scaleTier: CUSTOM\n",
        "CUSTOM has no masterType. Add one: n1-standard-4.",
    ),
    "a machine needs CUSTOM": (
        "  scaleTier: CUSTOM\n  masterType",
        "  scaleTier: BASIC\n  >>masterType",
        "BASIC sets the machine itself. Write scaleTier: CUSTOM.",
    ),
    "arguments stand in one location": (
        "  args:",
        "  masterConfig: {containerArgs: [--seeds=5]}\n  >>args:",
        "args cannot be combined with containerArgs or containerCommand. Keep one.",
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
}


@pytest.mark.parametrize("old, new, message", ERRORS.values(), ids=ERRORS)
def test_an_error_is_found(old: str, new: str, message: str) -> None:
    diagnostic = only_diagnostic(GOOD, old, new)
    assert (diagnostic.severity, diagnostic.message) == ("error", message)
