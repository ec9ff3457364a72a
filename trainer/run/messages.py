"""The messages of a run at its start and at its end."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from typing import Any

from trainer.contract.job_files import RECORDING
from trainer.contract.settings import Batching, RunOptions
from trainer.contract.text import score
from trainer.process.console import COMMAND, python_command
from trainer.run.setup import Prepared

log = logging.getLogger("trainer")


def announce(prepared: Prepared, address: str) -> None:
    """Logs what is about to run, and which flags have no effect."""
    options = prepared.command.options
    batching = Batching(prepared.command.hyperparameters, options.algorithm)
    agents = "1 agent" if options.seeds == 1 else f"{options.seeds} agents"
    batch = (
        f"{batching.num_envs} whole episodes"
        if batching.steps is None
        else f"{batching.batch_size} transitions ({batching.num_envs} x {batching.steps})"
    )
    log.info(
        "%s: %s on %s, up to %s steps each, an update every %s; everything goes to %s",
        options.algorithm.upper(), agents, options.environment, f"{options.total_steps:,}", batch,
        address,
    )  # fmt: skip
    if unused := prepared.command.unused:
        log.warning(
            "%s does not use %s; the run continues without.",
            options.algorithm.upper(), " and ".join(f"--{name}" for name in unused),
        )  # fmt: skip
    if prepared.video_problem is not None:
        log.warning(
            "No video can be recorded: %s. The run continues without; --video=false avoids this"
            " warning.",
            prepared.video_problem,
        )


def summarize(
    scores: Mapping[str, Any], options: RunOptions, address: str, problems: Mapping[str, str],
    seconds: float,
) -> None:  # fmt: skip
    """Logs the scores, and commands to use the files."""
    low, high = scores["interval"]
    log.info(
        "mean_score %s (greedy, %d fresh episodes an agent; sampled %s; interquartile mean"
        " %s, 95%% interval over %s %s to %s) after %.1f s",
        score(scores["mean_score"]), options.evaluation_episodes,
        score(scores["sampled_mean_score"]), score(scores["interquartile_mean"]),
        scores["interval_over"], score(low, high), score(high, low), seconds,
    )  # fmt: skip
    if options.video and RECORDING not in problems:
        log.info("watch   %s/%s", address, RECORDING)
    log.info(
        "play    %s -m trainer.play %s",
        python_command(),
        shlex.quote(address),
        extra={COMMAND: True},
    )
    log.info(
        "curves  %s -m tensorboard.main --logdir %s",
        python_command(),
        shlex.quote(address),
        extra={COMMAND: True},
    )
