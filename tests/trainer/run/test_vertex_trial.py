"""A whole trial of Vertex in a bucket."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tests.support.cloud_runs import (
    QUICK,
    UNCLOSED,
    Process,
    assert_as_listed,
    ended,
    environment,
    manifest_of,
    objects_in,
    run,
    started,
)
from tests.support.storage_server import FaultyStorage
from tests.support.waiting import wait_until
from trainer.contract.job_files import CHECKPOINT, EVENTS, METRICS

pytestmark = [
    pytest.mark.faults,
    UNCLOSED,
    # Keras' variables do not know NumPy 2's `copy` keyword yet.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


class Trial(NamedTuple):
    """A trial of Vertex in a bucket, whose metric file others cut short while it ran."""

    artefacts: Mapping[str, bytes]
    told: list[dict[str, Any]]
    process: Process
    again: Process
    permissions: set[str]
    names: set[str]


BASE = "tuning/7"


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    folder = tmp_path_factory.mktemp("trial")
    metric_file = folder / "hypertune" / "output.metrics"
    with FaultyStorage() as storage:
        variables = {
            "AIP_MODEL_DIR": f"gs://bucket/{BASE}/model/",
            "AIP_CHECKPOINT_DIR": f"gs://bucket/{BASE}/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": f"gs://bucket/{BASE}/logs/",
            "CLOUD_ML_HP_METRIC_FILE": str(metric_file),
            "CLOUD_ML_HP_METRIC_TAG": "score",
            "TF_CONFIG": json.dumps({"task": {"type": "chief", "trial": "7"}}),
        }
        options: dict[str, Any] = {"env": environment(storage, folder, **variables), "cwd": folder}
        with started("-m", "trainer.task", *QUICK, **options) as process:
            wait_until(lambda: metric_file.exists() and metric_file.stat().st_size, 120)
            os.truncate(metric_file, 5)
            done = ended(process)
        again = run("-m", "trainer.task", *QUICK, **options)
        return Trial(
            objects_in(storage, BASE),
            [json.loads(line) for line in metric_file.read_text().splitlines()],
            done,
            again,
            {permission for request in storage.requests for permission in request.permissions},
            {request.name for request in storage.requests if request.name is not None},
        )


def test_a_trial_ends_well(trial: Trial) -> None:
    assert (trial.process.returncode, trial.process.stderr) == (0, "")


def test_everything_of_a_trial_lies_in_vertex_directories(
    trial: Trial, undisturbed: Mapping[str, bytes]
) -> None:
    places = {CHECKPOINT: f"checkpoints/{CHECKPOINT}", EVENTS: f"logs/{EVENTS}"}
    expected = {places.get(name, re.sub("^saved_model/", "model/", name)) for name in undisturbed}
    assert trial.artefacts.keys() == expected
    assert_as_listed(trial.artefacts)


def test_a_trial_comes_to_what_the_same_run_comes_to_elsewhere(
    trial: Trial, undisturbed: Mapping[str, bytes]
) -> None:
    found = {CHECKPOINT: trial.artefacts[f"checkpoints/{CHECKPOINT}"], **trial.artefacts}
    ours, theirs = (manifest_of(x)["scores"] for x in (found, undisturbed))
    assert ours == theirs
    assert found[METRICS] == undisturbed[METRICS]


def test_a_trial_that_is_finished_is_not_run_again(trial: Trial) -> None:
    assert (trial.again.returncode, trial.again.stderr) == (0, "")
    assert "finished" in trial.again.stdout


def test_a_metric_file_that_another_writer_cut_short_is_made_whole(
    trial: Trial, undisturbed: Mapping[str, bytes]
) -> None:
    steps = [int(line["global_step"]) for line in trial.told]
    assert steps == sorted(set(steps))
    lines = [json.loads(line) for line in undisturbed[METRICS].splitlines()]
    assert [float(line["score"]) for line in trial.told] == [line["mean_score"] for line in lines]
    assert {line["trial"] for line in trial.told} == {"7"}


def test_a_run_needs_rights_on_objects_under_its_prefix_only(trial: Trial) -> None:
    assert trial.permissions == {
        f"storage.objects.{verb}" for verb in ("create", "get", "list", "delete")
    }
    assert all(name.startswith(f"{BASE}/") for name in trial.names)
