"""Properties of the Vertex AI job: it reads as the study that it was written for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.vertex_jobs import IMAGE, JOB_DIR
from tuner.cloud.vertex_job import as_yaml, hp_tuning_job
from tuner.spec import vertex_ai
from tuner.spec.study_spec import Parameter, StudySpec, TrialJob
from tuner.spec.yaml_tree import read

TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)
HOSTILE = st.sampled_from(["1e-4", "yes", "~", "-", "#", "010", "1:30", "2026-01-31", "a: b", "'"])
WORD = TEXT | HOSTILE.filter(lambda word: " " not in word)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALE = st.sampled_from(["NONE", "UNIT_LINEAR_SCALE", "UNIT_LOG_SCALE", "UNIT_REVERSE_LOG_SCALE"])


def bounded(kind: str, numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Parameter]:
    return st.builds(
        lambda name, bounds, scale: Parameter(
            name, kind, low=min(bounds), high=max(bounds), scale=scale
        ),
        WORD,
        st.tuples(numbers, numbers),
        SCALE,
    )


PARAMETER = st.one_of(
    bounded("DOUBLE", FINITE),
    bounded("INTEGER", st.integers(-(2**53), 2**53)),
    st.builds(
        Parameter,
        WORD,
        st.just("CATEGORICAL"),
        words=st.lists(WORD | HOSTILE, min_size=1, max_size=4).map(tuple),
    ),
    st.builds(
        Parameter,
        WORD,
        st.just("DISCRETE"),
        values=st.lists(FINITE, min_size=1, max_size=4, unique=True).map(sorted).map(tuple),
        scale=SCALE,
    ),
)
ACCELERATOR = st.sampled_from([("", 0), ("NVIDIA_TESLA_T4", 1), ("NVIDIA_L4", 8)])
TRIAL_JOB = st.builds(
    lambda accelerator, **fields: TrialJob(
        image=IMAGE,
        job_dir=JOB_DIR,
        accelerator=accelerator[0],
        accelerator_count=accelerator[1],
        **fields,
    ),
    ACCELERATOR,
    args=st.lists(WORD | HOSTILE, max_size=4).map(tuple),
    command=st.lists(WORD, max_size=2).map(tuple),
    machine_type=st.sampled_from(["n1-standard-4", "n2d-highcpu-8", "a2-highgpu-1g"]),
    disk_gb=st.integers(0, 1000),
    disk_type=st.sampled_from(["", "pd-ssd"]),
    timeout=st.sampled_from(["", "3600s", "0.5s"]),
    spot=st.booleans(),
    restart_on_worker_restart=st.booleans(),
    service_account=st.just("") | WORD,
    network=st.just("") | WORD,
    web_access=st.booleans(),
)
COUNT = st.integers(1, 2**31 - 1)
SPEC = st.builds(
    StudySpec,
    metric=WORD,
    parameters=st.lists(PARAMETER, min_size=1, max_size=4).map(tuple),
    goal=st.sampled_from(["MAXIMIZE", "MINIMIZE"]),
    max_trials=COUNT,
    max_parallel_trials=COUNT,
    max_failed_trials=st.integers(0, 2**31 - 1),
    algorithm=st.sampled_from(["", "GRID_SEARCH", "RANDOM_SEARCH"]),
    early_stopping=st.sampled_from(["", "median", "decay_curve", "convex"]),
    measurement=st.sampled_from(["LAST_MEASUREMENT", "BEST_MEASUREMENT"]),
    job=TRIAL_JOB,
    kms_key=st.just("") | WORD,
    labels=st.dictionaries(WORD, WORD, max_size=3).map(lambda labels: tuple(labels.items())),
)


@settings(deadline=None)
@given(SPEC)
def test_the_job_for_vertex_reads_as_the_same_study(spec: StudySpec) -> None:
    text = as_yaml(hp_tuning_job(spec, image=IMAGE, job_dir=JOB_DIR))
    again, diagnostics = vertex_ai.read(read(text.encode(), "f.yaml"))
    assert diagnostics == []
    assert again == spec


@settings(deadline=None)
@given(SPEC, st.booleans())
def test_the_option_changes_nothing_but_the_machines(spec: StudySpec, spot: bool) -> None:
    text = as_yaml(hp_tuning_job(spec, image=IMAGE, job_dir=JOB_DIR, spot=spot))
    again, _ = vertex_ai.read(read(text.encode(), "f.yaml"))
    assert again == replace(spec, job=replace(spec.job, spot=spec.job.spot or spot))
