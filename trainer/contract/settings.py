"""The settings of a run: one dataclass field is one flag, one yaml name and one JSON key.

More than 250 lines, since this is the one list of all settings, for both packages.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.contract.fields import (
    NOT_NEGATIVE,
    POSITIVE,
    UNIT,
    Range,
    check_all,
    setting,
)
from trainer.contract.text import shown

RESERVED_TAGS = ("trial", "timestamp", "global_step", "checkpoint_path")  # hypertune's own keys
_OF_PPO = ("epochs", "minibatch_size", "clip_range")
UNUSED = {
    "pg": ("batch_size", "critic_weight", "gae_lambda", "value_scale", *_OF_PPO),
    "a2c": _OF_PPO,
    "ppo": (),
}
# Settings that may differ when the same run is continued: they do not change its results.
NOT_PART_OF_THE_RUN = (
    *("job_dir", "overwrite", "video", "export", "sync_every", "upload_deadline", "env_workers"),
)
EXPORT_FORMATS = ("onnx", "tflite", "c", "js", "numpy")


def _kwargs_are_wrong(text: str) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    example = '{"is_slippery": false}'
    return (
        "" if isinstance(found, dict) else f"is not a JSON object. Write one such as '{example}'."
    )


def export_formats(text: str) -> tuple[str, ...]:
    """The formats in `c,onnx`, in the order of `EXPORT_FORMATS`.

    Raises ValueError, with a sentence, for an unknown one.
    """
    chosen = {word.strip() for word in text.split(",") if word.strip()}
    if unknown := sorted(chosen - {*EXPORT_FORMATS}):
        raise ValueError(
            f"{shown(unknown[0])} is not an export format. The formats are"
            f" {', '.join(EXPORT_FORMATS)}."
        )
    return tuple(name for name in EXPORT_FORMATS if name in chosen)


def _formats_are_wrong(text: str) -> str:
    try:
        export_formats(text)
    except ValueError as error:
        return f"is not valid: {error}"
    return ""


def _workers_are_wrong(text: str) -> str:
    if text == "auto" or (text.isdecimal() and 1 <= int(text[:9]) <= 1024):
        return ""
    return "is not a number of workers. Write a whole number from 1 to 1024, or auto."


def _tag_is_wrong(tag: str) -> str:
    if tag.strip() and tag not in RESERVED_TAGS:
        return ""
    return f"cannot name a metric. Write a word other than {', '.join(RESERVED_TAGS)}."


def _score_is_wrong(score: str) -> str:
    try:
        if score in ("threshold", "none") or math.isfinite(float(score)):
            return ""
    except ValueError:
        pass
    return "is not a score. Write a number, `threshold` or `none`."


# Why a search must not vary a setting.
_MEASURES = "it changes how a score is measured, not what is learned"
_OTHER_TASK = "scores in different environments cannot be compared"
_KEEPS = "it does not change what is learned"


@dataclass(frozen=True)
class Hyperparameters:
    """What a search may vary. Each field is one flag and may be one yaml `parameterName`."""

    learning_rate: float = setting(1e-2, "Adam's step size.", range=POSITIVE)
    gamma: float = setting(0.99, "Discount factor.", range=UNIT)
    hidden_neurons: int = setting(32, "Width of both hidden layers.", range=Range(1, 65536))
    critic_weight: float = setting(1.0, "Weight of the critic's loss.", range=NOT_NEGATIVE)
    entropy: float = setting(
        0.0, "Weight of the entropy bonus; larger is more random.", range=NOT_NEGATIVE
    )
    batch_size: int = setting(256, "Transitions per update.", range=Range(1, 2**24))
    gae_lambda: float = setting(
        0.99, "From 0, the TD(0) advantage, to 1, the full return.", range=UNIT
    )
    num_envs: int = setting(
        2,
        "Environments stepped side by side; PG: episodes per update.",
        range=Range(1, 65536),
    )
    learning_rate_decay: str = setting(
        "linear", "How the step size falls to 0 over total_steps.", choices=("linear", "none")
    )
    adam_beta_1: float = setting(0.25, "Decay of Adam's first moment.", range=Range(0, 0.999999))
    adam_beta_2: float = setting(0.999, "Decay of Adam's second moment.", range=Range(0, 0.999999))
    adam_epsilon: float = setting(
        1e-2, "Added to the root of Adam's second moment.", range=POSITIVE
    )
    max_gradient_norm: float = setting(2.0, "Longer gradients are cut to this.", range=POSITIVE)
    value_scale: float = setting(10.0, "The unit that the critic works in.", range=POSITIVE)
    averaging: float = setting(
        0.95,
        "Decay of the moving average of the weights that is scored and saved; 0: no average.",
        range=Range(0, 0.999999),
    )
    epochs: int = setting(10, "PPO: passes of an update over its batch.", range=Range(1, 1000))
    minibatch_size: int = setting(64, "PPO: transitions per gradient step.", range=Range(1, 2**24))
    clip_range: float = setting(
        0.2, "PPO: how far a probability ratio may leave 1.", range=Range(0, 1, low_open=True)
    )

    def __post_init__(self) -> None:
        check_all(self)


@dataclass(frozen=True)
class RunOptions:
    """What a person picks for a run. A search may vary only `algorithm` of these."""

    algorithm: str = setting("a2c", "Learning rule.", choices=("a2c", "pg", "ppo"))
    environment: str = setting(
        "CartPole-v1",
        "Id of a Gymnasium environment; `module:Id-v0` imports the module first, and"
        " `module:name` is a class or function of your own.",
        metavar="ID",
        fixed=_OTHER_TASK,
    )
    env_kwargs: str = setting(
        "{}",
        "Arguments of the environment, a JSON object.",
        metavar="JSON",
        wrong=_kwargs_are_wrong,
        fixed=_OTHER_TASK,
    )
    wrappers: str = setting(
        "",
        "Wrappers around it, the innermost first: module:function,...",
        metavar="LIST",
        fixed=_OTHER_TASK,
    )
    frame_stack: int = setting(
        1,
        "Last observations that the policy sees at once.",
        range=Range(1, 64),
        fixed=_OTHER_TASK,
    )
    max_episode_steps: int = setting(
        0,
        "Steps after which an episode is truncated; 0: the environment's limit.",
        range=Range(0, 10**9),
        fixed=_OTHER_TASK,
    )
    env_workers: str = setting(
        "1",
        "Processes that step environments: 1 is this one, `auto` is one for each environment.",
        metavar="N|auto",
        wrong=_workers_are_wrong,
        fixed=_KEEPS,
    )
    total_steps: int = setting(
        100_000,
        "Environment steps of each agent.",
        range=Range(1, 10**12),
        fixed="more training scores better, so the search would find the largest",
    )
    seed: int = setting(
        0,
        "Seed of all random streams.",
        range=Range(0, 2**63 - 1),
        fixed="a lucky seed is not a better setting",
    )
    seeds: int = setting(
        1,
        "Independent agents trained side by side.",
        range=Range(1, 65536),
        fixed=_MEASURES,
    )
    evaluation_episodes: int = setting(
        100,
        "New episodes for the final score of each agent.",
        range=Range(1, 10**6),
        fixed=_MEASURES,
    )
    validation_episodes: int = setting(
        20, "Episodes of each evaluation during training.", range=Range(1, 10**6), fixed=_MEASURES
    )
    evaluation_every: int = setting(
        5_000, "Steps of each agent between evaluations.", range=Range(1, 10**12), fixed=_MEASURES
    )
    stop_at_score: str = setting(
        "threshold",
        "An agent stops at this validation score: a number, `threshold` for the environment's"
        " own reward_threshold, or `none`.",
        metavar="SCORE",
        fixed=_MEASURES,
        wrong=_score_is_wrong,
    )
    stop_after: int = setting(
        4,
        "Evaluations in a row that must reach that score.",
        range=Range(1, 10**6),
        fixed=_MEASURES,
    )
    collector: str = setting(
        "auto",
        "How environments are stepped; `auto` compiles CartPole.",
        choices=("auto", "compiled", "gymnasium"),
        fixed="it changes how fast an agent learns, not what",
    )
    metric_tag: str = setting(
        "mean_score",
        "Name of the tuning metric.",
        metavar="TAG",
        fixed="all trials of a study report one metric",
        wrong=_tag_is_wrong,
    )
    job_dir: str = setting(
        "",
        "Where the run writes its files: a folder, or gs://bucket/path.",
        metavar="DIR",
        fixed="each trial gets a folder of its own in the job's",
    )
    overwrite: bool = setting(False, "Replace another run's files in the job dir.", fixed=_KEEPS)
    video: bool = setting(True, "Record an episode at the end.", fixed=_KEEPS)
    export: str = setting(
        "",
        f"Also write the policy for other runtimes: {', '.join(EXPORT_FORMATS)}.",
        metavar="FORMATS",
        fixed=_KEEPS,
        wrong=_formats_are_wrong,
    )
    sync_every: float = setting(
        30.0,
        "Seconds between checkpoints, and between uploads to a bucket.",
        range=NOT_NEGATIVE,
        fixed=_KEEPS,
    )
    upload_deadline: float = setting(
        600.0,
        "Seconds to keep trying the last upload to a bucket.",
        range=NOT_NEGATIVE,
        fixed=_KEEPS,
    )

    def __post_init__(self) -> None:
        check_all(self)


@dataclass(frozen=True)
class Command:
    """A parsed command line."""

    hyperparameters: Hyperparameters
    options: RunOptions
    sources: Mapping[str, str]  # field -> "flag", "preset" or "default"

    @property
    def values(self) -> dict[str, Any]:
        """The settings that identify a run, by name."""
        return {
            **dataclasses.asdict(self.hyperparameters),
            **{
                name: value
                for name, value in dataclasses.asdict(self.options).items()
                if name not in NOT_PART_OF_THE_RUN
            },
        }

    @property
    def neurons(self) -> int:
        """Neurons of one hidden layer, of all agents together."""
        return self.options.seeds * self.hyperparameters.hidden_neurons

    @property
    def unused(self) -> list[str]:
        """Flags that were given but that the algorithm does not use."""
        names = UNUSED[self.options.algorithm]
        return [name for name in names if self.sources[name] == "flag"]


class Batching:
    """How `batch_size` transitions are gathered: `num_envs` environments times `steps` steps."""

    def __init__(self, hyperparameters: Hyperparameters, algorithm: str) -> None:
        self.num_envs = hyperparameters.num_envs
        self.steps: int | None = None  # None: one complete episode in each environment
        if algorithm != "pg":
            self.num_envs = min(hyperparameters.num_envs, hyperparameters.batch_size)
            self.steps = math.ceil(hyperparameters.batch_size / self.num_envs)

    @property
    def batch_size(self) -> int | None:
        """The effective batch size; None if it depends on the length of the episodes."""
        return None if self.steps is None else self.steps * self.num_envs
