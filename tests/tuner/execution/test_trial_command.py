"""A trial's command line and environment are those of the services."""

from __future__ import annotations

import json
from pathlib import Path

from tuner.execution import trial_command
from tuner.spec.study_spec import DISCRETE, DOUBLE, INTEGER, Parameter

PARAMETERS = (
    Parameter("gamma", DOUBLE, 0.9, 0.99),
    Parameter("hidden_neurons", INTEGER, 8, 128),
    Parameter("batch_size", DISCRETE, values=(64.0, 128.0)),
)
TUNED = {"gamma": "0.95", "hidden_neurons": "32", "batch_size": "128"}
ARGS = ("--algorithm=a2c", "--gamma", "0.5")


def test_args_come_first_and_tuned_flags_last() -> None:
    words = trial_command.words(ARGS, Path("runs/study/3"), {"seed": 0, "seeds": 5}, TUNED)
    assert words == (
        *("--algorithm=a2c", "--gamma", "0.5", "--seed=0", "--seeds=5"),
        *("--job-dir", "runs/study/3"),
        *("--gamma=0.95", "--hidden_neurons=32", "--batch_size=128"),
    )


def test_the_environment_is_that_of_a_trial_and_nothing_else_of_a_service() -> None:
    base = {"PATH": "/bin", "AIP_MODEL_DIR": "gs://b/m", "CLOUD_ML_REGION": "x", "TF_CONFIG": "{}"}
    found = trial_command.environment(
        base, trial=3, metric_file=Path("d/metric"), metric="mean_score", job="study"
    )
    config = json.loads(found.pop("TF_CONFIG"))
    assert config["task"] == {"type": "master", "index": 0, "trial": "3"}
    assert found == {
        "PATH": "/bin",
        "CLOUD_ML_TRIAL_ID": "3",
        "CLOUD_ML_HP_METRIC_FILE": str(Path.cwd() / "d" / "metric"),
        "CLOUD_ML_HP_METRIC_TAG": "mean_score",
        "CLOUD_ML_JOB_ID": "study",
    }
