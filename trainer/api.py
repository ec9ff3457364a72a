"""The Python API: `train` carries out a run in this process, `load` opens one that is there.

from trainer import train, load

run = train(environment="CartPole-v1", gamma=0.98, seeds=5, job_dir="runs/one")
run.mean_score, run.scores, run.curve, run.video
run.policy.act(observation)
"""

from __future__ import annotations

import contextlib
import html
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.contract.command_line import parse_keywords
from trainer.contract.errors import BadCommand, Error
from trainer.contract.job_files import (
    MANIFEST,
    METRICS,
    MODEL,
    POLICY,
    RECORDING,
    SETTINGS,
    json_object,
)
from trainer.contract.run_record import Point, curve, mapping, number, numbers
from trainer.process import signals, tensorflow_env
from trainer.process.console import log_to_console, quiet_standard_error
from trainer.process.signals import Stopped
from trainer.run.errors import as_error
from trainer.run.lifecycle import Run
from trainer.run.setup import prepare
from trainer.storage.job_dir import read_artefacts

if TYPE_CHECKING:
    from trainer.exports.policy_network import PolicyNetwork
    from trainer.training.progress import Evaluation

log = logging.getLogger("trainer")

_training = threading.Lock()
_imported_tensorflow = False


@dataclass(frozen=True)
class TrainedRun:
    """A run that has ended, read from its job dir."""

    job_dir: str
    mean_score: float | None  # the tuning metric: final policies, greedy, on fresh episodes
    scores: tuple[float, ...]  # the same of each agent
    curve: list[Point] = field(repr=False)  # validation scores of all agents at each evaluation
    settings: Mapping[str, Any] = field(repr=False)  # every flag with its value

    @property
    def video(self) -> Path | None:
        """The recording of one greedy episode, if the job dir is a folder that has one."""
        path = Path(self.job_dir, RECORDING)
        return path if path.is_file() else None

    @cached_property
    def policy(self) -> PolicyNetwork:
        """The policy that did best in validation, in NumPy: `act`, `probabilities`, `logits`.

        Raises:
            Error: the job dir holds none.
        """
        from trainer.exports import policy_network

        saved, model = read_artefacts(self.job_dir, POLICY, MODEL)
        if (found := json_object(saved)) is not None:
            with contextlib.suppress(KeyError, TypeError, ValueError, IndexError):
                inputs = len(found["snapshots"][-1]["layers"][0]["kernel"])
                return policy_network.from_json(found, (inputs,))
        if model is None:
            raise Error(f"{self.job_dir} holds no policy.")
        with quiet_standard_error():
            from trainer.outputs.models import read_keras_model

            return policy_network.from_keras(read_keras_model(model))

    def _repr_html_(self) -> str:
        """A small table for notebooks, with the video where there is one."""
        score = "unknown" if self.mean_score is None else f"{self.mean_score:g}"
        rows = {
            "task": self.settings.get("environment"),
            "algorithm": self.settings.get("algorithm"),
            "mean score": score,
            "agents": len(self.scores),
            "job dir": self.job_dir,
        }
        cells = "".join(
            f"<tr><th>{name}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in rows.items()
        )
        return f"<table>{cells}</table>"


def train(
    *, on_evaluation: Callable[[Evaluation], object] = lambda evaluation: None, **settings: object
) -> TrainedRun:
    """Carries out a run as `python -m trainer.task` would, and returns it.

    Signal handlers, logging and environment variables are left as they were. Ctrl-C saves a
    checkpoint and raises KeyboardInterrupt; the same call then continues.

    Args:
        on_evaluation: called after each evaluation; training ends early if it returns False.
        settings: every keyword is a flag's name, see docs/flags.md.

    Raises:
        BadCommand: the settings cannot be carried out.
        Error: the run failed, or another thread is training.
    """
    command, words = parse_keywords(settings)
    if not _training.acquire(blocking=False):
        raise Error("Another thread of this process is training. Wait for its end.")
    try:
        with _as_it_was():
            address = _carry_out(command, words, on_evaluation)
    finally:
        _training.release()
    return load(address)


def load(job_dir: str | Path) -> TrainedRun:
    """The run in a folder or in gs://bucket/path.

    Raises:
        BadCommand: there is no run.
        Error: the bucket cannot be read.
    """
    where = str(job_dir)
    saved, manifest, metrics = read_artefacts(where, SETTINGS, MANIFEST, METRICS)
    settings = mapping((json_object(saved) or {}).get("settings"))
    if not settings:
        raise BadCommand(f"{where} holds no run.")
    scores = mapping((json_object(manifest) or {}).get("scores"))
    return TrainedRun(
        job_dir=where,
        mean_score=number(scores.get("mean_score")),
        scores=numbers(scores.get("scores")),
        curve=curve(metrics or b""),
        settings=settings,
    )


def _carry_out(command: Any, words: list[str], go_on: Callable[[Evaluation], object]) -> str:
    global _imported_tensorflow
    if "tensorflow" in sys.modules and not _imported_tensorflow:
        warnings.warn(
            "TensorFlow was imported before: with other settings than the trainer's, scores may"
            " differ in their last bits from those of the command.",
            stacklevel=4,
        )
    tensorflow_env.prepare()
    if not log.handlers:
        log_to_console()
    try:
        with signals.interruptible(), Run(prepare(command, words, os.environ), go_on) as run:
            address: str = run.job_dir.address
            if not run.finished:
                if not run.prepared.environment.pixels:
                    tensorflow_env.prefer_one_core(command.neurons)
                with quiet_standard_error():
                    import tensorflow  # noqa: F401
                _imported_tensorflow = True
                run.build()
                run.carry_out()
    except Stopped:
        raise KeyboardInterrupt from None
    except OSError as error:
        raise as_error(error) from error
    return address


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Restores environment variables and logging."""
    variables, handlers = dict(os.environ), list(log.handlers)
    level, propagate = log.level, log.propagate
    tensorflow = logging.getLogger("tensorflow")
    its_level = tensorflow.level
    tensorflow.setLevel(logging.ERROR)  # it warns of functions that are made anew by every call
    try:
        yield
    finally:
        tensorflow.setLevel(its_level)
        os.environ.clear()
        os.environ.update(variables)
        log.handlers, log.level, log.propagate = handlers, level, propagate
