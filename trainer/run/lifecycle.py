"""One run from its command to its manifest: job dir, agents, reports, files, in this order.

Whoever owns the process trains: `trainer.task` one run, `trainer.batch` many side by side.
Whatever is slow to import waits until the command is known to be good.
"""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainer.contract import job_files, provenance
from trainer.contract.settings import Command, RunOptions
from trainer.contract.text import score
from trainer.environments.errors import EnvironmentFault
from trainer.outputs.metrics import JsonLinesReporter, Reporters, TensorBoardReporter
from trainer.outputs.progress_bar import ConsoleReporter
from trainer.process.console import python_command, quiet_standard_error
from trainer.process.signals import Stopped
from trainer.run.job_dir import BadCommand, Job, JobError, open_job, unusable
from trainer.run.setup import (
    describe,
    find_environment,
    find_service,
    make_hypertune,
    solved_at_score,
    with_metric_tag,
)
from trainer.storage.job_dir import JobDir

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trainer.agents.population import Agents
    from trainer.agents.random_streams import Streams
    from trainer.environments.spec import Environment
    from trainer.run.state import Run
    from trainer.training.loop import Evaluation

log = logging.getLogger("trainer")

# What these use belongs to the process, in which several runs may come to their ends: standard
# error, and pygame, which is closed for all who draw.
_saving, _recording = threading.Lock(), threading.Lock()
LAST_WORDS = 6.0  # seconds that a run which was told to end may spend on uploads


class Session:
    """A run that has been begun. Close it in the end."""

    def __init__(
        self, command: Command, arguments: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        """Finds out what there is to do, before anything slow.

        Args:
            environ: what a tuning service says, as environment variables.

        Raises:
            BadCommand, JobError: it cannot be done.
        """
        self._started = time.monotonic()
        service = find_service(environ)
        self.command = command = with_metric_tag(command, service.metric_tag)
        self.environment = find_environment(command)
        self.goal = solved_at_score(command, self.environment)
        self.job = open_job(command, service)
        self._reporters = Reporters([])
        self.stacked = False  # whether it learns in a stack, whose sums are rounded otherwise
        self.finished = self.job.earlier.finished
        if self.finished:
            log.info("%s holds this very run, finished; --overwrite runs it again.", self.job.where)
            return
        try:
            self._hypertune = make_hypertune(command, service, self.job)
            settings = provenance.settings(command, arguments, self.goal)
            where = {"trial": service.trial, "places": self.job.job_dir.places}
            self.job.job_dir.write_json(job_files.SETTINGS, settings | where)
            self.job.start()
            describe(command, self.environment, self.job)
        except BaseException:
            self.job.close()
            raise

    def build(self) -> Run:
        """The agents, as fresh or as the checkpoint has them.

        Raises:
            BadCommand, JobError: they cannot be built, or not be restored.
        """
        from trainer.run.state import Run
        from trainer.storage.checkpoint import CheckpointError

        try:
            self.run = run = Run(self.command, self.environment, self.goal)
        except ValueError as error:
            raise BadCommand(str(error)) from error
        reports, earlier = [], self.job.earlier
        if earlier.checkpoint is not None:
            try:
                reports = run.restore(earlier.checkpoint)
            except CheckpointError as error:
                raise JobError(unusable(self.job.where, error)) from error
            steps = f"{int(run.progress.steps.mean()):,}"
            log.info("Going on from the checkpoint, at %s steps.", steps)
        elif earlier.begun:
            log.info("%s holds this run, but no checkpoint yet; starting it again.", self.job.where)
        self._console = ConsoleReporter(self.command.options.total_steps)
        self._reporters = Reporters(
            [
                self._hypertune,  # first: nothing slow comes before the tuning metric
                JsonLinesReporter(self.job.job_dir),
                TensorBoardReporter(self.job.job_dir, self.command.values),
                self._console,
            ]
        )
        self._reporters.resume(reports)
        self._saved = time.monotonic()
        return run

    def carry_out(self, check: Callable[[], None] = lambda: None) -> None:
        """Trains, scores, saves and records; in this order, so that a late fault costs little.

        Args:
            check: called again and again; what it raises ends the run.
        """

        def on_round() -> None:
            self.on_round()
            check()

        def on_evaluation(evaluation: Evaluation) -> None:
            self.on_evaluation(evaluation)
            check()

        try:
            self.run.train(on_evaluation, on_round)
            self.trained()
            check()
            self.score(self.run.returns(greedy=True), self.run.returns(greedy=False))
        except EnvironmentFault as fault:
            self.fail(fault)
            raise
        self.finish()

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Reports how the agents do."""
        metrics = {"mean_score": float(evaluation.scores.mean()), **evaluation.losses}
        self._reporters.report(evaluation.steps, {**metrics, "scores": evaluation.scores.tolist()})

    def on_round(self) -> None:
        """Saves a checkpoint when one is due. Raises JobError where files will never arrive."""
        self._console.steps(self.run.progress.steps.mean())
        self.job.check()
        if time.monotonic() - self._saved >= self.command.options.sync_every:
            self._save()
            self._saved = time.monotonic()

    def trained(self) -> None:
        """Saves what has been learned."""
        self._save()

    def score(self, greedy: NDArray[np.float64], sampled: NDArray[np.float64]) -> None:
        """Reports the final policies' scores, from returns `[P, episodes]`."""
        from trainer.outputs.scores import summary

        self.scores = scores = summary(greedy, sampled) | self.run.progress.summary()
        self._reporters.report(int(self.run.progress.steps.max()), scores, final=True)
        if scores["diverged"]:
            log.warning(
                "Agents %s diverged; what is scored and saved is their last finite policy.",
                ", ".join(map(str, scores["diverged"])),
            )

    def finish(self) -> None:
        """Saves models and video, then says that all is there. Raises OSError, JobError."""
        from trainer.outputs.models import save_models
        from trainer.outputs.policy_json import save_policy

        job, run = self.job, self.run
        best = run.progress.best_agent
        with _saving, quiet_standard_error():
            save_models(job.job_dir, run.agents, best, pixels=self.environment.pixels)
        save_policy(job.job_dir, self.environment, run.policy(best))
        problems = {}
        if self.command.options.video:
            with _recording:
                problems = record(job.job_dir, self.environment, run.agents, best, run.streams)
        wall_seconds = time.monotonic() - self._started
        job.job_dir.write_json(
            job_files.MANIFEST,
            {
                "state": "succeeded",
                "problems": problems,
                "scores": self.scores,
                "saved_agent": {
                    "index": best, "validation_score": run.progress.score_of(best)
                },
                "restarts": run.restarts,
                "stacked": self.stacked,
                "wall_seconds": round(wall_seconds, 3),
                "files": job.job_dir.files(),
            },
        )  # fmt: skip
        job.deliver(self.command.options.upload_deadline)
        say_goodbye(job, self.scores, self.command.options, wall_seconds)

    def end_early(self, stopped: Stopped) -> None:
        """Saves where the run stands, and says how to go on."""
        steps = f"{int(self.run.progress.steps.mean()):,}"
        try:
            self._save()
            self.job.deliver(LAST_WORDS)
        except (OSError, JobError) as error:
            log.error("%s came at %s steps, which could not be saved: %s", stopped, steps, error)
            return
        log.warning("%s came at %s steps; the same command goes on from there.", stopped, steps)

    def fail(self, fault: EnvironmentFault) -> None:
        """After a fault of an environment: saves a checkpoint, and what ended the run."""
        if fault.details:
            log.error("The error was raised in\n%s", fault.details)
        try:
            self._save()
            reason = {"state": "failed", "problems": {"environment": str(fault)}}
            self.job.job_dir.write_json(job_files.MANIFEST, reason)
            self.job.deliver(LAST_WORDS)
        except (OSError, JobError) as error:
            log.error("The run could not be saved: %s", error)
            return
        steps = f"{int(self.run.progress.steps.mean()):,}"
        log.warning("A checkpoint at %s steps is saved; the same command resumes there.", steps)

    def deliver_what_there_is(self) -> None:
        """After a fault of the disk: what is in the bucket by now is all there will be."""
        try:
            self.job.deliver(LAST_WORDS)
        except JobError as error:
            log.error("%s", error)

    def close(self) -> None:
        """Lets the next run in. Raises OSError where the disk is too full for the last reports."""
        try:
            if hasattr(self, "run"):
                self.run.close()
            self._reporters.close()
        finally:
            self.job.close()

    def _save(self) -> None:
        self.run.save(self.job.job_dir, self._reporters.reports)


def record(
    job_dir: JobDir, environment: Environment, agents: Agents, agent: int, streams: Streams
) -> dict[str, str]:
    """Records one greedy episode. A video never costs a run: what went wrong is returned."""
    from trainer.agents.random_streams import Purpose
    from trainer.outputs.video import record_episodes, without_a_screen

    without_a_screen()
    seed = int(streams.generator(Purpose.RECORDING, agent, 0).integers(2**31))
    try:
        job_dir.write(
            job_files.RECORDING,
            lambda path: record_episodes(
                environment, lambda x: agents.act_greedily(agent, x), path, seeds=[seed]
            ),
        )
    except Exception as error:  # renderers and encoders raise anything
        log.error("No video: %s", error)
        return {job_files.RECORDING: f"{type(error).__name__}: {error}"}
    return {}


def say_goodbye(job: Job, scores: dict[str, Any], options: RunOptions, seconds: float) -> None:
    low, high = scores["interval"]
    log.info(
        "mean_score %s (greedy, %d fresh episodes an agent; sampled %s; interquartile mean"
        " %s, 95%% interval over %s %s to %s) after %.1f s",
        score(scores["mean_score"]), options.evaluation_episodes,
        score(scores["sampled_mean_score"]), score(scores["interquartile_mean"]),
        scores["interval_over"], score(low, high), score(high, low), seconds,
    )  # fmt: skip
    if options.video:
        log.info("watch   %s/%s", job.where, job_files.RECORDING)
    log.info("play    %s -m trainer.play %s", python_command(), shlex.quote(job.where))
    log.info("curves  %s -m tensorboard.main --logdir %s", python_command(), shlex.quote(job.where))
