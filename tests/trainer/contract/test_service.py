"""What the services say of a run, in their own words."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trainer.contract.job_files import CHECKPOINT, EVENTS, SAVED_MODEL, is_inside
from trainer.contract.service import DIRECTORIES, Service, service

# What AI Platform's documents show of a trial.
TF_CONFIG = {
    "cluster": {"chief": ["127.0.0.1:2222"]},
    "task": {"type": "master", "index": 0, "trial": "1", "cloud": "internal"},
    "job": {"scale_tier": "BASIC", "package_uris": [], "python_module": "trainer.task"},
    "environment": "cloud",
}
# What Vertex sets for the third trial where `baseOutputDirectory` is gs://bucket/study.
VERTEX = {
    "AIP_MODEL_DIR": "gs://bucket/study/3/model/",
    "AIP_CHECKPOINT_DIR": "gs://bucket/study/3/checkpoints/",
    "AIP_TENSORBOARD_LOG_DIR": "gs://bucket/study/3/logs/",
}


def test_on_an_ordinary_machine_nobody_wishes_anything() -> None:
    assert service({"HOME": "/home/me", "PATH": "/bin"}) == Service(None, None, None, {})


@pytest.mark.parametrize("trial, expected", [("1", "1"), (12, "12"), ("", None), (None, None)])
def test_the_trial_of_ai_platform_is_that_of_its_task(
    trial: str | int | None, expected: str | None
) -> None:
    config = {**TF_CONFIG, "task": {"type": "master", "index": 0, "trial": trial}}
    assert service({"TF_CONFIG": json.dumps(config)}).trial == expected


def test_the_trial_id_comes_before_that_of_the_task() -> None:
    both = {"CLOUD_ML_TRIAL_ID": "7", "TF_CONFIG": json.dumps(TF_CONFIG)}
    assert service(both).trial == "7"
    assert service({**both, "CLOUD_ML_TRIAL_ID": ""}).trial == "1"


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "7", '"task"', '{"task": []}', '{"task": {"trial": [1]}}']
)
def test_a_task_that_is_no_trial_has_none(text: str) -> None:
    assert service({"TF_CONFIG": text}).trial is None


def test_a_job_outside_tuning_has_no_trial() -> None:
    config = {**TF_CONFIG, "task": {"type": "master", "index": 0}}
    assert service({"TF_CONFIG": json.dumps(config)}).trial is None


@pytest.mark.parametrize("tag, expected", [("return", "return"), ("", None)])
def test_the_tag_is_the_one_that_the_service_waits_for(tag: str, expected: str | None) -> None:
    assert service({"CLOUD_ML_HP_METRIC_TAG": tag}).metric_tag == expected


def test_vertex_directories_are_one_job_dir_with_places_in_it() -> None:
    found = service(VERTEX)
    assert found.job_dir == "gs://bucket/study/3"
    assert found.places == {
        SAVED_MODEL: "model",
        CHECKPOINT: f"checkpoints/{CHECKPOINT}",
        EVENTS: f"logs/{EVENTS}",
    }


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_slashes_at_the_end_change_nothing(end: str) -> None:
    assert service({name: path.rstrip("/") + end for name, path in VERTEX.items()}) == service(
        VERTEX
    )


@pytest.mark.parametrize("name", DIRECTORIES)
def test_one_directory_is_enough(name: str) -> None:
    found = service({name: VERTEX[name]})
    assert found.job_dir == "gs://bucket/study/3"
    assert found.places.items() <= service(VERTEX).places.items()
    assert found.places.keys() == {DIRECTORIES[name][0]}


def test_directories_that_are_empty_are_not_given() -> None:
    assert service(dict.fromkeys(DIRECTORIES, "")) == Service(None, None, None, {})


@pytest.mark.parametrize(
    "path, job_dir",
    [("/gcs/bucket/study/3/model/", "/gcs/bucket/study/3"), ("out/model", "out"), ("model", ".")],
)
def test_a_local_folder_is_as_good_as_a_bucket(path: str, job_dir: str) -> None:
    found = service({"AIP_MODEL_DIR": path})
    assert (found.job_dir, found.places) == (job_dir, {SAVED_MODEL: "model"})


def test_directories_that_lie_apart_are_refused_with_their_paths() -> None:
    with pytest.raises(ValueError) as refusal:
        service({**VERTEX, "AIP_CHECKPOINT_DIR": "gs://elsewhere/checkpoints/"})
    assert str(refusal.value) == (
        "AIP_MODEL_DIR, AIP_CHECKPOINT_DIR, AIP_TENSORBOARD_LOG_DIR must lie side by side in one"
        " folder, but got AIP_MODEL_DIR=gs://bucket/study/3/model,"
        " AIP_CHECKPOINT_DIR=gs://elsewhere/checkpoints,"
        " AIP_TENSORBOARD_LOG_DIR=gs://bucket/study/3/logs; or give --job-dir."
    )


def test_a_bucket_is_no_folder_in_one() -> None:
    with pytest.raises(ValueError, match="AIP_MODEL_DIR=gs://bucket"):
        service({"AIP_MODEL_DIR": "gs://bucket/"})


def test_one_directory_for_two_things_is_refused() -> None:
    """A SavedModel is replaced as a whole, and would take the checkpoint with it."""
    with pytest.raises(ValueError, match="must lie side by side"):
        service({"AIP_MODEL_DIR": "out/all", "AIP_CHECKPOINT_DIR": "out/all/"})


@pytest.mark.parametrize("path", [".", "./", "..", "/data/run/..", "out/."])
def test_a_directory_without_a_name_is_refused(path: str) -> None:
    """The SavedModel would replace the folder that all else lies in."""
    with pytest.raises(ValueError, match="must lie side by side"):
        service({"AIP_MODEL_DIR": path})


NAMES = st.sampled_from(
    ["CLOUD_ML_TRIAL_ID", "CLOUD_ML_HP_METRIC_TAG", "TF_CONFIG", *DIRECTORIES, "HOME"]
)
PATHS = st.from_regex(r"(gs:|[a-z]:)?/{0,3}([a-z.]{0,3}/){0,4}", fullmatch=True)


@settings(deadline=None)
@given(environment=st.dictionaries(NAMES, st.text() | PATHS))
@example({"TF_CONFIG": "[" * 100_000})
@example({"TF_CONFIG": '{"task": {"trial": ' + "9" * 5000 + "}}"})
@example({"AIP_MODEL_DIR": "/"})
def test_whatever_the_variables_hold_is_understood_or_refused(environment: dict[str, str]) -> None:
    try:
        found = service(environment)
    except ValueError as error:
        assert str(error).startswith("AIP_MODEL_DIR,")
        return
    assert found.trial is None or found.trial
    assert (found.job_dir is None) == (not found.places)
    assert all(is_inside(place) for place in found.places.values())
    assert len(set(found.places.values())) == len(found.places)


@given(
    config=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["task", "trial"]), inner),
    )
)
def test_whatever_the_task_holds_its_trial_is_a_word_or_none(config: object) -> None:
    trial = service({"TF_CONFIG": json.dumps(config)}).trial
    assert trial is None or (isinstance(trial, str) and trial)
