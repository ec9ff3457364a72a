"""`python -m trainer.task`: flags in; a trained, scored, saved and recorded policy out.

The only place that wires things together. Whatever is slow to import waits until the command is
known to be good.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trainer import artifacts, provenance
from trainer.artifacts import JobDir
from trainer.config import Batching, Command
from trainer.console import (
    ConsoleReporter,
    log_to_console,
    python_command,
    quiet_standard_error,
)
from trainer.flags import parse

if TYPE_CHECKING:
    from trainer.agents import Agents
    from trainer.collectors import Collector
    from trainer.environments import Environment
    from trainer.learners import Learner
    from trainer.networks import Architecture
    from trainer.randomness import Streams
    from trainer.reporting import Reporters
    from trainer.train import Evaluation, Plan, Progress

log = logging.getLogger("trainer")

SUCCESS, FAILED, BAD_COMMAND, INTERRUPTED = 0, 1, 2, 130


class BadCommand(Exception):
    """The command asks for what cannot be; the message says what must hold."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    started = time.monotonic()
    command = parse(arguments)
    log_to_console()
    try:
        return run(command, arguments, started)
    except BadCommand as error:
        log.error("%s", error)
        return BAD_COMMAND
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        log.error("The run could not go on: %s%s.", error.strerror or error, where)
        return FAILED
    except KeyboardInterrupt:
        log.warning("Interrupted; what had been written is kept.")
        return INTERRUPTED


def run(command: Command, arguments: Sequence[str], started: float) -> int:
    """Trains, scores, saves and records; in this order, so that a late fault costs little."""
    # One thread: for matrices of a policy's size OpenBLAS' threads cost more than they bring.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    environment = find_environment(command)
    goal = solved_at_score(command, environment)
    job_dir = claim_job_dir(command)
    if job_dir is None:
        return SUCCESS
    job_dir.write_json(artifacts.SETTINGS, provenance.settings(command, arguments, goal))
    describe(command, environment, job_dir)
    with quiet_standard_error():
        import tensorflow  # noqa: F401
    try:
        return work(command, environment, goal, job_dir, started)
    except OSError as error:
        with contextlib.suppress(OSError):  # on a full disk there is no room for this either
            failure = {"state": "failed", "problems": {str(error.filename): str(error.strerror)}}
            job_dir.write_json(artifacts.MANIFEST, {**failure, "files": job_dir.files()})
        raise


def work(
    command: Command,
    environment: Environment,
    goal: float | None,
    job_dir: JobDir,
    started: float,
) -> int:
    """The run itself, from fresh agents to the manifest."""
    from trainer.randomness import Streams
    from trainer.train import Progress

    options = command.options
    streams = Streams([(options.seed, agent) for agent in range(options.seeds)])
    agents = make_agents(command, environment, streams)
    collector = make_collector(command, environment, agents.architecture, streams)
    progress = Progress(make_plan(command, goal), options.seeds)
    scores = train_and_score(command, agents, collector, progress, job_dir)
    best = progress.best_agent
    save_models(job_dir, agents, best, environment)
    problems = record(job_dir, environment, agents, best, streams)
    seconds = time.monotonic() - started
    job_dir.write_json(
        artifacts.MANIFEST,
        {
            "state": "succeeded" if scores else "interrupted",
            "problems": problems,
            "scores": scores,
            "saved_agent": {"index": best, "validation_score": progress.score_of(best)},
            "wall_seconds": round(seconds, 3),
            "files": job_dir.files(),
        },
    )
    if not scores:
        log.warning("The policy so far lies in %s.", job_dir.path)
        return INTERRUPTED
    say_goodbye(job_dir, scores, options.evaluation_episodes, seconds)
    return SUCCESS


def train_and_score(
    command: Command, agents: Agents, collector: Collector, progress: Progress, job_dir: JobDir
) -> dict[str, Any]:
    """Trains, then reports the final policies' scores and returns them; none if interrupted."""
    from trainer.randomness import Purpose
    from trainer.scores import summary
    from trainer.train import train

    options = command.options
    console = ConsoleReporter(options.total_steps)
    reporters = make_reporters(command, job_dir, console)
    learner = make_learner(agents, collector, options.total_steps)

    def on_evaluation(evaluation: Evaluation) -> None:
        metrics = {"mean_score": float(evaluation.scores.mean()), **evaluation.losses}
        reporters.report(evaluation.steps, {**metrics, "scores": evaluation.scores.tolist()})

    def on_steps(now: Progress) -> None:
        console.steps(now.steps.mean())

    try:
        train(agents, collector, learner, progress, on_evaluation, on_steps)
        weights, episodes = agents.state.averaged, options.evaluation_episodes
        greedy, sampled = (
            collector.play(weights, episodes, Purpose.FINAL, 0, greedy=greedy)
            for greedy in (True, False)
        )
        scores = summary(greedy, sampled) | progress.summary()
        reporters.report(int(progress.steps.max()), scores, final=True)
    except KeyboardInterrupt:
        log.warning("Interrupted; saving the policy as it stands.")
        return {}
    finally:
        reporters.close()
    if scores["diverged"]:
        log.warning(
            "Agents %s diverged; what is scored and saved is their last finite policy.",
            ", ".join(map(str, scores["diverged"])),
        )
    return scores


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


def claim_job_dir(command: Command) -> JobDir | None:
    """The folder to work in, empty of runs; None where this very run lies in it, finished."""
    options = command.options
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = options.job_dir or f"runs/{options.algorithm}-{options.environment}-{now}"
    if "://" in name:
        raise BadCommand(f"`job_dir` must be a folder, but got job_dir={name}.")
    try:
        job_dir = JobDir(name)
    except OSError as error:
        raise BadCommand(
            f"`job_dir` must be a folder that can be written to, but got job_dir={name}"
            f" ({error.strerror})."
        ) from error
    if job_dir.holds_a_run() and not options.overwrite:
        before = artifacts.read_json(job_dir.path / artifacts.SETTINGS) or {}
        if different := provenance.differences(before, command):
            raise BadCommand(
                f"`job_dir` must not hold another run, but {name} has one with"
                f" {', '.join(different)}. Take another folder, or --overwrite to replace it."
            )
        manifest = artifacts.read_json(job_dir.path / artifacts.MANIFEST)
        if manifest and manifest.get("state") == "succeeded":
            log.info("%s holds this very run, finished; --overwrite runs it again.", name)
            return None
        log.info("%s holds this run, unfinished; starting it again.", name)
    job_dir.clear()
    return job_dir


def describe(command: Command, environment: Environment, job_dir: JobDir) -> None:
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
        job_dir.path,
    )  # fmt: skip
    if command.unused:
        log.warning(
            "%s has no use for %s; the run goes on without.",
            options.algorithm.upper(), " and ".join(f"--{name}" for name in command.unused),
        )  # fmt: skip


def make_plan(command: Command, goal: float | None) -> Plan:
    from trainer.train import Plan

    options = command.options
    return Plan(
        options.total_steps,
        options.evaluation_every,
        options.validation_episodes,
        goal,
        None if options.stop_at_score == "none" else options.stop_after,
    )


def make_agents(command: Command, environment: Environment, streams: Streams) -> Agents:
    from trainer.agents import Agents
    from trainer.algorithms import ALGORITHMS
    from trainer.networks import Architecture

    algorithm, hyperparameters = command.options.algorithm, command.hyperparameters
    architecture = Architecture(
        environment.observation_shape,
        environment.num_actions,
        hyperparameters.hidden_neurons,
        critic=ALGORITHMS[algorithm].critic,
    )
    try:
        return Agents(algorithm, architecture, [hyperparameters] * streams.num_agents, streams)
    except ValueError as error:
        raise BadCommand(str(error)) from error


def make_collector(
    command: Command, environment: Environment, architecture: Architecture, streams: Streams
) -> Collector:
    from trainer.cartpole import VERSIONS
    from trainer.compiled_collector import CompiledCollector
    from trainer.gymnasium_collector import GymnasiumCollector

    batching = Batching(command.hyperparameters, command.options.algorithm)
    if command.options.collector == "gymnasium" or not can_be_compiled(environment):
        return GymnasiumCollector(
            environment, architecture, batching.num_envs, batching.steps, streams
        )
    return CompiledCollector(
        VERSIONS[environment.id], architecture, batching.num_envs, batching.steps, streams
    )


def make_learner(agents: Agents, collector: Collector, total_steps: int) -> Learner:
    from trainer.compiled_collector import CompiledCollector
    from trainer.learners import CompiledLearner, SteppedLearner

    if isinstance(collector, CompiledCollector):
        return CompiledLearner(agents, collector, total_steps)
    return SteppedLearner(agents, collector, total_steps)


def make_reporters(command: Command, job_dir: JobDir, console: ConsoleReporter) -> Reporters:
    """The tuning metric first: nothing that may be slow or fail comes before it."""
    from trainer.reporting import (
        HypertuneReporter,
        JsonLinesReporter,
        Reporters,
        TensorBoardReporter,
    )

    options = command.options
    expected = -(-options.total_steps // options.evaluation_every)
    return Reporters(
        [
            HypertuneReporter(options.metric_tag, expected),
            JsonLinesReporter(job_dir),
            TensorBoardReporter(job_dir, command.values),
            console,
        ]
    )


def save_models(job_dir: JobDir, agents: Agents, agent: int, environment: Environment) -> None:
    from trainer.export import keras_model, save_saved_model

    with quiet_standard_error():
        model = keras_model(agents, agent, pixels=environment.pixels)
        job_dir.write(artifacts.MODEL, model.save)
        job_dir.write(artifacts.SAVED_MODEL, lambda path: save_saved_model(model, path))


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


def say_goodbye(job_dir: JobDir, scores: dict[str, Any], episodes: int, seconds: float) -> None:
    low, high = scores["interval"]
    log.info(
        "mean_score %.1f (greedy, %d fresh episodes an agent; sampled %.1f; interquartile mean"
        " %.1f, 95%% interval over %s %.1f to %.1f) after %.1f s",
        scores["mean_score"], episodes, scores["sampled_mean_score"],
        scores["interquartile_mean"], scores["interval_over"], low, high, seconds,
    )  # fmt: skip
    log.info("watch   %s", job_dir.path / artifacts.RECORDING)
    log.info("play    %s -m trainer.play %s", python_command(), job_dir.path)
    log.info("curves  %s -m tensorboard.main --logdir %s", python_command(), job_dir.path)


if __name__ == "__main__":
    sys.exit(main())
