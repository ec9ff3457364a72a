"""One run from its command to its manifest: job dir, agents, training, scores, files.

`trainer.task` carries out one run, `trainer.batch` many at once. Slow imports wait until the
command has been checked.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from trainer.contract import provenance
from trainer.contract.errors import BadCommand, Error
from trainer.contract.job_files import MANIFEST, RECORDING, SETTINGS
from trainer.environments.errors import EnvironmentFault
from trainer.outputs.event_file import TensorBoardReporter
from trainer.outputs.metrics import JsonLinesReporter, Reporters
from trainer.outputs.progress_bar import ConsoleReporter
from trainer.process.signals import Stopped
from trainer.run.earlier import unusable
from trainer.run.errors import JobError, as_error
from trainer.run.job_dir import open_job_dir
from trainer.run.messages import announce, summarize
from trainer.run.setup import Prepared
from trainer.run.tuning_metric import open_tuning_metric
from trainer.training.loop import Step, Steps, drive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trainer.run.state import RunState
    from trainer.training.progress import Evaluation

log = logging.getLogger("trainer")

LAST_UPLOADS = 6.0  # seconds for the uploads of a run that ends early


class Run:
    """A run: `with Run(prepared) as run`, then `build` and `carry_out` unless it is `finished`."""

    def __init__(
        self, prepared: Prepared, go_on: Callable[[Evaluation], object] = lambda evaluation: None
    ) -> None:
        """`go_on` sees each evaluation; training ends early if it returns False."""
        self.prepared, self.command, self._go_on = prepared, prepared.command, go_on
        self.stacked = False  # whether it learns in shared programs, which round sums differently
        self._started = time.monotonic()
        self._reporters = Reporters([])

    def open(self) -> None:
        """Opens the job dir and records the settings there.

        Raises:
            Error: the run cannot be started.
        """
        prepared, self.job_dir = self.prepared, open_job_dir(self.prepared)
        if self.finished:
            log.info("%s holds this run, finished; --overwrite repeats it.", self.job_dir.address)
            return
        try:
            self._tuning_metric = open_tuning_metric(prepared, restarted=self.job_dir.earlier.begun)
            settings = provenance.settings(self.command, prepared.arguments, prepared.goal)
            service = {"trial": prepared.service.trial, "places": self.job_dir.files.places}
            self.job_dir.files.write_json(SETTINGS, settings | service)
            self.job_dir.start_uploads()
            announce(prepared, self.job_dir.address)
        except BaseException:
            self.job_dir.close()
            raise

    @property
    def finished(self) -> bool:
        """Whether an earlier process has finished the run."""
        return self.job_dir.earlier.finished

    def __enter__(self) -> Run:
        self.open()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            if isinstance(error, Error | OSError):
                self.save_after(error)
        finally:
            self.close()

    def build(self) -> RunState:
        """The agents, untrained or as the checkpoint holds them.

        Raises:
            Error: they cannot be built, or cannot be restored.
        """
        from trainer.run.state import RunState
        from trainer.storage.checkpoint import CheckpointError

        prepared, earlier = self.prepared, self.job_dir.earlier
        try:
            self.state = RunState(self.command, prepared.environment, prepared.goal)
        except ValueError as error:
            raise BadCommand(str(error)) from error
        reports = []
        if earlier.checkpoint is not None:
            try:
                reports = self.state.restore(earlier.checkpoint)
            except CheckpointError as error:
                raise unusable(self.job_dir.address, error) from error
            log.info("Continuing from the checkpoint, at %s steps.", self._steps())
        elif earlier.begun:
            log.info("%s holds this run, but no checkpoint yet: it starts from the beginning.",
                     self.job_dir.address)  # fmt: skip
        self._console = ConsoleReporter(self.command.options.total_steps)
        self._reporters = Reporters(
            [
                self._tuning_metric,  # first: nothing slow comes before it
                JsonLinesReporter(self.job_dir.files),
                TensorBoardReporter(self.job_dir.files, self.command.values),
                self._console,
            ]
        )
        self._reporters.resume(reports)
        self._saved = time.monotonic()
        return self.state

    def carry_out(self) -> None:
        """Trains, scores and writes all files. A signal leaves a checkpoint."""
        try:
            drive(self.steps(), self.state.execute)
            self.finish()
        except Stopped as stopped:
            self.end_early(stopped)
            raise

    def steps(self) -> Steps:
        """Everything up to the final score, as steps that `trainer.training.loop` describes."""
        yield from self.state.training_steps(self.on_evaluation, self.on_round)
        self._save()
        greedy, sampled = yield Step.SCORE
        self.on_scored(greedy, sampled)

    def on_round(self) -> None:
        """Saves a checkpoint when one is due. Raises JobError if no upload will ever succeed."""
        self._console.steps(self.state.progress.steps.mean())
        self.job_dir.check_uploads()
        if time.monotonic() - self._saved >= self.command.options.sync_every:
            self._save()
            self._saved = time.monotonic()

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Reports the validation scores."""
        metrics = {"mean_score": float(evaluation.scores.mean()), **evaluation.losses}
        self._reporters.report(evaluation.steps, {**metrics, "scores": evaluation.scores.tolist()})
        if self._go_on(evaluation) is False:
            self.state.progress.training[:] = False

    def on_scored(self, greedy: NDArray[np.float64], sampled: NDArray[np.float64]) -> None:
        """Reports the final scores, from returns `[P, episodes]`."""
        from trainer.outputs.scores import summary

        progress = self.state.progress
        self.scores = scores = summary(greedy, sampled) | progress.summary()
        self._reporters.report(int(progress.steps.max()), scores, final=True)
        if scores["diverged"]:
            log.warning(
                "Agents %s diverged: their last finite policies are scored and saved.",
                ", ".join(map(str, scores["diverged"])),
            )

    def finish(self) -> None:
        """Writes models, video and, last, the manifest. Raises OSError, JobError."""
        from trainer.run.artefacts import write_artefacts

        state, files, options = self.state, self.job_dir.files, self.command.options
        best, video_problem = state.progress.best_agent, self.prepared.video_problem
        record = options.video and video_problem is None
        problems = {} if video_problem is None else {RECORDING: video_problem}
        problems |= write_artefacts(files, state, best, self.scores, record=record)
        wall_seconds = time.monotonic() - self._started
        manifest = {
            "state": "succeeded",
            "problems": problems,
            "scores": self.scores,
            "saved_agent": {"index": best, "validation_score": state.progress.score_of(best)},
            "restarts": state.restarts,
            "stacked": self.stacked,
            "wall_seconds": round(wall_seconds, 3),
            "files": files.files(),
        }
        files.write_json(MANIFEST, manifest)
        self.job_dir.deliver(options.upload_deadline)
        summarize(self.scores, options, self.job_dir.address, problems, wall_seconds)

    def end_early(self, stopped: Stopped) -> None:
        """Saves a checkpoint, and says how to continue."""
        steps = self._steps()
        try:
            self._save()
            self.job_dir.deliver(LAST_UPLOADS)
        except (OSError, JobError) as error:
            log.error("Stopped by %s at %s steps; no checkpoint of that could be saved: %s",
                      stopped, steps, error)  # fmt: skip
            return
        log.warning("Stopped by %s at %s steps. The same command continues from there.",
                    stopped, steps)  # fmt: skip

    def save_after(self, error: Error | OSError) -> None:
        """Saves a checkpoint, if possible, after an error that ends the run."""
        try:
            if isinstance(error, EnvironmentFault) and hasattr(self, "state"):
                if error.details:
                    log.error("The error was raised in\n%s", error.details)
                self._save()
                problems = {"environment": str(error)}
                self.job_dir.files.write_json(MANIFEST, {"state": "failed", "problems": problems})
                self.job_dir.deliver(LAST_UPLOADS)
                log.warning("A checkpoint at %s steps is saved. The same command continues there.",
                            self._steps())  # fmt: skip
            elif isinstance(error, OSError):  # a full disk: what it holds can still be uploaded
                self.job_dir.deliver(LAST_UPLOADS)
        except (OSError, JobError) as another:
            log.error("%s", as_error(another))

    def close(self) -> None:
        """Lets the next run use the job dir. Raises OSError if the last metrics do not fit."""
        try:
            if hasattr(self, "state"):  # it has been built
                self.state.close()
            self._reporters.close()
        finally:
            self.job_dir.close()

    def _save(self) -> None:
        self.state.save(self.job_dir.files, self._reporters.reports)

    def _steps(self) -> str:
        return f"{int(self.state.progress.steps.mean()):,}"
