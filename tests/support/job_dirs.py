"""Job dirs as the trainer and the tuner leave them, without training."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import imageio
import numpy as np
import optuna
from optuna.distributions import FloatDistribution

from trainer.contract.run_record import Scores
from tuner.report.files import open_files
from tuner.report.gather import gather
from tuner.report.model import Report
from tuner.search import journal, objective
from tuner.search.trial_store import FILE, OTHERS_CPU

SPACE = {"gamma": (0.9, 0.999, "UNIT_LINEAR_SCALE"), "learning_rate": (1e-3, 0.1, "UNIT_LOG_SCALE")}
VERSIONS = {"python": "3.11.7", "trainer": "0.1.0"}


def report_of(folder: Path) -> Report:
    """The report on a job dir."""
    return gather(open_files(str(folder)))


@cache
def video() -> bytes:
    """A second of H.264, a square that moves."""
    frames = np.zeros((20, 48, 64, 3), np.uint8)
    for index, frame in enumerate(frames):
        frame[10:30, index : index + 20] = 200
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "square.mp4"
        imageio.mimwrite(file, list(frames), format="FFMPEG", fps=20, macro_block_size=2)
        return file.read_bytes()


def write_run(
    folder: Path,
    scores: Sequence[float],
    flags: Mapping[str, Any],
    *,
    film: bool = True,
    finished: bool = True,
) -> None:
    """A run that has ended, or one that is half-way."""
    folder.mkdir(parents=True, exist_ok=True)
    fixed = {"algorithm": "a2c", "environment": "CartPole-v1", "total_steps": 2000, "seed": 0}
    settings = {**fixed, "seeds": len(scores), "metric_tag": "mean_score", **flags}
    sources = dict.fromkeys(settings, "default") | dict.fromkeys([*flags, "seed"], "flag")
    _write(folder / "hyperparameters.json", {
        "settings": settings, "sources": sources, "versions": VERSIONS, "git_commit": "0" * 40,
    })  # fmt: skip
    lines = [
        {"step": step, "final": False, "scores": [step / 2000 * score for score in scores]}
        for step in (500, 1000, 1500)
    ]
    if finished:
        lines.append({"step": 2000, "final": True, "scores": list(scores)})
        _write(folder / "manifest.json", {
            "state": "succeeded", "wall_seconds": 3.5, "scores": {
                "mean_score": float(np.mean(scores)), "scores": list(scores),
                "steps": [2000] * len(scores), "steps_to_solve": [None] * len(scores),
                "stayed_solved": [None] * len(scores), "interval": [min(scores), max(scores)],
                "sampled_mean_score": float(np.mean(scores)) - 1,
            },
        })  # fmt: skip
        if film:
            (folder / "recording.mp4").write_bytes(video())
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")


def write_study(folder: Path, count: int, *, finished: bool = True, films: int = 9) -> None:
    """A study whose best rate is 0.02; trial 2 was stopped, and trial 3 failed."""
    folder.mkdir(parents=True)
    random_ = random.Random(0)
    axes = {
        name: FloatDistribution(low, high, log="LOG" in scale)
        for name, (low, high, scale) in SPACE.items()
    }
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = journal.opened(folder / FILE)
    study = optuna.create_study(storage=storage, study_name="study", direction="maximize")
    study.set_user_attr("identity", {
        "parameters": {
            name: {"type": "DOUBLE", "minValue": low, "maxValue": high, "values": [],
                   "scaleType": scale}
            for name, (low, high, scale) in SPACE.items()
        },
        "metric": "mean_score", "goal": "MAXIMIZE", "objective": "iqm",
        "args": "--total_steps=2000",
    })  # fmt: skip
    seeds = {"tuning": 0, "confirming with 10 seeds": 1, "testing trial 1 with 20 seeds": 2}
    study.set_user_attr("seeds", seeds)
    study.set_user_attr(OTHERS_CPU, 12.0)
    trials = []
    for number in range(1, count + 1):
        flags = {
            "gamma": random_.uniform(0.9, 0.999),
            "learning_rate": 10 ** random_.uniform(-3, -1),
        }
        flags = {"gamma": 0.99, "learning_rate": 0.02} if number == 1 else flags
        middle = 400 - 2000 * abs(flags["learning_rate"] - 0.02)
        scores = tuple(round(middle + random_.gauss(0, 20), 1) for _ in range(5))
        state = {2: "STOPPED", 3: "FAILED"}.get(number, "SUCCEEDED")
        reason = {2: "the median rule stopped it", 3: "exit code 1"}.get(number, "")
        ended = state == "SUCCEEDED"
        found = Scores(scores, (2000,) * 5, (None,) * 5, (None,) * 5, middle) if ended else Scores()
        value = objective.value(found, "iqm", "MAXIMIZE")
        write_run(folder / str(number), scores, flags, film=number <= films, finished=ended)
        trials.append(optuna.create_trial(
            params=flags, distributions=axes, value=value if ended else None,
            state=optuna.trial.TrialState.COMPLETE if ended else optuna.trial.TrialState.FAIL,
            user_attrs={"outcome": {
                "state": state, "reason": reason, "scores": objective.as_json(found),
                "measurements": [[1000, 10.0]], "seconds": 4.0, "cpu_seconds": 1.5, "value": value,
            }},
        ))  # fmt: skip
    study.add_trials(trials)
    state = "SUCCEEDED" if finished else "RUNNING"
    _write(folder / "study.json", {
        "jobId": "study", "state": state, "trainingOutput": {"trials": []},
        "trainingInput": {"hyperparameters": {"goal": "MAXIMIZE"}},
    })  # fmt: skip
    if finished:
        _write_steps(folder, seeds)


def _write_steps(folder: Path, seeds: Mapping[str, int]) -> None:
    """Trial 1 is confirmed and wins the test, 30 points below what the search claimed."""
    flags = {"gamma": 0.99, "learning_rate": 0.02}
    write_run(folder / "confirm-1" / "1", [380.0 + n for n in range(10)], flags, film=False)
    write_run(folder / "test-2" / "winner", [370.0 + n for n in range(20)], flags, film=False)
    write_run(folder / "test-2" / "defaults", [350.0 + n for n in range(20)], {}, film=False)
    _write(folder / "best.json", {
        "trial": 1, "parameters": flags, "args": ["--total_steps=2000"], "metric": "mean_score",
        "flags": [f"--{name}={value}" for name, value in flags.items()], "objective": "iqm",
        "tuning": {"claimed": 409.5, "winner": 400.0}, "optimism_gap": 30.0, "seeds": dict(seeds),
        "probability_of_improvement": 0.98, "environment_steps": 1000, "cpu_seconds": 12.0,
    })  # fmt: skip


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
