"""`MODEL_CARD.md`: what a policy is, how good it is, how it was trained, how to load it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from trainer.contract.job_files import json_object
from trainer.contract.run_record import mapping, number, numbers
from trainer.exports.policy_network import PolicyNetwork

_LOADING = {
    "onnx": ("ONNX Runtime", "python", """\
import onnxruntime
session = onnxruntime.InferenceSession("policy.onnx")
probabilities, action = session.run(None, {"observations": observations})"""),
    "tflite": ("LiteRT", "python", """\
from ai_edge_litert.interpreter import Interpreter
runner = Interpreter("policy.tflite").get_signature_runner("serving_default")
answer = runner(observations=observations)  # probabilities, action"""),
    "c": ("C99 and C++", "c", """\
#include "policy.h"
int action = policy_act(observation);"""),
    "js": ("JavaScript", "js", """\
import { act, probabilities } from "./policy.js";
const action = act(observation);"""),
    "numpy": ("NumPy", "python", """\
from policy import act, probabilities  # reads policy.json beside it
action = act(observation)"""),
}  # fmt: skip


class ModelCard(NamedTuple):
    """The facts about a policy, apart from its weights."""

    environment: str
    algorithm: str
    observation_shape: tuple[int, ...]
    num_actions: int
    parameters: int
    seed: int  # of the run
    agent: int | None  # which agent of the run it is
    steps: int | None  # environment steps that it was trained for
    mean_score: float | None  # the run's final scores; None if unknown
    interquartile_mean: float | None
    interval: Sequence[float]  # of the interquartile mean, 95%; empty if unknown
    interval_over: str  # agents or episodes
    episodes: int  # for the final score of each agent
    command: str
    version: str

    @property
    def title(self) -> str:
        return f"{self.algorithm.upper()} policy for {self.environment}"

    @property
    def info(self) -> dict[str, str]:
        """The card's facts as short texts, for a file's metadata."""
        facts = {
            "environment": self.environment,
            "algorithm": self.algorithm,
            "seed": str(self.seed),
            "version": self.version,
        }
        if self.mean_score is not None:
            facts["score"] = f"{self.mean_score:g}"
        if self.steps is not None:
            facts["steps"] = str(self.steps)
        return facts


def card_of(network: PolicyNetwork, settings: bytes | None, manifest: bytes | None) -> ModelCard:
    """The card of a run's saved policy, from the bytes of its `hyperparameters.json` and manifest.

    Facts that the files lack, or hold in another form, are left out.
    """
    known, ended = (json_object(content) or {} for content in (settings, manifest))
    chosen, scores = mapping(known.get("settings")), mapping(ended.get("scores"))
    agent = number(mapping(ended.get("saved_agent")).get("index"))
    steps = numbers(scores.get("steps"))
    index = None if agent is None else int(agent)
    return ModelCard(
        environment=_text(chosen.get("environment")),
        algorithm=_text(chosen.get("algorithm")),
        observation_shape=network.observation_shape,
        num_actions=network.num_actions,
        parameters=network.parameters,
        seed=int(number(chosen.get("seed")) or 0),
        agent=index,
        steps=int(steps[index]) if index is not None and index < len(steps) else None,
        mean_score=number(scores.get("mean_score")),
        interquartile_mean=number(scores.get("interquartile_mean")),
        interval=numbers(scores.get("interval")),
        interval_over=_text(scores.get("interval_over")),
        episodes=int(number(chosen.get("evaluation_episodes")) or 0),
        command=_text(known.get("command")),
        version=_text(mapping(known.get("versions")).get("trainer")),
    )


def _text(found: Any) -> str:
    """A short line of printable text; job dirs come from anywhere."""
    text = found if isinstance(found, str) else "unknown"
    return "".join(c if c.isprintable() else " " for c in text)[:1000].replace("`", "'")


def markdown(card: ModelCard, formats: Sequence[str]) -> str:
    """The card's text; it tells how to load `formats`."""
    return "\n".join(_lines(card, formats)) + "\n"


def _lines(card: ModelCard, formats: Sequence[str]) -> Iterator[str]:
    shape = " x ".join(map(str, card.observation_shape))
    yield f"# {card.title}"
    yield ""
    yield (
        f"It maps an observation of shape {shape} to the probabilities of {card.num_actions}"
        f" actions, by {card.parameters:,} numbers."
    )
    yield ""
    yield "## Score"
    yield ""
    yield from _score(card)
    yield ""
    yield "## Training"
    yield ""
    trained = "" if card.steps is None else f" for {card.steps:,} environment steps"
    agent = "" if card.agent is None else f", agent {card.agent} of its run"
    yield f"Trained{trained} from seed {card.seed}{agent}, by version {card.version}:"
    yield ""
    yield f"    {card.command}"
    yield ""
    yield "## Loading"
    for name in formats:
        title, language, code = _LOADING[name]
        yield from ("", f"### {title}", "", f"```{language}", code, "```")
    yield ""
    yield "## Limits"
    yield ""
    yield (
        f"The policy was trained and scored in the simulation {card.environment} only. It has not"
        " been tested on other dynamics, on hardware, or on observations outside the range of that"
        " simulation, and must not control anything that can hurt or cost."
    )


def _score(card: ModelCard) -> Iterator[str]:
    if card.mean_score is None:
        yield "The run's record has no final score."
        return
    yield (
        f"Mean return {card.mean_score:g}: the run's final policies, acting greedily over"
        f" {card.episodes} fresh episodes each."
    )
    if card.interquartile_mean is not None and len(card.interval) == 2:
        low, high = card.interval
        yield (
            f"Interquartile mean {card.interquartile_mean:g}, 95% interval over"
            f" {card.interval_over} [{low:g}, {high:g}]."
        )
