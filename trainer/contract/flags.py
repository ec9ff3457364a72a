"""The trainer's flags in lists of words: names, values, and which may be tuned."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from trainer.contract.fields import check
from trainer.contract.presets import preset
from trainer.contract.settings import Hyperparameters, RunOptions
from trainer.contract.text import nearest, shown

Setting = dataclasses.Field[Any]

FLAGS: Mapping[str, Setting] = {
    field.name: field
    for field in (*dataclasses.fields(Hyperparameters), *dataclasses.fields(RunOptions))
}
# What other libraries call them; `n_steps` counts for each environment, `batch_size` for all.
_CALLED_ELSEWHERE = {
    "learning_rate": "lr step_size learning_rate_init",
    "gamma": "discount discount_factor discount_rate",
    "hidden_neurons": "hidden_size hidden_units hidden_dim hidden_nodes num_hidden net_arch"
    " fcnet_hiddens",
    "critic_weight": "vf_coef value_coef value_loss_coef value_loss_weight vf_loss_coeff"
    " critic_coef baseline_cost",
    "entropy": "ent_coef entropy_coef entropy_coeff entropy_cost entropy_weight",
    "batch_size": "n_steps num_steps rollout_length rollout_fragment_length train_batch_size",
    "gae_lambda": "lam lambda gae_lam lambda_",
    "num_envs": "n_envs num_workers n_workers num_env_runners num_environments nenvs",
    "learning_rate_decay": "lr_decay lr_schedule anneal_lr",
    "adam_beta_1": "beta1 beta_1",
    "adam_beta_2": "beta2 beta_2",
    "adam_epsilon": "adam_eps opt_eps rms_prop_eps",
    "max_gradient_norm": "max_grad_norm grad_clip clip_norm gradient_clip grad_norm clipnorm",
    "epochs": "n_epochs num_epochs update_epochs num_sgd_iter",
    "minibatch_size": "sgd_minibatch_size mini_batch_size",
    "clip_range": "clip_coef clip_param clip_ratio clip_eps epsilon_clip",
    "averaging": "polyak ema_decay",
    "algorithm": "algo agent",
    "environment": "env env_id env_name environment_id environment_name gym_id",
    "total_steps": "timesteps total_timesteps n_timesteps num_timesteps max_steps max_timesteps"
    " iterations num_iterations train_steps",
    "seed": "random_seed random_state rng_seed",
    "seeds": "n_seeds num_seeds n_agents num_agents",
    "evaluation_episodes": "n_eval_episodes eval_episodes num_eval_episodes",
    "evaluation_every": "eval_freq eval_every eval_interval evaluation_interval",
    "stop_at_score": "reward_threshold stop_reward target_reward",
    "metric_tag": "metric metric_name hyperparameter_metric_tag",
    "job_dir": "output output_dir out_dir log_dir logdir save_dir model_dir tensorboard_log",
    "overwrite": "force",
    "video": "record_video capture_video save_video record",
}
OTHER_NAMES = {
    other: name for name, others in _CALLED_ELSEWHERE.items() for other in others.split()
}


def find(name: str) -> Setting | None:
    """The setting that a flag names, with underscores only or hyphens only."""
    field = FLAGS.get(name.replace("-", "_"))
    return field if field and name in (field.name, field.name.replace("_", "-")) else None


def meant(name: str) -> str:
    """The flag that other libraries call `name`, or that `name` misspells; else empty."""
    plain = name.lstrip("-").replace("-", "_").lower()
    return OTHER_NAMES.get(plain) or nearest(plain, FLAGS)


def read(field: Setting, text: str) -> Any:
    """Parses a value of the setting. Raises ValueError with a sentence."""
    reader, noun = _READERS[str(field.type)]
    try:
        value = reader(text)
    except (ValueError, KeyError, OverflowError):
        raise ValueError(f"{field.name}={shown(text)} is not {noun}.") from None
    return check(field, value)


def whole_number(text: str) -> int:
    """An int from `32` or `32.0`: tuning services send whole numbers as doubles."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _true_or_false(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


# type in the dataclass -> (reader, what a value must be)
_READERS: dict[str, tuple[Any, str]] = {
    "int": (whole_number, "a whole number"),
    "float": (float, "a number"),
    "str": (str, "a word"),
    "bool": (_true_or_false, "true or false"),
}


def not_tunable(field: Setting) -> str:
    """Why a search cannot vary a setting, as a sentence; empty if it can."""
    if not (reason := field.metadata["fixed"]):
        return ""
    elsewhere = "" if field.name == "job_dir" else f", or fix it: --{field.name}=VALUE in args"
    return f"{field.name} cannot be tuned: {reason}. Delete the parameter{elsewhere}."


class Argument(NamedTuple):
    """A flag and its value in a list of words."""

    at: int  # index of the word that names it
    name: str  # without the hyphens before it
    value: str | None


def arguments(words: Sequence[str]) -> Iterator[Argument]:
    """The flags in `words`: `--name value`, `--name=value` and switches."""
    index = 0
    while index < len(words):
        at, word = index, words[index]
        index += 1
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            yield Argument(at, word, None)
        elif equals:
            yield Argument(at, name, value)
        elif index < len(words) and not words[index].startswith("--"):
            yield Argument(at, name, words[index])
            index += 1
        else:
            field = find(name)
            yield Argument(at, name, "true" if field and field.type == "bool" else None)


def given(words: Sequence[str]) -> dict[str, Any]:
    """Flag -> value, of the well-formed ones in `words`; of two, the last counts."""
    values = {}
    for argument in arguments(words):
        field = find(argument.name)
        if field and argument.value is not None:
            try:
                values[field.name] = read(field, argument.value)
            except ValueError:
                continue
    return values


def settings_of(words: Sequence[str]) -> dict[str, Any]:
    """Every setting of a run with these flags: the flag, else the preset, else the default."""
    defaults: dict[str, Any] = {name: field.default for name, field in FLAGS.items()}
    named = given(words)
    task = defaults | named
    return defaults | preset(task["algorithm"], task["environment"]) | named
