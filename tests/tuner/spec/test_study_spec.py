"""A file of either dialect becomes the same StudySpec."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tuner.spec.diagnostics import InvalidSpec
from tuner.spec.loader import examine, load
from tuner.spec.study_spec import Parameter, StudySpec, TrialJob

AI_PLATFORM = """\
labels: {team: rl}
trainingInput:
  scaleTier: CUSTOM
  masterType: n1-standard-8
  masterConfig:
    imageUri: gcr.io/p/a2c:1
    acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 2}
    diskConfig: {bootDiskSizeGb: 50, bootDiskType: pd-ssd}
  args: [--seeds=5, --hidden_neurons, "2048"]
  jobDir: gs://bucket/job
  serviceAccount: me@p.iam.gserviceaccount.com
  network: projects/1/global/networks/n
  enableWebAccess: true
  encryptionConfig: {kmsKeyName: key}
  scheduling: {maxRunningTime: 3600s, strategy: LOW_COST, resilientToWorkerRestart: true}
  hyperparameters:
    goal: MAXIMIZE
    hyperparameterMetricTag: mean_score
    maxTrials: 20
    maxParallelTrials: 5
    maxFailedTrials: 3
    enableTrialEarlyStopping: true
    algorithm: RANDOM_SEARCH
    params:
    - {parameterName: gamma, type: DOUBLE, minValue: 0.9, maxValue: 0.99,
       scaleType: UNIT_REVERSE_LOG_SCALE}
    - {parameterName: num_envs, type: INTEGER, minValue: 1, maxValue: 16}
    - {parameterName: batch_size, type: DISCRETE, discreteValues: [64, 128, 256]}
    - {parameterName: learning_rate_decay, type: CATEGORICAL, categoricalValues: [linear, none]}
"""
VERTEX_AI = """\
displayName: a study
labels: {team: rl}
maxTrialCount: 20
parallelTrialCount: 5
maxFailedTrialCount: 3
encryptionSpec: {kmsKeyName: key}
studySpec:
  metrics: [{metricId: mean_score, goal: MAXIMIZE}]
  algorithm: RANDOM_SEARCH
  measurementSelectionType: LAST_MEASUREMENT
  medianAutomatedStoppingSpec: {useElapsedDuration: false}
  parameters:
  - parameterId: gamma
    doubleValueSpec: {minValue: 0.9, maxValue: 0.99}
    scaleType: UNIT_REVERSE_LOG_SCALE
  - {parameterId: num_envs, integerValueSpec: {minValue: "1", maxValue: "16"}}
  - {parameterId: batch_size, discreteValueSpec: {values: [64, 128, 256]}}
  - {parameterId: learning_rate_decay, categoricalValueSpec: {values: [linear, none]}}
trialJobSpec:
  baseOutputDirectory: {outputUriPrefix: gs://bucket/job}
  serviceAccount: me@p.iam.gserviceaccount.com
  network: projects/1/global/networks/n
  enableWebAccess: true
  scheduling: {timeout: 3600s, strategy: SPOT, restartJobOnWorkerRestart: true}
  workerPoolSpecs:
  - machineSpec:
      machineType: n1-standard-8
      acceleratorType: NVIDIA_TESLA_T4
      acceleratorCount: 2
    replicaCount: 1
    diskSpec: {bootDiskSizeGb: 50, bootDiskType: pd-ssd}
    containerSpec: {imageUri: "gcr.io/p/a2c:1", args: [--seeds=5, --hidden_neurons, "2048"]}
"""
STUDY = StudySpec(
    metric="mean_score",
    goal="MAXIMIZE",
    max_trials=20,
    max_parallel_trials=5,
    max_failed_trials=3,
    algorithm="RANDOM_SEARCH",
    early_stopping="median",
    parameters=(
        Parameter("gamma", "DOUBLE", low=0.9, high=0.99, scale="UNIT_REVERSE_LOG_SCALE"),
        Parameter("num_envs", "INTEGER", low=1, high=16),
        Parameter("batch_size", "DISCRETE", values=(64.0, 128.0, 256.0)),
        Parameter("learning_rate_decay", "CATEGORICAL", words=("linear", "none")),
    ),
    job=TrialJob(
        args=("--seeds=5", "--hidden_neurons", "2048"),
        image="gcr.io/p/a2c:1",
        job_dir="gs://bucket/job",
        machine_type="n1-standard-8",
        accelerator="NVIDIA_TESLA_T4",
        accelerator_count=2,
        disk_gb=50,
        disk_type="pd-ssd",
        timeout="3600s",
        spot=True,
        restart_on_worker_restart=True,
        service_account="me@p.iam.gserviceaccount.com",
        network="projects/1/global/networks/n",
        web_access=True,
    ),
    kms_key="key",
    labels=(("team", "rl"),),
)


def loaded(text: str) -> StudySpec:
    return load(dedent(text).encode(), "f.yaml")


@pytest.mark.parametrize("text", [AI_PLATFORM, VERTEX_AI], ids=["ai_platform", "vertex_ai"])
def test_every_field_is_read(text: str) -> None:
    assert loaded(text) == STUDY


@pytest.mark.parametrize("text", [AI_PLATFORM, VERTEX_AI], ids=["ai_platform", "vertex_ai"])
def test_every_value_keeps_its_line_and_column(text: str) -> None:
    spec = loaded(text)
    lines = text.splitlines()

    def at(line: int, column: int) -> str:
        return lines[line - 1][column - 1 :]

    assert at(*spec.locations["metric"][1:]).startswith("mean_score")
    assert at(*spec.locations["max_trials"][1:]) == "20"
    assert at(*spec.locations["max_parallel_trials"][1:]) == "5"
    assert at(*spec.locations["max_failed_trials"][1:]) == "3"
    assert at(*spec.locations["algorithm"][1:]) == "RANDOM_SEARCH"
    assert at(*spec.job.locations["args.2"][1:]).startswith('"2048"')
    assert at(*spec.job.locations["machine_type"][1:]) == "n1-standard-8"
    assert at(*spec.job.locations["accelerator"][1:]).startswith("NVIDIA_TESLA_T4")
    assert at(*spec.job.locations["timeout"][1:]).startswith("3600s")
    gamma, _, batch_size, decay = spec.parameters
    assert at(*gamma.locations["name"][1:]).startswith("gamma")
    assert at(*gamma.locations["low"][1:]).startswith("0.9,")
    assert at(*gamma.locations["high"][1:]).startswith("0.99")
    assert at(*gamma.locations["scale"][1:]).startswith("UNIT_REVERSE_LOG_SCALE")
    assert at(*batch_size.locations["values.1"][1:]).startswith("128")
    assert at(*decay.locations["words.1"][1:]).startswith("none")


MINIMAL = """\
trainingInput:
  hyperparameters:
    hyperparameterMetricTag: mean_score
    params: [{parameterName: gamma, type: DOUBLE, minValue: 0.9, maxValue: 0.99}]
"""


def test_missing_fields_have_the_services_defaults() -> None:
    assert loaded(MINIMAL) == StudySpec(
        metric="mean_score",
        goal="MAXIMIZE",
        max_trials=1,
        max_parallel_trials=1,
        parameters=(Parameter("gamma", "DOUBLE", low=0.9, high=0.99),),
        job=TrialJob(machine_type="n1-standard-4"),
    )


def test_an_unspecified_word_is_the_same_as_a_missing_one() -> None:
    words = "goal: GOAL_TYPE_UNSPECIFIED\n    algorithm: ALGORITHM_UNSPECIFIED\n    params"
    assert loaded(MINIMAL.replace("params", words)) == loaded(MINIMAL)


@pytest.mark.parametrize(
    "tier, machine",
    [
        ("BASIC", "n1-standard-4"),
        ("BASIC_GPU", "n1-standard-8"),
        ("BASIC_TPU", "BASIC_TPU"),
    ],
)
def test_a_tier_is_a_machine_where_it_is_one(tier: str, machine: str) -> None:
    text = MINIMAL.replace("trainingInput:", f"trainingInput:\n  scaleTier: {tier}")
    assert loaded(text).job.machine_type == machine


def test_the_gpu_tier_has_a_gpu() -> None:
    text = MINIMAL.replace("trainingInput:", "trainingInput:\n  scaleTier: BASIC_GPU")
    job = loaded(text).job
    assert (job.accelerator, job.accelerator_count) == ("NVIDIA_TESLA_T4", 1)


def test_fields_without_an_equivalent_are_named() -> None:
    text = MINIMAL.replace(
        "trainingInput:",
        "jobId: j\ntrainingInput:\n  region: r\n  packageUris: [x]\n  scheduling: {priority: 1}",
    )
    expected = ("trainingInput.packageUris", "trainingInput.scheduling.priority")
    assert loaded(text).left_out == expected


def test_container_arguments_are_arguments() -> None:
    config = "trainingInput:\n  masterConfig: {containerArgs: [--seeds=5], containerCommand: [x]}"
    job = loaded(MINIMAL.replace("trainingInput:", config)).job
    assert (job.args, job.command) == (("--seeds=5",), ("x",))


@pytest.mark.parametrize("text", ["a: 1", "[1]", "~", "words", "trainingInput: {}\nstudySpec: {}"])
def test_a_file_must_be_of_one_dialect(text: str) -> None:
    spec, diagnostics = examine(text.encode(), "f.yaml")
    assert spec is None
    assert str(diagnostics[0]).startswith("f.yaml:1:1: error: the file has ")


def test_a_file_with_errors_is_not_loaded_and_all_errors_are_reported() -> None:
    with pytest.raises(InvalidSpec) as invalid:
        loaded(MINIMAL.replace("0.99}", "2.5}").replace("mean_score", "score"))
    assert [f.location.line for f in invalid.value.diagnostics if f.severity == "error"] == [3, 4]


def test_warnings_do_not_keep_a_file_from_being_loaded() -> None:
    _, diagnostics = examine(MINIMAL.encode(), "f.yaml")
    assert {diagnostic.severity for diagnostic in diagnostics} == {"warning"}
    assert loaded(MINIMAL).parameters
