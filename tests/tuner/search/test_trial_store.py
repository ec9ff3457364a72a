"""Asks Optuna for trials, stores how they ended, and continues a study."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import create_trial

from trainer.contract.run_record import Scores
from tuner.execution.metric_file import Measurement
from tuner.execution.trial import FAILED, INFEASIBLE, STOPPED, SUCCEEDED, Outcome
from tuner.search.differences import differences
from tuner.search.space import Value
from tuner.search.trial_store import FILE, NAME, RUNNING, Record, Study, StudyError
from tuner.spec.study_spec import (
    CATEGORICAL,
    DISCRETE,
    DOUBLE,
    GRID,
    INTEGER,
    LOG,
    MAXIMIZE,
    MINIMIZE,
    RANDOM,
    REVERSE_LOG,
    Parameter,
)

PARAMETERS = (
    Parameter("gamma", DOUBLE, 0.9, 0.999, scale=REVERSE_LOG),
    Parameter("hidden_neurons", INTEGER, 8, 128, scale=LOG),
    Parameter("batch_size", DISCRETE, values=(64.0, 256.0, 1024.0)),
    Parameter("algorithm", CATEGORICAL, words=("a2c", "pg")),
)
FIRST: dict[str, Value] = {"gamma": 0.99, "hidden_neurons": 32, "batch_size": 256.0}
Opener = Callable[..., Study]


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    def open(
        folder: str = "",
        parameters: tuple[Parameter, ...] = PARAMETERS,
        algorithm: str = "",
        direction: str = MAXIMIZE,
        first: dict[str, Value] = FIRST,
        **identity: Any,
    ) -> Study:
        (tmp_path / folder).mkdir(exist_ok=True)
        return Study(tmp_path / folder, parameters, algorithm, direction, identity, first)

    return open


def outcome(state: str = SUCCEEDED, *values: float) -> Outcome:
    reports = tuple(Measurement(10 * (i + 1), value) for i, value in enumerate(values))
    return Outcome(state, "", 0, reports, 1.0, 0.5)


def play(study: Study, trials: int) -> list[Record]:
    """Trials one after the other, larger gamma better."""
    for _ in range(trials):
        record = study.ask()
        assert record is not None
        score = float(record.values["gamma"])
        study.tell(record.number, outcome(SUCCEEDED, score), Scores((score,)), score)
    return study.records


def test_the_first_trial_has_the_defaults(opened: Opener) -> None:
    record = opened().ask()
    assert record is not None
    assert FIRST.items() <= record.values.items()
    assert (record.number, record.state) == (1, RUNNING)
    assert record.values["algorithm"] in ("a2c", "pg")


@pytest.mark.parametrize("algorithm", ["", RANDOM])
def test_a_continued_study_asks_for_the_same_trials(opened: Opener, algorithm: str) -> None:
    whole = play(opened("whole", algorithm=algorithm), 12)
    for trials in (3, 8, 1):
        play(opened("parts", algorithm=algorithm), trials)
    parts = opened("parts", algorithm=algorithm).records
    assert [record.values for record in parts] == [record.values for record in whole]
    assert len({str(record.values) for record in whole}) == 12


def test_the_search_learns(opened: Opener) -> None:
    gammas = [float(record.values["gamma"]) for record in play(opened(), 25)]
    assert sum(gammas[-10:]) / 10 > sum(gammas[1:11]) / 10
    assert max(gammas) > 0.99


def test_stored_outcomes_are_read_back(opened: Opener) -> None:
    study = opened()
    scores = Scores((1.0, 2.0), (10, 10), (5, None), (True, None), 0.5, 1.5)
    for state, value in ((SUCCEEDED, 1.5), (FAILED, None), (INFEASIBLE, None), (STOPPED, 1.0)):
        record = study.ask()
        assert record is not None
        study.tell(record.number, outcome(state, 0.5, 1.5), scores, value)
    study.add_cpu_seconds(1.5)
    study.add_cpu_seconds(2.0)
    study.remember_seeds({"tuning": 3})
    again = opened()
    assert [record.state for record in again.records] == [SUCCEEDED, FAILED, INFEASIBLE, STOPPED]
    assert [record.value for record in again.records] == [1.5, None, None, 1.0]
    assert {record.scores for record in again.records} == {scores}
    assert again.records[0].measurements == [(10, 0.5), (20, 1.5)]
    assert again.records[0].started is not None and again.records[0].ended is not None
    assert (again.cpu_seconds, again.seeds) == (4 * 0.5 + 3.5, {"tuning": 3})


def test_trials_that_were_running_keep_their_numbers_and_values(opened: Opener) -> None:
    study = opened()
    asked = [study.ask() for _ in range(3)]
    study.tell(2, outcome(SUCCEEDED, 1.0), Scores(), 1.0)
    again = opened().unfinished
    assert again == [asked[0], asked[2]]


def test_a_trial_is_in_the_file_with_all_of_its_values_or_not_at_all(
    opened: Opener, tmp_path: Path
) -> None:
    study = opened()
    before = (tmp_path / FILE).read_bytes()
    asked = study.ask()
    (line,) = (tmp_path / FILE).read_bytes().removeprefix(before).splitlines()
    assert len(json.loads(line)["params"]) == len(PARAMETERS)
    assert opened().unfinished == [asked]


def test_a_grid_is_tried_point_by_point(opened: Opener) -> None:
    grid = (PARAMETERS[2], PARAMETERS[3])
    study = opened(parameters=grid, algorithm=GRID, first={"batch_size": 256.0})
    tried = []
    for again in (False, True):  # the second time after a restart
        study = opened(parameters=grid, algorithm=GRID, first={"batch_size": 256.0})
        while (record := study.ask()) is not None and len(tried) < (6 if again else 2):
            tried.append(tuple(record.values.values()))
            study.tell(record.number, outcome(SUCCEEDED, 1.0), Scores(), 1.0)
            if not again and len(tried) == 2:
                break
    assert tried[0] == (256.0, "a2c")
    assert len(tried) == len(set(tried)) == 6
    assert study.ask() is None


def test_small_is_good_if_the_goal_is_to_minimize(opened: Opener) -> None:
    assert opened(direction=MINIMIZE)._study.direction.name == "MINIMIZE"


def test_another_study_is_refused_by_what_differs(opened: Opener, tmp_path: Path) -> None:
    parameters = {"gamma": {"minValue": 0.9, "maxValue": 0.99}, "entropy": {"minValue": 0.1}}
    play(opened(goal=MAXIMIZE, space=parameters), 1)
    other = {"gamma": {"minValue": 0.9, "maxValue": 0.999}}
    with pytest.raises(StudyError) as refused:
        opened(goal=MINIMIZE, space=other)
    assert str(refused.value) == (
        f"{tmp_path} holds another study: goal MAXIMIZE (now MINIMIZE),"
        ' space entropy {"minValue": 0.1} (now none), space gamma maxValue 0.99 (now'
        " 0.999). Choose another folder."
    )
    assert len(opened(goal=MAXIMIZE, space=parameters).records) == 1


def test_a_file_that_is_not_a_study_is_named(opened: Opener, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"something else" * 100)
    with pytest.raises(StudyError) as refused:
        opened()
    assert str(refused.value) == (
        f"{tmp_path / FILE} cannot be used: its end is not an Optuna journal record."
        " Restore a copy of the file, or choose another folder."
    )
    assert (tmp_path / FILE).read_bytes() == b"something else" * 100


def test_a_study_of_another_program_is_refused_and_not_changed(
    opened: Opener, tmp_path: Path
) -> None:
    for folder, name in (("a", "theirs"), ("b", NAME)):
        (tmp_path / folder).mkdir()
        theirs = JournalStorage(JournalFileBackend(str(tmp_path / folder / FILE)))
        study = optuna.create_study(storage=theirs, study_name=name, direction="maximize")
        study.add_trial(create_trial(value=1.0))
        before = (tmp_path / folder / FILE).read_bytes()
        with pytest.raises(
            StudyError, match=r"a study named theirs|study was not created by the tuner"
        ):
            opened(folder)
        assert (tmp_path / folder / FILE).read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda study: study.tell(0, 1.0),
        lambda study: study.add_trial(create_trial(value=1.0)),
    ],
)
def test_trials_that_others_ended_or_added_are_found(
    opened: Opener, tmp_path: Path, change: Callable[[optuna.Study], object]
) -> None:
    ours = opened()
    ours.ask()
    theirs = JournalStorage(JournalFileBackend(str(tmp_path / FILE)))
    change(optuna.load_study(study_name=NAME, storage=theirs))
    with pytest.raises(
        StudyError, match=r"trial [12] was not written by the tuner\. Restore a copy"
    ):
        opened()


def test_differences_are_found_at_any_depth() -> None:
    assert differences({"a": {"b": [1]}, "c": 1}, {"a": {"b": [2]}, "c": 1}) == [
        "a b [1] (now [2])"
    ]
    assert differences({"a": 1}, {"a": 1}) == []


def test_differing_commands_are_shown_without_their_common_words() -> None:
    theirs = {"args": "--a=1 --b=2 --c=3"}
    assert differences(theirs, {"args": "--a=1 --b=4 --c=3"}) == ["args --b=2 (now --b=4)"]
    assert differences(theirs, {"args": "--a=1 --b=2"}) == ["args --c=3 (now none)"]
    assert differences({"args": ""}, theirs) == ["args none (now --a=1 --b=2 --c=3)"]
