"""`python -m trainer.task`: flags in; a trained, scored, saved and recorded policy out.

The only place that wires things together. Whatever is slow to import waits until the command is
known to be good.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainer import artifacts, cloud, provenance, signals
from trainer.artifacts import JobDir
from trainer.config import Batching, Command
from trainer.console import (
    ConsoleReporter,
    log_to_console,
    python_command,
    quiet_standard_error,
)
from trainer.flags import parse
from trainer.job import BadCommand, Job, JobError, open_job, unusable
from trainer.reporting import HypertuneReporter, JsonLinesReporter, Reporters, TensorBoardReporter
from trainer.signals import Stopped

if TYPE_CHECKING:
    from trainer.agents import Agents
    from trainer.environments import Environment
    from trainer.randomness import Streams
    from trainer.run import Run
    from trainer.train import Evaluation

log = logging.getLogger("trainer")

SUCCESS, FAILED, BAD_COMMAND = 0, 1, 2
LAST_WORDS = 6.0  # seconds that a run which was told to end may spend on uploads


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code: 128 + n where signal n ended it."""
    arguments = sys.argv[1:] if arguments is None else arguments
    started = time.monotonic()
    command = parse(arguments)
    log_to_console()
    try:
        with signals.handled():
            return run(command, arguments, started)
    except BadCommand as error:
        log.error("%s", error)
        return BAD_COMMAND
    except JobError as error:
        log.error("%s", error)
        return FAILED
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        log.error("The run could not go on: %s%s.", error.strerror or error, where)
        return FAILED
    except Stopped as stopped:
        log.warning("%s ended the run.", stopped)
        return stopped.exit_code


def run(command: Command, arguments: Sequence[str], started: float) -> int:
    """Finds out what there is to do, before anything slow, and does it."""
    # One thread: for matrices of a policy's size OpenBLAS' threads cost more than they bring.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    service = find_service()
    command = with_metric_tag(command, service.metric_tag)
    environment = find_environment(command)
    goal = solved_at_score(command, environment)
    with contextlib.closing(open_job(command, service)) as job:
        if job.earlier.finished:
            log.info("%s holds this very run, finished; --overwrite runs it again.", job.where)
            return SUCCESS
        hypertune = make_hypertune(command, service, job)
        settings = provenance.settings(command, arguments, goal)
        where = {"trial": service.trial, "places": job.job_dir.places}
        job.job_dir.write_json(artifacts.SETTINGS, settings | where)
        job.start()
        describe(command, environment, job)
        with quiet_standard_error():
            import tensorflow  # noqa: F401
        try:
            work(command, environment, goal, job, hypertune, started)
        except OSError:  # a full disk, say; what is in the bucket by now is all there will be
            try:
                job.deliver(LAST_WORDS)
            except JobError as error:
                log.error("%s", error)
            raise
    return SUCCESS


def work(
    command: Command,
    environment: Environment,
    goal: float | None,
    job: Job,
    hypertune: HypertuneReporter,
    started: float,
) -> None:
    """Trains, scores, saves and records; in this order, so that a late fault costs little."""
    from trainer.checkpoint import CheckpointError
    from trainer.export import save_models
    from trainer.policy import save_policy
    from trainer.run import Run

    try:
        parts = Run(command, environment, goal)
    except ValueError as error:
        raise BadCommand(str(error)) from error
    reports = []
    if job.earlier.checkpoint is not None:
        try:
            reports = parts.restore(job.earlier.checkpoint)
        except CheckpointError as error:
            raise JobError(unusable(job.where, error)) from error
        log.info(
            "Going on from the checkpoint, at %s steps.", f"{int(parts.progress.steps.mean()):,}"
        )
    elif job.earlier.begun:
        log.info("%s holds this run, but no checkpoint yet; starting it again.", job.where)
    console = ConsoleReporter(command.options.total_steps)
    reporters = Reporters(
        [
            hypertune,  # first: nothing that may be slow or fail comes before the tuning metric
            JsonLinesReporter(job.job_dir),
            TensorBoardReporter(job.job_dir, command.values),
            console,
        ]
    )
    try:
        reporters.resume(reports)
        scores = train_and_score(parts, job, reporters, console)
        best = parts.progress.best_agent
        with quiet_standard_error():
            save_models(job.job_dir, parts.agents, best, pixels=environment.pixels)
        save_policy(job.job_dir, environment, parts.policy(best))
        problems = record(job.job_dir, environment, parts.agents, best, parts.streams)
        job.job_dir.write_json(
            artifacts.MANIFEST,
            {
                "state": "succeeded",
                "problems": problems,
                "scores": scores,
                "saved_agent": {
                    "index": best, "validation_score": parts.progress.score_of(best)
                },
                "restarts": parts.restarts,
                "wall_seconds": round(time.monotonic() - started, 3),
                "files": job.job_dir.files(),
            },
        )  # fmt: skip
        job.deliver(command.options.upload_deadline)
    except Stopped as stopped:
        end_early(stopped, parts, job, reporters)
        raise
    finally:
        reporters.close()
    say_goodbye(job, scores, command.options.evaluation_episodes, time.monotonic() - started)


def train_and_score(
    parts: Run, job: Job, reporters: Reporters, console: ConsoleReporter
) -> dict[str, Any]:
    """Trains, then reports the final policies' scores and returns them."""
    from trainer.scores import summary

    every, saved = parts.command.options.sync_every, time.monotonic()

    def on_evaluation(evaluation: Evaluation) -> None:
        metrics = {"mean_score": float(evaluation.scores.mean()), **evaluation.losses}
        reporters.report(evaluation.steps, {**metrics, "scores": evaluation.scores.tolist()})

    def on_round() -> None:
        nonlocal saved
        console.steps(parts.progress.steps.mean())
        job.check()
        if time.monotonic() - saved >= every:
            parts.save(job.job_dir, reporters.reports)
            saved = time.monotonic()

    parts.train(on_evaluation, on_round)
    parts.save(job.job_dir, reporters.reports)
    greedy, sampled = (parts.returns(greedy=greedy) for greedy in (True, False))
    scores = summary(greedy, sampled) | parts.progress.summary()
    reporters.report(int(parts.progress.steps.max()), scores, final=True)
    if scores["diverged"]:
        log.warning(
            "Agents %s diverged; what is scored and saved is their last finite policy.",
            ", ".join(map(str, scores["diverged"])),
        )
    return scores


def end_early(stopped: Stopped, parts: Run, job: Job, reporters: Reporters) -> None:
    """Saves where the run stands, and says how to go on."""
    steps = f"{int(parts.progress.steps.mean()):,}"
    try:
        parts.save(job.job_dir, reporters.reports)
        job.deliver(LAST_WORDS)
    except (OSError, JobError) as error:
        log.error("%s came at %s steps, which could not be saved: %s", stopped, steps, error)
        return
    log.warning("%s came at %s steps; the same command goes on from there.", stopped, steps)


def find_service() -> cloud.Service:
    try:
        return cloud.service(os.environ)
    except ValueError as error:
        raise BadCommand(str(error)) from error


def with_metric_tag(command: Command, wanted: str | None) -> Command:
    """The command, reporting under the tag that a service waits for."""
    options = command.options
    if wanted is None or wanted == options.metric_tag:
        return command
    if command.sources["metric_tag"] == "flag":
        raise BadCommand(
            f"`metric_tag` must be the one that the tuning service waits for, {wanted}, but got"
            f" metric_tag={options.metric_tag}; leave it out, or change the search space's."
        )
    try:
        options = dataclasses.replace(options, metric_tag=wanted)
    except ValueError as error:
        raise BadCommand(str(error)) from error
    sources = {**command.sources, "metric_tag": "service"}
    return dataclasses.replace(command, options=options, sources=sources)


def make_hypertune(command: Command, service: cloud.Service, job: Job) -> HypertuneReporter:
    options = command.options
    try:
        return HypertuneReporter(
            options.metric_tag,
            -(-options.total_steps // options.evaluation_every),
            trial=service.trial,
            restarted=job.earlier.begun,
        )
    except OSError as error:
        raise JobError(
            f"A tuning trial must write its metric to {error.filename}, but cannot"
            f" ({error.strerror}). On the tuning services that folder is root's: the image must run"
            " as root."
        ) from error


def find_environment(command: Command) -> Environment:
    """The environment, once it is clear that the chosen collector can step it."""
    from trainer import environments

    options = command.options
    try:
        environment = environments.find(options.environment)
    except ValueError as error:
        raise BadCommand(str(error)) from error
    if options.collector == "compiled" and not can_be_compiled(environment):
        raise BadCommand(
            "`collector` compiled knows CartPole-v0 and CartPole-v1 only, "
            f"but got environment={environment.id}; leave it at auto, or take gymnasium."
        )
    return environment


def can_be_compiled(environment: Environment) -> bool:
    """Whether `cartpole.VERSIONS` has it; asked before TensorFlow may be imported."""
    return environment.id in ("CartPole-v0", "CartPole-v1")


def solved_at_score(command: Command, environment: Environment) -> float | None:
    """What counts as solved: the given number, else the environment's threshold, if it has one."""
    if command.options.stop_at_score in ("threshold", "none"):
        return environment.reward_threshold
    return float(command.options.stop_at_score)


def describe(command: Command, environment: Environment, job: Job) -> None:
    """Says what is about to run, and which flags come to something else than they say."""
    options, batching = (
        command.options,
        Batching(command.hyperparameters, command.options.algorithm),
    )
    agents = "1 agent" if options.seeds == 1 else f"{options.seeds} agents"
    batch = (
        f"{batching.num_envs} whole episodes"
        if batching.steps is None
        else f"{batching.batch_size} transitions ({batching.num_envs} x {batching.steps})"
    )
    log.info(
        "%s: %s on %s, up to %s steps each, an update every %s; everything goes to %s",
        options.algorithm.upper(), agents, environment.id, f"{options.total_steps:,}", batch,
        job.where,
    )  # fmt: skip
    if command.unused:
        log.warning(
            "%s has no use for %s; the run goes on without.",
            options.algorithm.upper(), " and ".join(f"--{name}" for name in command.unused),
        )  # fmt: skip


def record(
    job_dir: JobDir, environment: Environment, agents: Agents, agent: int, streams: Streams
) -> dict[str, str]:
    """Records one greedy episode. A video never costs a run: what went wrong is returned."""
    from trainer.randomness import Purpose
    from trainer.recording import record_episodes, without_a_screen

    without_a_screen()
    seed = int(streams.generator(Purpose.RECORDING, agent, 0).integers(2**31))
    try:
        job_dir.write(
            artifacts.RECORDING,
            lambda path: record_episodes(
                environment, lambda x: agents.act_greedily(agent, x), path, seeds=[seed]
            ),
        )
    except Exception as error:  # renderers and encoders raise anything
        log.error("No video: %s", error)
        return {artifacts.RECORDING: f"{type(error).__name__}: {error}"}
    return {}


def say_goodbye(job: Job, scores: dict[str, Any], episodes: int, seconds: float) -> None:
    low, high = scores["interval"]
    log.info(
        "mean_score %.1f (greedy, %d fresh episodes an agent; sampled %.1f; interquartile mean"
        " %.1f, 95%% interval over %s %.1f to %.1f) after %.1f s",
        scores["mean_score"], episodes, scores["sampled_mean_score"],
        scores["interquartile_mean"], scores["interval_over"], low, high, seconds,
    )  # fmt: skip
    log.info("watch   %s/%s", job.where, artifacts.RECORDING)
    log.info("play    %s -m trainer.play %s", python_command(), job.where)
    log.info("curves  %s -m tensorboard.main --logdir %s", python_command(), job.where)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    if code >= FAILED:
        os._exit(code)  # an upload that hangs must not hold up the end
