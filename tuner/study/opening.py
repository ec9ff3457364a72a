"""Opens a study: in a file in the job dir, or in a storage that several workers share."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuner.distributed import leases
from tuner.search import journal, objective
from tuner.search.space import Value
from tuner.search.trial_store import FILE, Known, Study, StudyError, spoken
from tuner.study.plan import Plan, identity

if TYPE_CHECKING:
    from tuner.distributed.shared import SharedStudy
    from tuner.distributed.storage import Address


@dataclass(frozen=True)
class Place:
    """Where a study is kept."""

    environment: Mapping[str, str]  # for trials
    address: Address | None = None  # None: a file in the job dir
    name: str = ""
    heartbeat: float = 0.0

    @property
    def told(self) -> list[str]:
        """What the user should know of it."""
        if self.address is None:
            return []
        return [f"      shared with other workers as {self.name} in {self.address}"]

    @contextlib.contextmanager
    def opened(
        self,
        plan: Plan,
        first: Mapping[str, Value],
        say: Callable[[str], None],
        hurry: Callable[[], None],
        learn: Callable[[], Known] | None = None,
    ) -> Iterator[Study | SharedStudy]:
        """The study, joined or begun; it is left in the end.

        Args:
            hurry: raises what should end a wait for the storage.
            learn: gives the trials of an earlier study, which a shared one cannot take.

        Raises:
            StudyError: it cannot be had, or breaks on the way.
        """
        if (plan.job_dir / journal.EARLIER).exists():
            raise StudyError(journal.of_an_earlier_version(plan.job_dir))
        spec = plan.spec
        whole = (
            spec.parameters,
            spec.algorithm,
            objective.direction(plan.objective, spec.goal),
            identity(plan),
            first,
        )
        if self.address is None:
            with spoken(plan.job_dir / FILE):
                yield Study(plan.job_dir, *whole, learn)
            return
        from tuner.distributed import storage
        from tuner.distributed.patience import Patient, StorageLost
        from tuner.distributed.shared import SharedStudy

        if (plan.job_dir / FILE).exists():
            raise StudyError(
                f"{plan.job_dir} must hold no study of its own, but has {FILE}. Take another"
                " folder."
            )
        try:
            raw = storage.opened(self.address)
        except storage.Unreachable as error:
            raise StudyError(str(error)) from None
        patient = Patient(raw, self.address.reason, say, hurry)
        try:
            with contextlib.closing(
                SharedStudy(
                    patient,
                    self.name,
                    *whole,
                    plan=agreed(plan),
                    heartbeat=self.heartbeat,
                    say=say,
                )
            ) as shared:
                yield shared
        except StorageLost as error:
            raise StudyError(str(error)) from None
        except Exception as error:
            if not _is_storages(error):
                raise
            raise StudyError(
                f"The storage {self.address} must let this worker read and write, but:"
                f" {self.address.reason(error)}."
            ) from None
        finally:
            storage.close(raw)


def check(plan: Plan, options: argparse.Namespace) -> None:
    """Raises ValueError for what does not go together, before anything is touched."""
    if not options.storage:
        if options.study_name:
            raise ValueError("--study-name must come with --storage, but there is none.")
        return
    if plan.bucket:
        raise ValueError(
            f"--storage must come with a folder as the job dir, but {plan.bucket} is in a bucket:"
            " give a folder that the workers share."
        )
    if plan.resume_from:
        raise ValueError(
            "a study in a --storage must begin with no trials of another, but is to go on from"
            f" {plan.resume_from}: leave out --resume-from and resumePreviousJobId."
        )
    if options.heartbeat < 1:
        raise ValueError(f"--heartbeat must be 1 second or more, but is {options.heartbeat:g}.")


def place(plan: Plan, options: argparse.Namespace, environment: Mapping[str, str]) -> Place:
    """Where the command wants its study. Raises ValueError."""
    if not options.storage:
        return Place(environment)
    from tuner.distributed import storage

    where = storage.address(options.storage, environment)
    if where.is_file(plan.job_dir / FILE):
        raise ValueError(
            f"--storage must not be {plan.job_dir / FILE}, where a tuner keeps a study of its own."
            " Give the journal another name."
        )
    return Place(
        where.outside(environment), where, options.study_name or plan.name, options.heartbeat
    )


def agreed(plan: Plan) -> dict[str, Any]:
    """What the workers at work must have alike, besides what makes it this study."""
    return {
        leases.MAX_TRIALS: plan.max_trials,
        leases.MAX_PARALLEL: plan.spec.max_parallel_trials,
        "maxFailedTrials": plan.max_failed,
        "--candidates": plan.candidates,
        "--confirm-seeds": plan.confirm_seeds,
        "--test-seeds": plan.test_seeds,
    }


def _is_storages(error: BaseException) -> bool:
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    grpc = type(error).__module__.startswith("grpc")
    kinds = (SQLAlchemyError, StorageInternalError, json.JSONDecodeError)  # the last: a journal's
    return grpc or isinstance(error, kinds)
