"""Opens the metric file of a tuning service for a run."""

from __future__ import annotations

from trainer.outputs.tuning_metric import HypertuneReporter
from trainer.run.errors import JobError
from trainer.run.setup import Prepared


def open_tuning_metric(prepared: Prepared, *, restarted: bool) -> HypertuneReporter:
    """The reporter of the tuned metric. Raises JobError if its file cannot be written."""
    options, service = prepared.command.options, prepared.service
    try:
        return HypertuneReporter(
            options.metric_tag,
            -(-options.total_steps // options.evaluation_every),
            metric_file=service.metric_file,
            trial=service.trial,
            restarted=restarted,
        )
    except OSError as error:
        raise JobError(
            f"The tuning metric cannot be written to {error.filename}: {error.strerror}. On the"
            " tuning services only root can write there, so the image must run as root."
        ) from error
