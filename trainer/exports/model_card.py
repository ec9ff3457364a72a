"""`MODEL_CARD.md`: what a policy is, how good it is, how it was trained, how to load it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

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
    """What is known of a policy besides its numbers."""

    environment: str
    algorithm: str
    observation_shape: tuple[int, ...]
    num_actions: int
    parameters: int
    seed: int  # of the run
    agent: int | None  # which agent of the run it is
    steps: int | None  # environment steps that it was trained for
    scores: Mapping[str, Any]  # the run's final scores; empty where its record has none
    episodes: int  # behind the final score of each agent
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
        if (score := self.scores.get("mean_score")) is not None:
            facts["score"] = f"{score:g}"
        if self.steps is not None:
            facts["steps"] = str(self.steps)
        return facts


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
    scores = card.scores
    if "mean_score" not in scores:
        yield "The run's record has no final score."
        return
    yield (
        f"Mean return {scores['mean_score']:g}: the run's final policies, acting greedily over"
        f" {card.episodes} fresh episodes each."
    )
    interval, over = scores.get("interval"), scores.get("interval_over", "agents")
    if interval is not None and "interquartile_mean" in scores:
        low, high = interval
        yield (
            f"Interquartile mean {scores['interquartile_mean']:g}, 95% interval over {over}"
            f" [{low:g}, {high:g}]."
        )
