"""The recipe in best.json: everything to run the winner again and to verify the result."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.contract import flags as trainer_flags
from trainer.contract.errors import Error
from trainer.contract.job_files import MANIFEST
from trainer.contract.run_record import fingerprint
from trainer.contract.text import shown
from trainer.storage.run_files import read_curve, read_json, read_settings
from tuner.execution import trial_command

OURS = ("seed", "seeds")  # flags with keys of their own
_THE_USERS = ("job_dir", "overwrite")  # flags for output files, which a recipe may not set
IMPORTED = ("environment", "wrappers")  # flags that may make the trainer import a module


class NotARecipe(Error):
    """A file that is not a study's best.json."""


@dataclass(frozen=True)
class Recipe:
    """A winner's run in the test."""

    metric: str
    seed: int
    seeds: int
    others: Mapping[str, Any]  # flags that neither the search nor the study's args set
    args: tuple[str, ...]  # the study's
    flags: tuple[str, ...]  # the winner's
    curve: str | None  # fingerprint
    where: Mapping[str, str]  # versions and machine, in words
    score: float  # interquartile mean
    interval: tuple[float, float]
    stacked: bool = False  # it was trained with others in one process, which rounds differently

    def words(self, job_dir: Path) -> tuple[str, ...]:
        """The command line; the trainer uses the last of repeated flags."""
        others = [f"--{name}={value}" for name, value in self.others.items()]
        fixed = {"seed": self.seed, "seeds": self.seeds}
        ours = trial_command.words([*others, *self.args], job_dir, fixed, {})
        return (*ours, *self.flags)

    @property
    def modules(self) -> dict[str, str]:
        """The flags that make the trainer import a module, `module:name`, and their values."""
        known = {**self.others, **trainer_flags.given((*self.args, *self.flags))}
        named = {name: str(known.get(name, "")) for name in IMPORTED}
        return {name: value for name, value in named.items() if ":" in value}


def record(
    folder: Path, seeds: tuple[int, int], args: Sequence[str], flags: Sequence[str]
) -> dict[str, Any]:
    """The recipe of the winner's run in a folder, as JSON; each flag is in it once.

    Values are null if the trainer wrote neither settings nor metrics.
    """
    found, manifest = read_settings(folder), read_json(folder / MANIFEST) or {}
    named = trainer_flags.given((*args, *flags))
    all_of_it = found.get("settings")
    every: dict[str, Any] = all_of_it if isinstance(all_of_it, dict) else {}
    return {
        "seed": seeds[0],
        "seeds": seeds[1],
        "other_flags": {
            name: value for name, value in every.items() if name not in {*OURS, *named}
        },
        "stacked": manifest.get("stacked") is True,
        "curve_sha256": fingerprint(read_curve(folder)),
        "versions": found.get("versions"),
        "machine": found.get("machine"),
        "git_commit": found.get("git_commit"),
    }


def where(found: Mapping[str, Any]) -> dict[str, str]:
    """Versions and machine of a run as text, to compare and to print."""
    texts = {"commit": str(found["git_commit"])} if found.get("git_commit") else {}
    for part in ("versions", "machine"):
        content = found.get(part)
        if isinstance(content, dict):
            texts |= {str(name): str(value) for name, value in content.items()}
    return texts


def read(data: bytes, name: str) -> Recipe:
    """The recipe in a best.json.

    Raises:
        NotARecipe: it is not a best.json, or incomplete.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise NotARecipe(
            f"{shown(name)} is not a study's best.json: it is not JSON. Take it from the job dir."
        ) from None
    try:
        return _recipe(found)
    except NotARecipe as error:
        raise NotARecipe(f"{shown(name)} cannot be reproduced: {error}") from error
    except KeyError as error:
        wrong = f"lacks {error.args[0]}"
    except (TypeError, ValueError, AttributeError, OverflowError):
        wrong = "has flags, seeds or scores of the wrong type"
    raise NotARecipe(
        f"{shown(name)} is not a study's best.json: it {wrong}. Run the study's command again to"
        " write it."
    )


def _recipe(found: Mapping[str, Any]) -> Recipe:
    again, winner = found["reproduce"], found["test"]["winner"]
    low, high = map(float, winner["interval"])
    others, curve, score = (
        again["other_flags"], again["curve_sha256"], float(winner["interquartile_mean"])
    )  # fmt: skip
    given = [found["args"], found["flags"]]
    if not all(isinstance(words, list) and all(type(w) is str for w in words) for words in given):
        raise TypeError
    numbers = [again["seed"], again["seeds"]]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise TypeError
    fit = all(isinstance(value, str | int | float) for value in others.values())
    _check_flags([*(f"--{name}={value}" for name, value in others.items()), *given[0], *given[1]])
    if not fit or not (curve is None or isinstance(curve, str)):
        raise TypeError
    if not all(map(math.isfinite, (low, high, score))):
        raise ValueError
    return Recipe(
        str(found["metric"]),
        numbers[0],
        numbers[1],
        others,
        tuple(found["args"]),
        tuple(found["flags"]),
        curve,
        where({name: again[name] for name in ("versions", "machine", "git_commit")}),
        score,
        (low, high),
        again.get("stacked") is True,
    )


def _check_flags(words: Sequence[str]) -> None:
    """Raises NotARecipe for a word that is not a trainer flag, or that only the user may set."""
    for argument in trainer_flags.arguments(words):
        field = trainer_flags.find(argument.name)
        if field is None or argument.value is None:
            raise NotARecipe(f"{shown(words[argument.at])} is not a flag of the trainer.")
        if field.name in _THE_USERS:
            raise NotARecipe(
                f"It sets {field.name}, which only the command may. Delete the flag from the file."
            )


@dataclass(frozen=True)
class Verdict:
    """Whether a run reproduces a recipe."""

    reproduced: bool
    lines: tuple[str, ...]


def judge(
    recipe: Recipe, curve: str | None, here: Mapping[str, str], score: float | None
) -> Verdict:
    """Compares the curve bit for bit; if machine or versions differ, the interval also decides.

    Args:
        score: the new run's interquartile mean.
    """
    differs = [
        f"{name} {was or 'unknown'} (here {now or 'unknown'})"
        for name in sorted(recipe.where.keys() | here.keys())
        if (was := recipe.where.get(name)) != (now := here.get(name))
    ]
    lines = [f"differs  {line}" for line in differs]
    if score is None:
        return Verdict(False, (*lines, "not reproduced: the run has no score"))
    low, high = recipe.interval
    slack = 1e-9 * max(1.0, abs(low), abs(high))  # for sums in another order
    inside = low - slack <= score <= high + slack
    lines.append(
        f"score    {score:.5g}; recorded {recipe.score:.5g}, the new score is"
        f" {'inside' if inside else 'outside'} its interval [{low:.5g}, {high:.5g}]"
    )
    if recipe.curve is not None and curve == recipe.curve:
        return Verdict(True, (*lines, "reproduced: every agent scored the same to the last bit"))
    if recipe.curve is not None and not differs:
        return Verdict(
            False,
            (*lines, "not reproduced: machine and versions are the same, but the curve differs"),
        )
    why = "the study kept no curve" if recipe.curve is None else "the curve differs"
    if inside:
        return Verdict(
            True, (*lines, f"reproduced, within the interval: {why}, which is allowed here")
        )
    return Verdict(False, (*lines, f"not reproduced: {why}, and the score is not in the interval"))
