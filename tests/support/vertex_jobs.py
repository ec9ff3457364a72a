"""A search space of AI Platform, and the Vertex AI job that it becomes."""

from __future__ import annotations

from typing import Any

from tuner.cloud.vertex_job import hp_tuning_job
from tuner.spec.loader import load

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
