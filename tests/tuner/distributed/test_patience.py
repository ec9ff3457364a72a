"""A storage that is away for a while."""

from __future__ import annotations

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError, ProgrammingError

from tuner.distributed import patience
from tuner.distributed.patience import Patient, StorageLost


class Flaky:
    """Fails as often as it is told to."""

    def __init__(self, errors: list[Exception]) -> None:
        self.errors = errors

    def double(self, number: int) -> int:
        if self.errors:
            raise self.errors.pop(0)
        return 2 * number


def away() -> Exception:
    error = StorageInternalError("as Optuna wraps it")
    error.__cause__ = OperationalError("select", {}, Exception("gone"))
    return error


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(patience, "_PAUSE", 0.01)
    return []


def patient(errors: list[Exception], said: list[str], seconds: float = 60.0) -> Patient:
    return Patient(Flaky(errors), lambda error: "gone", said.append, patience=seconds)


def test_it_is_asked_until_it_answers_and_that_is_said_once(said: list[str]) -> None:
    assert patient([away(), ConnectionError(), away()], said).double(4) == 8
    assert said == [
        "the storage does not answer (gone); it is asked again for 60 s",
        "the storage answers again",
    ]


def test_it_is_not_asked_for_ever(said: list[str]) -> None:
    with pytest.raises(StorageLost, match=r"must answer within 0 s, but does not: gone\. The same"):
        patient([away() for _ in range(9)], said, seconds=0).double(4)


def test_what_no_waiting_mends_is_raised_at_once(said: list[str]) -> None:
    for error in (KeyError("no such study"), ProgrammingError("x", {}, Exception("no table"))):
        with pytest.raises(type(error)):
            patient([error], said).double(4)
    assert said == []


def test_whoever_is_in_a_hurry_ends_the_waiting(said: list[str]) -> None:
    def hurry() -> None:
        raise KeyboardInterrupt

    storage = Patient(Flaky([away()]), lambda error: "gone", said.append, hurry)
    with pytest.raises(KeyboardInterrupt):
        storage.double(4)
