"""Reads a search space in the dialect of Vertex AI: `studySpec` and `trialJobSpec`."""

from __future__ import annotations

from tuner.spec.diagnostics import Diagnostic
from tuner.spec.fields import ONE_PROCESS, Fields, with_left_out
from tuner.spec.google_schemas import VERTEX_AI
from tuner.spec.schema import check
from tuner.spec.study_spec import (
    CATEGORICAL,
    CONVEX,
    DECAY_CURVE,
    DISCRETE,
    DOUBLE,
    INTEGER,
    LAST,
    MAXIMIZE,
    MEDIAN,
    NO_SCALE,
    Locations,
    Parameter,
    StudySpec,
    TrialJob,
)
from tuner.spec.yaml_tree import Value

STOPPING = {
    "medianAutomatedStoppingSpec": MEDIAN,
    "decayCurveStoppingSpec": DECAY_CURVE,
    "convexAutomatedStoppingSpec": CONVEX,
}
TYPES = {
    "doubleValueSpec": DOUBLE,
    "integerValueSpec": INTEGER,
    "categoricalValueSpec": CATEGORICAL,
    "discreteValueSpec": DISCRETE,
}
NOT_THE_STUDY = VERTEX_AI.keys() - {"labels", "encryptionSpec", "studySpec", "trialJobSpec"}


def read(tree: Value) -> tuple[StudySpec, list[Diagnostic]]:
    """The study as far as it can be read, and the errors that the service would report."""
    diagnostics = list(check(tree, VERTEX_AI, "the file"))
    root = Fields(tree, tree.location, "the file", diagnostics)
    root.need("studySpec", "trialJobSpec")
    study = root.fields("studySpec")
    study.value("parameters", at="parameters")
    metric = _metric(study)
    parameters = [_parameter(fields) for fields in study.each("parameters", "a parameter")]
    spec = StudySpec(
        metric=metric.text("metricId", at="metric"),
        parameters=tuple(parameter for parameter in parameters if parameter),
        goal=metric.word("goal", MAXIMIZE, at="goal"),
        max_trials=root.integer("maxTrialCount", 1, at="max_trials"),
        max_parallel_trials=root.integer("parallelTrialCount", 1, at="max_parallel_trials"),
        max_failed_trials=root.integer("maxFailedTrialCount", 0, at="max_failed_trials"),
        algorithm=study.word("algorithm", at="algorithm"),
        early_stopping=_early_stopping(study),
        measurement=study.word("measurementSelectionType", LAST, at="measurement"),
        job=_job(root.fields("trialJobSpec")),
        kms_key=root.fields("encryptionSpec").text("kmsKeyName"),
        labels=root.pairs("labels"),
        vertex=True,
        locations=Locations(study.home, root.found),
    )
    return with_left_out(spec, root, NOT_THE_STUDY), diagnostics


def _metric(study: Fields) -> Fields:
    study.need("metrics", "parameters")
    if len(study.items("metrics")) > 1:
        study.refuse("metrics", "the trainer reports one metric. Keep one.")
    if "observationNoise" in study:
        study.refuse("observationNoise", "tuning jobs do not support it. Delete it.")
    metric = study.first("metrics", "a metric")
    metric.need("metricId")
    return metric


def _early_stopping(study: Fields) -> str:
    rules = [field for field in study.content if field in STOPPING and study.value(field)]
    for extra in rules[1:]:
        study.refuse(extra, f"{rules[0]} is a stopping rule already. Keep one.")
    return STOPPING[rules[0]] if rules else ""


def _parameter(fields: Fields) -> Parameter | None:
    fields.need("parameterId")
    name = fields.text("parameterId", at="name")
    fields.name = name or fields.name
    specs = [field for field in fields.content if field in TYPES]
    if len(specs) != 1:
        fields.refuse(
            specs[1] if specs else "",
            f"{fields.name} has {len(specs) or 'none'} of {', '.join(TYPES)}. Write one.",
        )
        return None
    if "conditionalParameterSpecs" in fields:
        wrong = "conditional parameters cannot be searched. Write them as separate parameters."
        fields.refuse("conditionalParameterSpecs", wrong)
    kind, spec = TYPES[specs[0]], fields.fields(specs[0])
    fields.found["type"] = fields.at(specs[0])
    spec.need(*(("minValue", "maxValue") if kind in (DOUBLE, INTEGER) else ("values",)))
    if "defaultValue" in spec:
        spec.refuse("defaultValue", "tuning jobs do not support it. Delete it.")
    return Parameter(
        name,
        kind,
        low=spec.number("minValue", at="low"),
        high=spec.number("maxValue", at="high"),
        words=spec.words("values", at="words") if kind == CATEGORICAL else (),
        values=spec.numbers("values", at="values") if kind == DISCRETE else (),
        scale=fields.word("scaleType", NO_SCALE, at="scale"),
        locations=fields.locations,
    )


def _job(trial: Fields) -> TrialJob:
    trial.need("workerPoolSpecs")
    pool = trial.first("workerPoolSpecs", "a worker pool")
    container, machine = pool.fields("containerSpec"), pool.fields("machineSpec")
    disk, scheduling = pool.fields("diskSpec"), trial.fields("scheduling")
    if len(trial.items("workerPoolSpecs")) > 1:
        trial.refuse("workerPoolSpecs", f"{ONE_PROCESS}. Keep one worker pool.")
    if pool.integer("replicaCount", 1) != 1:
        pool.refuse("replicaCount", f"{ONE_PROCESS}. Write `replicaCount: 1`.")
    if "pythonPackageSpec" not in pool:
        pool.need("containerSpec")
    container.need("imageUri")
    return TrialJob(
        args=container.words("args", at="args"),
        command=container.words("command"),
        image=container.text("imageUri"),
        job_dir=trial.fields("baseOutputDirectory").text("outputUriPrefix"),
        machine_type=machine.text("machineType", at="machine_type"),
        accelerator=machine.word("acceleratorType", at="accelerator"),
        accelerator_count=machine.integer("acceleratorCount", 0),
        disk_gb=disk.integer("bootDiskSizeGb", 0),
        disk_type=disk.text("bootDiskType"),
        timeout=scheduling.text("timeout", at="timeout"),
        spot=scheduling.text("strategy") in ("SPOT", "LOW_COST"),
        restart_on_worker_restart=scheduling.switch("restartJobOnWorkerRestart"),
        service_account=trial.text("serviceAccount"),
        network=trial.text("network"),
        web_access=trial.switch("enableWebAccess"),
        locations=trial.locations,
    )
