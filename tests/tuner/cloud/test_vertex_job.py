"""A study becomes the Vertex AI job that the mapping table says, or is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contract.errors import BadCommand
from tuner.cloud.vertex_job import as_yaml, hp_tuning_job
from tuner.spec import vertex_ai
from tuner.spec.diagnostics import InvalidSpec
from tuner.spec.loader import load
from tuner.spec.study_spec import Parameter, StudySpec, TrialJob
from tuner.spec.yaml_tree import read

IMAGE = "us-docker.pkg.dev/p/r/a2c:1.0"
JOB_DIR = "gs://bucket/a2c_1"
STUDY = """\
labels: {team: rl}
trainingInput:
  scaleTier: CUSTOM
  masterType: complex_model_m
  masterConfig:
    imageUri: gcr.io/p/a2c:1
    acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 2}
    diskConfig: {bootDiskSizeGb: 50, bootDiskType: pd-ssd}
  args: [--algorithm=a2c, --hidden_neurons, "2048"]
  serviceAccount: me@p.iam.gserviceaccount.com
  network: projects/1/global/networks/n
  enableWebAccess: true
  encryptionConfig: {kmsKeyName: key}
  scheduling: {maxRunningTime: 3600s, resilientToWorkerRestart: true}
  hyperparameters:
    goal: MAXIMIZE
    hyperparameterMetricTag: mean_score
    maxTrials: 20
    maxParallelTrials: 5
    maxFailedTrials: 3
    enableTrialEarlyStopping: true
    algorithm: RANDOM_SEARCH
    params:
    - {parameterName: gamma, type: DOUBLE, minValue: 0.9, maxValue: 0.999,
       scaleType: UNIT_REVERSE_LOG_SCALE}
    - {parameterName: num_envs, type: INTEGER, minValue: 1, maxValue: 16, scaleType: NONE}
    - {parameterName: batch_size, type: DISCRETE, discreteValues: [64, 128]}
    - {parameterName: learning_rate_decay, type: CATEGORICAL, categoricalValues: [linear, none]}
"""


def translated(text: str = STUDY, **arguments: Any) -> dict[str, Any]:
    spec = load(text.encode(), "f.yaml")
    return hp_tuning_job(spec, **{"image": IMAGE, "job_dir": JOB_DIR, **arguments})


def test_a_study_with_everything_becomes_the_whole_job() -> None:
    assert translated(display_name="a study") == {
        "displayName": "a study",
        "labels": {"team": "rl"},
        "maxTrialCount": 20,
        "parallelTrialCount": 5,
        "maxFailedTrialCount": 3,
        "studySpec": {
            "metrics": [{"metricId": "mean_score", "goal": "MAXIMIZE"}],
            "parameters": [
                {
                    "parameterId": "gamma",
                    "doubleValueSpec": {"minValue": 0.9, "maxValue": 0.999},
                    "scaleType": "UNIT_REVERSE_LOG_SCALE",
                },
                {"parameterId": "num_envs", "integerValueSpec": {"minValue": 1, "maxValue": 16}},
                {"parameterId": "batch_size", "discreteValueSpec": {"values": [64, 128]}},
                {
                    "parameterId": "learning_rate_decay",
                    "categoricalValueSpec": {"values": ["linear", "none"]},
                },
            ],
            "algorithm": "RANDOM_SEARCH",
            "measurementSelectionType": "LAST_MEASUREMENT",
            "medianAutomatedStoppingSpec": {"useElapsedDuration": False},
        },
        "trialJobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {
                        "machineType": "n1-highcpu-16",
                        "acceleratorType": "NVIDIA_TESLA_T4",
                        "acceleratorCount": 2,
                    },
                    "replicaCount": 1,
                    "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 50},
                    "containerSpec": {
                        "imageUri": IMAGE,
                        "args": ["--algorithm=a2c", "--hidden_neurons", "2048"],
                    },
                }
            ],
            "baseOutputDirectory": {"outputUriPrefix": JOB_DIR},
            "scheduling": {"timeout": "3600s", "restartJobOnWorkerRestart": True},
            "serviceAccount": "me@p.iam.gserviceaccount.com",
            "network": "projects/1/global/networks/n",
            "enableWebAccess": True,
        },
        "encryptionSpec": {"kmsKeyName": "key"},
    }


MINIMAL = """\
trainingInput:
  hyperparameters:
    hyperparameterMetricTag: mean_score
    params:
    - {parameterName: gamma, type: INTEGER, minValue: 0, maxValue: 1.0}
"""


def test_a_study_with_little_becomes_what_the_api_requires() -> None:
    assert translated(MINIMAL) == {
        "displayName": "a2c_1",
        "maxTrialCount": 1,
        "parallelTrialCount": 1,
        "studySpec": {
            "metrics": [{"metricId": "mean_score", "goal": "MAXIMIZE"}],
            "parameters": [
                {"parameterId": "gamma", "integerValueSpec": {"minValue": 0, "maxValue": 1}}
            ],
            "measurementSelectionType": "LAST_MEASUREMENT",
        },
        "trialJobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {"machineType": "n1-standard-4"},
                    "replicaCount": 1,
                    "containerSpec": {"imageUri": IMAGE},
                }
            ],
            "baseOutputDirectory": {"outputUriPrefix": JOB_DIR},
        },
    }


def test_bounds_have_the_types_of_the_api() -> None:
    (parameter,) = translated(MINIMAL)["studySpec"]["parameters"]
    assert [type(bound) for bound in parameter["integerValueSpec"].values()] == [int, int]
    (parameter,) = translated(MINIMAL.replace("INTEGER", "DOUBLE"))["studySpec"]["parameters"]
    assert [type(bound) for bound in parameter["doubleValueSpec"].values()] == [float, float]


def machine(tier: str) -> Any:
    text = MINIMAL.replace("trainingInput:", f"trainingInput:\n  {tier}")
    return translated(text)["trialJobSpec"]["workerPoolSpecs"][0]["machineSpec"]


@pytest.mark.parametrize(
    "tier, expected",
    [
        ("scaleTier: BASIC", "n1-standard-4"),
        ("scaleTier: CUSTOM\n  masterType: n2-highmem-2", "n2-highmem-2"),
        ("scaleTier: CUSTOM\n  masterType: standard", "n1-standard-4"),
        ("scaleTier: CUSTOM\n  masterType: large_model", "n1-highmem-8"),
        ("scaleTier: CUSTOM\n  masterType: complex_model_s", "n1-highcpu-8"),
        ("scaleTier: CUSTOM\n  masterType: complex_model_l", "n1-highcpu-32"),
    ],
)
def test_a_tier_becomes_a_machine_type(tier: str, expected: str) -> None:
    assert machine(tier) == {"machineType": expected}


def test_the_gpu_tier_becomes_a_machine_with_a_gpu() -> None:
    assert machine("scaleTier: BASIC_GPU") == {
        "machineType": "n1-standard-8",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 1,
    }


@pytest.mark.parametrize("text", [STUDY, STUDY.replace("3600s,", "3600s, strategy: ON_DEMAND,")])
def test_spot_machines_are_asked_for_by_the_option(text: str) -> None:
    assert translated(text, spot=True)["trialJobSpec"]["scheduling"]["strategy"] == "SPOT"
    assert "strategy" not in translated(text)["trialJobSpec"]["scheduling"]


def test_spot_machines_are_asked_for_by_the_file() -> None:
    text = STUDY.replace("3600s,", "3600s, strategy: LOW_COST,")
    assert translated(text)["trialJobSpec"]["scheduling"]["strategy"] == "SPOT"


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            "maxTrials: 20",
            "maxTrials: 20\n    resumePreviousJobId: before",
            "19:26: error: resumePreviousJobId: before has no equivalent on Vertex AI.",
        ),
        (
            "RANDOM_SEARCH",
            "POPULATION_BASED_TRAINING",
            "22:16: error: algorithm POPULATION_BASED_TRAINING has no equivalent on Vertex AI.",
        ),
        (
            "scaleTier: CUSTOM\n  masterType: complex_model_m",
            "scaleTier: BASIC_TPU",
            "3:14: error: BASIC_TPU has no equivalent on Vertex AI. Write scaleTier: CUSTOM",
        ),
        (
            "scaleTier: CUSTOM\n  masterType: complex_model_m",
            "scaleTier: STANDARD_1",
            "3:3: error: the trainer is one process, and STANDARD_1 is several machines.",
        ),
        (
            "masterType: complex_model_m",
            "masterType: cloud_tpu",
            "4:15: error: cloud_tpu has no equivalent on Vertex AI.",
        ),
        (
            "masterType: complex_model_m",
            "masterType: complex_model_m_p100",
            "4:15: error: complex_model_m_p100 has no equivalent on Vertex AI.",
        ),
        (
            "type: NVIDIA_TESLA_T4",
            "type: TPU_V3",
            "7:31: error: TPU_V3: the trainer has no use for a TPU. Delete it.",
        ),
        (
            "hyperparameterMetricTag: mean_score",
            "hyperparameterMetricTag: mean score",
            "17:30: error: a name on Vertex AI must have no spaces, but this is mean score.",
        ),
        (
            "  serviceAccount",
            "  workerCount: 2\n  serviceAccount",
            "10:3: error: the trainer is one process. Delete workerCount.",
        ),
        (
            "maxRunningTime: 3600s",
            "priority: 1",
            "14:16: error: trainingInput.scheduling.priority has no equivalent here. Delete it.",
        ),
        (
            "  serviceAccount",
            "  pythonModule: trainer.task\n  serviceAccount",
            "10:3: error: trainingInput.pythonModule has no equivalent here. Delete it.",
        ),
    ],
)
def test_what_has_no_equivalent_is_refused_by_name(old: str, new: str, message: str) -> None:
    text = STUDY.replace(
        "--algorithm=a2c", "--metric_tag=mean score" if "mean s" in new else "--seeds=2"
    )
    with pytest.raises(InvalidSpec) as invalid:
        translated(text.replace(old, new))
    (diagnostic,) = [f for f in invalid.value.diagnostics if f.severity == "error"]
    assert str(diagnostic).startswith(f"f.yaml:{message}")


@pytest.mark.parametrize(
    "image",
    ["a2c", "gcr.io/p/a2c", "localhost:5000/a2c", "a b:1", "a2c:", ":1", "", "a2c@sha256:12"],
)
def test_an_image_must_have_a_tag(image: str) -> None:
    with pytest.raises(BadCommand, match="the image must be a name with a tag or a digest"):
        translated(image=image)


@pytest.mark.parametrize(
    "image", ["a2c:1", "gcr.io/p/a2c:latest", "localhost:5000/a2c:1", f"a2c:1@sha256:{'0' * 64}"]
)
def test_an_image_may_lie_anywhere(image: str) -> None:
    pool = translated(image=image)["trialJobSpec"]["workerPoolSpecs"][0]
    assert pool["containerSpec"]["imageUri"] == image


@pytest.mark.parametrize(
    "job_dir", ["", "runs/x", "/gcs/b/x", "gs://", "gs://bucket", "gs://bucket/", "gs://b x/y"]
)
def test_the_job_dir_must_be_a_folder_in_a_bucket(job_dir: str) -> None:
    with pytest.raises(BadCommand, match="the job dir must be a folder in a bucket"):
        translated(job_dir=job_dir)


def test_a_display_name_has_its_limit() -> None:
    with pytest.raises(BadCommand, match="at most 128 characters, but has 129"):
        translated(display_name="x" * 129)


def test_the_file_quotes_text_that_gcloud_would_take_for_something_else() -> None:
    assert as_yaml({"args": ["1e-4", "8", "yes", "n", "1.5e3", "x"], "number": 1e-5}) == (
        "args:\n- '1e-4'\n- '8'\n- 'yes'\n- 'n'\n- '1.5e3'\n- x\nnumber: 1.0e-05\n"
    )


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
def test_what_is_written_for_vertex_reads_as_the_same_study(spec: StudySpec) -> None:
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
