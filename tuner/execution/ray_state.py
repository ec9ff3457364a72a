"""The tuner's state of trials and nodes on a Ray cluster, and the reason why a node was lost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuner.execution.trial import Trial


class RayTrial(Trial):
    """A trial that waits for a node or runs on one."""

    group: Any = None  # its placement group
    moves = 0
    give_up_at = float("inf")


@dataclass(eq=False)
class NodeState:
    """The tuner's state of a node."""

    name: str
    actor: Any
    check: Any  # the future of its check; None once it is done
    token: Path
    news: Any = None  # the future of the latest call of `news`
    last_answer: float = field(default_factory=time.monotonic)
    refused: bool = False
    silent: bool = False
    trials: list[RayTrial] = field(default_factory=list)  # running there, or waiting for its check


def why_lost(error: Exception) -> str:
    text = str(error)
    if "memory" in text and ("OOM" in text or "out of memory" in text):
        return "ran out of memory, and Ray ended what ran there"
    if "node has died" in text or "node died" in text or "unavailable" in text:
        return "was lost"
    return f"lost its process for trials ({first_line(error)})"


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


def last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
