"""optuna-dashboard serves the files in the trials' folders."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna.trial import FrozenTrial

from trainer.contract.run_record import Scores
from tuner.execution.metric_file import Measurement
from tuner.execution.trial import FAILED, SUCCEEDED, Outcome
from tuner.execution.trial_command import Task
from tuner.outputs import artifacts
from tuner.search.trial_store import FILE, Study
from tuner.spec.study_spec import CATEGORICAL, DISCRETE, DOUBLE, MAXIMIZE, REVERSE_LOG, Parameter

dashboard = pytest.importorskip("optuna_dashboard")
VIDEO = bytes(range(256)) * 40


@pytest.fixture
def study(tmp_path: Path) -> Study:
    parameters = (Parameter("gamma", DOUBLE, 0.9, 0.99),)
    return Study(tmp_path, parameters, "", MAXIMIZE, {}, {"gamma": 0.95})


def refuse(text: str) -> None:
    raise AssertionError(text)


def trial(study: Study, folder: Path, *, whole: bool = True) -> Task:
    """The next trial, as it has just ended."""
    record = study.ask()
    assert record is not None
    job_dir = folder / str(record.number)
    job_dir.mkdir()
    if whole:
        (job_dir / "recording.mp4").write_bytes(VIDEO)
    words = ("--seed=0", "--gamma=0.95")
    return Task(f"trial {record.number}", record.number, job_dir, words)


def tell(study: Study, number: int, state: str = SUCCEEDED) -> None:
    outcome = Outcome(state, "", 0, (Measurement(20, 3.0),), 1.0, 1.0)
    study.tell(number, outcome, Scores((3.0,)), 3.0)


def target(study: Study, task: Task) -> tuple[Any, FrozenTrial]:
    found = study.storage_and_trial(task.trial)
    assert found is not None
    return found


class Dashboard:
    """GET from optuna-dashboard's own program, as `--artifact-dir` sets it up."""

    def __init__(self, folder: Path) -> None:
        self._app: Any = dashboard.wsgi(
            str(folder / FILE),
            artifact_store=FileSystemArtifactStore(str(folder / artifacts.FOLDER)),
        )

    def get(self, path: str) -> tuple[bytes, dict[str, str]]:
        environ: dict[str, Any] = {"PATH_INFO": path, "wsgi.errors": io.StringIO()}
        setup_testing_defaults(environ)
        told: list[Any] = []
        body = self._app(environ, lambda *answer: told.extend(answer))
        content = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        assert told[0].startswith("200"), (told, environ["wsgi.errors"].getvalue())
        return content, dict(told[1])

    def study(self) -> tuple[int, Any]:
        """The study's ID, and the response of the dashboard's API about it."""
        study_id = json.loads(self.get("/api/studies")[0])["study_summaries"][0]["study_id"]
        return study_id, json.loads(self.get(f"/api/studies/{study_id}")[0])

    def artefacts(self) -> list[dict[str, bytes]]:
        """Of each trial: name -> content."""
        study_id, found = self.study()
        return [
            {
                a["filename"]: self.get(
                    f"/artifacts/{study_id}/{t['trial_id']}/{a['artifact_id']}"
                )[0]
                for a in t["artifacts"]
            }
            for t in found["trials"]
        ]


def test_the_dashboard_serves_each_trials_video_and_flags(study: Study, tmp_path: Path) -> None:
    task = trial(study, tmp_path)
    artifacts.keep(target(study, task), tmp_path, task, refuse)
    tell(study, 1)
    failed = trial(study, tmp_path, whole=False)
    artifacts.keep(target(study, failed), tmp_path, failed, refuse)
    tell(study, 2, FAILED)
    first, second = Dashboard(tmp_path).artefacts()
    assert first["recording.mp4"] == (task.job_dir / "recording.mp4").read_bytes() == VIDEO
    assert first["flags.txt"] == b"--seed=0\n--gamma=0.95\n"
    assert set(second) == {"flags.txt"}


def test_a_video_is_stored_once(study: Study, tmp_path: Path) -> None:
    task = trial(study, tmp_path)
    artifacts.keep(target(study, task), tmp_path, task, refuse)
    video = task.job_dir / "recording.mp4"
    assert video.stat().st_nlink == 2
    kept = list((tmp_path / artifacts.FOLDER).iterdir())
    assert [file.samefile(video) for file in kept].count(True) == 1
    assert len(kept) == 2, "nothing temporary is left"
    # A run that writes its video anew replaces it; what Optuna has stays what it was.
    (task.job_dir / "new").write_bytes(b"new")
    (task.job_dir / "new").replace(video)
    tell(study, 1)
    assert Dashboard(tmp_path).artefacts()[0]["recording.mp4"] == VIDEO


def test_a_tuner_killed_before_it_stored_the_end_adds_nothing_twice(
    study: Study, tmp_path: Path
) -> None:
    task = trial(study, tmp_path)
    (task.job_dir / "recording.mp4").unlink()
    artifacts.keep(target(study, task), tmp_path, task, refuse)
    (task.job_dir / "recording.mp4").write_bytes(VIDEO)
    artifacts.keep(target(study, task), tmp_path, task, refuse)
    artifacts.keep(target(study, task), tmp_path, task, refuse)
    tell(study, 1)
    assert len(list((tmp_path / artifacts.FOLDER).iterdir())) == 2
    assert set(Dashboard(tmp_path).artefacts()[0]) == {"recording.mp4", "flags.txt"}


def test_without_links_files_are_copied(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*paths: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(artifacts.os, "link", no_links)
    task = trial(study, tmp_path)
    artifacts.keep(target(study, task), tmp_path, task, refuse)
    tell(study, 1)
    assert Dashboard(tmp_path).artefacts()[0]["recording.mp4"] == VIDEO


def test_any_error_is_one_line(study: Study, tmp_path: Path) -> None:
    (tmp_path / artifacts.FOLDER).write_text("a file, not a folder")
    warnings: list[str] = []
    task = trial(study, tmp_path)
    artifacts.keep(target(study, task), tmp_path, task, warnings.append)
    assert len(warnings) == 1
    assert warnings[0].startswith("trial 1: not all artifacts were kept: FileExistsError: ")
    tell(study, 1)
    assert study._study.trials[0].state == optuna.trial.TrialState.COMPLETE


def test_the_dashboard_shows_values_as_the_user_wrote_them(tmp_path: Path) -> None:
    parameters = (
        Parameter("gamma", DOUBLE, 0.9, 0.999, scale=REVERSE_LOG),
        Parameter("batch_size", DISCRETE, values=(64.0, 256.0)),
        Parameter("algorithm", CATEGORICAL, words=("pg", "a2c")),
    )
    identity = {"objective": "iqm", "metric": "mean_score"}
    first = {"gamma": 0.99, "batch_size": 256.0, "algorithm": "a2c"}
    study = Study(tmp_path, parameters, "", MAXIMIZE, identity, first)
    trial(study, tmp_path, whole=False)
    tell(study, 1)
    study.keep_result("winner   trial 1")
    _, found = Dashboard(tmp_path).study()
    [shown] = found["trials"]
    params = {param["name"]: param["param_external_value"] for param in shown["params"]}
    assert params == {"gamma": "0.99", "batch_size": "256.0", "algorithm": "a2c"}
    assert shown["values"] == [3.0]
    assert {"key": "trial", "value": "1"} in shown["user_attrs"]
    assert found["objective_names"] == ["iqm of mean_score"]
    assert {"key": "result", "value": "winner   trial 1"} in [
        {"key": attribute["key"], "value": attribute["value"].strip('"')}
        for attribute in found["user_attrs"]
    ]
