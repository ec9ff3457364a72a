"""Translates a study into the configuration of a Vertex AI tuning job. Submits nothing."""

from __future__ import annotations

import re
from typing import Any

import yaml

from trainer.contract.errors import BadCommand
from trainer.contract.text import shown
from tuner.spec.diagnostics import ERROR, Diagnostic, InvalidSpec, Location
from tuner.spec.study_spec import (
    CATEGORICAL,
    DOUBLE,
    INTEGER,
    NO_SCALE,
    POPULATION,
    Parameter,
    StudySpec,
    TrialJob,
)
from tuner.spec.vertex_ai import STOPPING, TYPES
from tuner.spec.yaml_tree import like_gcloud

DISPLAY_NAME_LENGTH = 128
_IMAGE = re.compile(
    r"[^\s:@]+(:[0-9]+/[^\s:@]+)?(?=[:@])(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]+[a-z0-9]/[^\s?#*\[\]]*[^\s?#*\[\]/]/?")
# Compute Engine has a family, a kind and a size in each name: n1-standard-4.
_COMPUTE_ENGINE = re.compile(r"[a-z][a-z0-9]*-[a-z0-9]+(-[a-z0-9]+)*")
_FIELD_OF = {kind: field for field, kind in TYPES.items()}
_STOPPING = {word: field for field, word in STOPPING.items()}


def hp_tuning_job(
    spec: StudySpec, *, image: str, job_dir: str, display_name: str = "", spot: bool = False
) -> dict[str, Any]:
    """What `gcloud ai hp-tuning-jobs create --config` takes, for a study without errors.

    Raises InvalidSpec for everything that Vertex AI has no equivalent for, and BadCommand for an
    invalid image, job dir or display name.
    """
    diagnostics = _refusals(spec)
    if diagnostics:
        raise InvalidSpec(diagnostics)
    display_name = display_name or job_dir.rstrip("/").rpartition("/")[2]
    _check_arguments(image, job_dir, display_name)
    job: dict[str, Any] = {"displayName": display_name}
    if spec.labels:
        job["labels"] = dict(spec.labels)
    job["maxTrialCount"] = spec.max_trials
    job["parallelTrialCount"] = spec.max_parallel_trials
    if spec.max_failed_trials:
        job["maxFailedTrialCount"] = spec.max_failed_trials
    job["studySpec"] = _study(spec)
    job["trialJobSpec"] = _trial(spec.job, image, job_dir, spot)
    if spec.kms_key:
        job["encryptionSpec"] = {"kmsKeyName": spec.kms_key}
    return job


def as_yaml(job: dict[str, Any]) -> str:
    """The YAML file for gcloud. Text that gcloud would read as another type is quoted."""
    return yaml.dump(job, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


like_gcloud(_Dumper)


def _refusals(spec: StudySpec) -> list[Diagnostic]:
    """A diagnostic for each field or value that Vertex AI has no equivalent for."""
    machine = spec.job.machine_type
    refusals: list[tuple[Location, str]] = []
    if spec.resume:
        message = f"resumePreviousJobId: {shown(spec.resume)} has no equivalent on Vertex AI."
        refusals.append((spec.locations["resume"], f"{message} Delete it to start a new search."))
    if spec.algorithm == POPULATION:
        message = f"algorithm {POPULATION} has no equivalent on Vertex AI. Delete it."
        refusals.append((spec.locations["algorithm"], message))
    if not _COMPUTE_ENGINE.fullmatch(machine):
        message = f"{shown(machine) if machine else 'no machine'} has no equivalent on Vertex AI."
        hint = "Write scaleTier: CUSTOM and masterType: n1-standard-4, or another of that kind."
        refusals.append((spec.job.locations["machine_type"], f"{message} {hint}"))
    if spec.job.accelerator.startswith("TPU"):
        message = f"{spec.job.accelerator}: the trainer has no use for a TPU. Delete it."
        refusals.append((spec.job.locations["accelerator"], message))
    for name, location in [
        (spec.metric, spec.locations["metric"]),
        *((parameter.name, parameter.locations["name"]) for parameter in spec.parameters),
    ]:
        if not name or re.search(r"\s", name):
            wrong = f"the name {shown(name)} has a space" if name else "the name is empty"
            message = f"{wrong}, which Vertex AI does not allow. Write another."
            refusals.append((location, message))
    for field in spec.left_out:
        refusals.append((spec.locations[field], f"{field} has no equivalent here. Delete it."))
    return [Diagnostic(ERROR, location, message) for location, message in refusals]


def _check_arguments(image: str, job_dir: str, display_name: str) -> None:
    if not _IMAGE.fullmatch(image):
        raise BadCommand(
            f"--image {shown(image)} is not a name with a tag or a digest. Give one such as"
            " us-docker.pkg.dev/PROJECT/REPOSITORY/a2c:1.0."
        )
    if not _BUCKET.fullmatch(job_dir):
        raise BadCommand(
            f"--job-dir {shown(job_dir)} is not a folder in a bucket. Give one such as"
            " gs://BUCKET/JOB."
        )
    if len(display_name) > DISPLAY_NAME_LENGTH:
        raise BadCommand(
            f"The display name has {len(display_name)} characters; at most {DISPLAY_NAME_LENGTH}"
            " are allowed. Give a shorter --display-name."
        )


def _study(spec: StudySpec) -> dict[str, Any]:
    study: dict[str, Any] = {
        "metrics": [{"metricId": spec.metric, "goal": spec.goal}],
        "parameters": [_parameter(parameter) for parameter in spec.parameters],
    }
    if spec.algorithm:
        study["algorithm"] = spec.algorithm
    # The last report is the score of the saved policy; the best one is biased by luck.
    study["measurementSelectionType"] = spec.measurement
    if spec.early_stopping:
        study[_STOPPING[spec.early_stopping]] = {"useElapsedDuration": False}
    return study


def _parameter(parameter: Parameter) -> dict[str, Any]:
    values: dict[str, Any]
    if parameter.type in (DOUBLE, INTEGER):
        kind = float if parameter.type == DOUBLE else int
        assert parameter.low is not None and parameter.high is not None
        values = {"minValue": kind(parameter.low), "maxValue": kind(parameter.high)}
    elif parameter.type == CATEGORICAL:
        values = {"values": list(parameter.words)}
    else:
        values = {"values": [_short(value) for value in parameter.values]}
    translated = {"parameterId": parameter.name, _FIELD_OF[parameter.type]: values}
    if parameter.scale != NO_SCALE:
        translated["scaleType"] = parameter.scale
    return translated


def _trial(job: TrialJob, image: str, job_dir: str, spot: bool) -> dict[str, Any]:
    machine: dict[str, Any] = {"machineType": job.machine_type}
    if job.accelerator:
        machine["acceleratorType"] = job.accelerator
        machine["acceleratorCount"] = job.accelerator_count
    pool: dict[str, Any] = {"machineSpec": machine, "replicaCount": 1}
    if disk := _given(bootDiskType=job.disk_type, bootDiskSizeGb=job.disk_gb):
        pool["diskSpec"] = disk
    pool["containerSpec"] = {
        "imageUri": image,
        **_given(command=list(job.command), args=list(job.args)),
    }
    scheduling = _given(
        timeout=job.timeout,
        strategy="SPOT" if spot or job.spot else "",
        restartJobOnWorkerRestart=job.restart_on_worker_restart,
    )
    return {
        "workerPoolSpecs": [pool],
        "baseOutputDirectory": {"outputUriPrefix": job_dir},
        **_given(
            scheduling=scheduling,
            serviceAccount=job.service_account,
            network=job.network,
            enableWebAccess=job.web_access,
        ),
    }


def _short(value: float) -> int | float:
    """64 for 64.0, which is the same double."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that are not empty."""
    return {name: value for name, value in fields.items() if value}
