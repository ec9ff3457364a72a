"""Search spaces that the tuning services would refuse, for any trainer."""

from __future__ import annotations

import pytest

from tests.support.search_spaces import GAMMA, GOOD, only_diagnostic

ERRORS = {
    "a name is tuned once": (
        "    - parameterName: batch_size",
        GAMMA.replace("gamma", ">>gamma") + "    - parameterName: batch_size",
        "gamma is tuned twice, first in line 13. Delete one.",
    ),
    "min must not be above max": (
        "minValue: 0.9\n",
        "minValue: >>0.9999\n",
        "gamma: minValue 0.9999 is above maxValue 0.999. Swap them.",
    ),
    "the bounds of INTEGER must be whole": (
        "minValue: 8",
        "minValue: >>8.5",
        "hidden_neurons: 8.5 is not a whole number, which INTEGER requires.",
    ),
    "there is no logarithm of zero": (
        "minValue: 0.9\n      maxValue: 0.999\n      scaleType: UNIT_REVERSE_LOG_SCALE",
        "minValue: >>0.0\n      maxValue: 0.999\n      scaleType: UNIT_LOG_SCALE",
        "gamma: 0 has no logarithm, which UNIT_LOG_SCALE needs. Write the smallest useful"
        " value above 0, or UNIT_LINEAR_SCALE.",
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
        "0 is not a number of trials. Write 1 to 2147483647.",
    ),
    "a time has its unit": (
        "scaleTier: CUSTOM",
        "scaleTier: CUSTOM\n  scheduling: {maxRunningTime: >>1h}",
        "1h is not a time in seconds. Write it such as 3600s.",
    ),
    "an accelerator has a type and a count": (
        "scaleTier: CUSTOM",
        "scaleTier: CUSTOM\n  masterConfig: {acceleratorConfig: {type: >>TPU_V2}}",
        "an accelerator needs both a type and a count. Write both, or neither.",
    ),
}


@pytest.mark.parametrize("old, new, message", ERRORS.values(), ids=ERRORS)
def test_an_error_is_found(old: str, new: str, message: str) -> None:
    diagnostic = only_diagnostic(GOOD, old, new)
    assert (diagnostic.severity, diagnostic.message) == ("error", message)
