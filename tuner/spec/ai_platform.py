"""Reads a search space in the dialect of AI Platform: `trainingInput` with `hyperparameters`."""

from __future__ import annotations

from tuner.spec.diagnostics import Diagnostic
from tuner.spec.fields import ONE_PROCESS, Fields, with_left_out
from tuner.spec.google_schemas import AI_PLATFORM
from tuner.spec.schema import check
from tuner.spec.study_spec import (
    CATEGORICAL,
    DISCRETE,
    DOUBLE,
    INTEGER,
    MAXIMIZE,
    MEDIAN,
    NO_SCALE,
    Parameter,
    StudySpec,
    TrialJob,
)
from tuner.spec.yaml_tree import Value

# The service's default for the metric's name.
DEFAULT_METRIC = "training/hptuning/metric"
# The job's name, region and results; gcloud sets these by flags or reads them only.
NOT_THE_STUDY = {"trainingInput.region", *AI_PLATFORM} - {"trainingInput", "labels"}

FIELDS_OF = {
    DOUBLE: ("minValue", "maxValue"),
    INTEGER: ("minValue", "maxValue"),
    CATEGORICAL: ("categoricalValues",),
    DISCRETE: ("discreteValues",),
}
# The Compute Engine types of tiers and of the service's machine types. The other ones have several
# machines, or accelerators that no longer exist.
MACHINES = {
    "BASIC": "n1-standard-4",
    "BASIC_GPU": "n1-standard-8",
    "standard": "n1-standard-4",
    "large_model": "n1-highmem-8",
    "complex_model_s": "n1-highcpu-8",
    "complex_model_m": "n1-highcpu-16",
    "complex_model_l": "n1-highcpu-32",
}
# The tier had a K80, which no longer exists; this is the smallest GPU available.
TIER_GPU = "NVIDIA_TESLA_T4"


ROLE_FIELDS = ("Count", "Type", "Config")


def read(tree: Value) -> tuple[StudySpec, list[Diagnostic]]:
    """The study as far as it can be read, and the errors that the service would report."""
    diagnostics = list(check(tree, AI_PLATFORM, "the file"))
    root = Fields(tree, tree.location, "the file", diagnostics)
    training = root.fields("trainingInput")
    training.need("hyperparameters")
    search = training.fields("hyperparameters")
    search.need("params")
    search.value("params", at="parameters")
    parameters = [_parameter(fields) for fields in search.each("params", "a parameter")]
    spec = StudySpec(
        metric=search.text("hyperparameterMetricTag", DEFAULT_METRIC, at="metric"),
        parameters=tuple(parameter for parameter in parameters if parameter),
        goal=search.word("goal", MAXIMIZE, at="goal"),
        max_trials=search.integer("maxTrials", 1, at="max_trials"),
        max_parallel_trials=search.integer("maxParallelTrials", 1, at="max_parallel_trials"),
        max_failed_trials=search.integer("maxFailedTrials", 0, at="max_failed_trials"),
        algorithm=search.word("algorithm", at="algorithm"),
        early_stopping=MEDIAN if search.switch("enableTrialEarlyStopping") else "",
        resume=search.text("resumePreviousJobId", at="resume"),
        job=_job(training),
        kms_key=training.fields("encryptionConfig").text("kmsKeyName"),
        labels=root.pairs("labels"),
        locations=search.locations,
    )
    return with_left_out(spec, root, NOT_THE_STUDY), diagnostics


def _parameter(fields: Fields) -> Parameter | None:
    name, kind = fields.text("parameterName", at="name"), fields.text("type", at="type")
    fields.name = name or fields.name
    fields.need("parameterName", "type")
    if kind not in FIELDS_OF:
        return None
    own = FIELDS_OF[kind]
    fields.need(*own)
    for field in ("minValue", "maxValue", "categoricalValues", "discreteValues"):
        if field in fields and field not in own:
            owners = " and ".join(owner for owner, names in FIELDS_OF.items() if field in names)
            fields.refuse(
                field, f"{field} belongs to {owners}, but {fields.name} is {kind}. Delete it."
            )
    return Parameter(
        name,
        kind,
        low=fields.number("minValue", at="low") if "minValue" in own else None,
        high=fields.number("maxValue", at="high") if "maxValue" in own else None,
        words=fields.words("categoricalValues", at="words") if kind == CATEGORICAL else (),
        values=fields.numbers("discreteValues", at="values") if kind == DISCRETE else (),
        scale=fields.word("scaleType", NO_SCALE, at="scale"),
        locations=fields.locations,
    )


def _job(training: Fields) -> TrialJob:
    master, scheduling = training.fields("masterConfig"), training.fields("scheduling")
    disk, accelerator = master.fields("diskConfig"), master.fields("acceleratorConfig")
    tier = training.text("scaleTier", "BASIC", at="machine_type")
    machine = training.text("masterType", at="machine_type" if tier == "CUSTOM" else "")
    if tier == "CUSTOM" and "masterType" not in training:
        training.refuse("scaleTier", "CUSTOM has no masterType. Add one: n1-standard-4.")
    if tier != "CUSTOM" and "masterType" in training:
        training.refuse("masterType", f"{tier} sets the machine itself. Write scaleTier: CUSTOM.")
    if "args" in training and {"containerArgs", "containerCommand"} & master.content.keys():
        training.refuse(
            "args", "args cannot be combined with containerArgs or containerCommand. Keep one."
        )
    if tier in ("STANDARD_1", "PREMIUM_1"):
        training.refuse("scaleTier", f"{ONE_PROCESS}, and {tier} is several machines. Write BASIC.")
    for role in ("worker", "parameterServer", "evaluator"):
        given = [field for part in ROLE_FIELDS if (field := f"{role}{part}") in training]
        if given and not (given == [f"{role}Count"] and training.integer(given[0], 1) == 0):
            training.refuse(given[0], f"{ONE_PROCESS}. Delete {' and '.join(given)}.")
    machine = machine if tier == "CUSTOM" else tier
    gpu = tier == "BASIC_GPU"
    return TrialJob(
        args=training.words("args", at="args") or master.words("containerArgs", at="args"),
        command=master.words("containerCommand"),
        image=master.text("imageUri"),
        job_dir=training.text("jobDir"),
        machine_type=MACHINES.get(machine, machine),
        accelerator=accelerator.word("type", TIER_GPU if gpu else "", at="accelerator"),
        accelerator_count=accelerator.integer("count", int(gpu)),
        disk_gb=disk.integer("bootDiskSizeGb", 0),
        disk_type=disk.text("bootDiskType"),
        timeout=scheduling.text("maxRunningTime", at="timeout"),
        spot=scheduling.text("strategy") == "LOW_COST",
        restart_on_worker_restart=scheduling.switch("resilientToWorkerRestart"),
        service_account=training.text("serviceAccount"),
        network=training.text("network"),
        web_access=training.switch("enableWebAccess"),
        locations=training.locations,
    )
