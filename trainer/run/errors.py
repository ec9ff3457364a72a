"""Errors that end one run; the other runs of a batch continue."""

from __future__ import annotations

from trainer.contract.errors import Error


class JobError(Error):
    """The run cannot go on, or its files cannot be delivered."""


def as_error(error: Error | OSError) -> Error:
    """The error itself, or an OSError as a sentence that names the file."""
    if isinstance(error, Error):
        return error
    file = f": {error.filename}" if error.filename else ""
    described = JobError(
        f"{error.strerror or error}{file}. Once that is solved, the same command continues the run."
    )
    described.__cause__ = error
    return described
