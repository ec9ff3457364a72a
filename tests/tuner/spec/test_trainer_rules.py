"""Search spaces that the trainer would refuse in every trial, or whose metric it never reports."""

from __future__ import annotations

import pytest

from tests.support.search_spaces import GOOD, only_diagnostic
from trainer.contract.flags import FLAGS

ERRORS = {
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
        "hidden_neurons takes whole numbers, but DOUBLE gives fractions. Write INTEGER.",
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
