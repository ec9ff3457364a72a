"""The fields of both dialects, as in gcloud, in the form that `schema` checks."""

from __future__ import annotations

from typing import Any

from tuner.spec.schema import ANY, LABELS, NUMBER, SWITCH, TEXT, WHOLE
from tuner.spec.study_spec import (
    BEST,
    CATEGORICAL,
    DISCRETE,
    DOUBLE,
    GRID,
    INTEGER,
    LAST,
    LINEAR,
    LOG,
    MAXIMIZE,
    MINIMIZE,
    NO_SCALE,
    POPULATION,
    RANDOM,
    REVERSE_LOG,
)


def _each(names: str, description: Any) -> dict[str, Any]:
    return {name: description for name in names.split()}


GOALS = (MAXIMIZE, MINIMIZE, "GOAL_TYPE_UNSPECIFIED")

# AI Platform: GoogleCloudMlV1Job
REPLICA = {
    **_each("imageUri tpuTfVersion", TEXT),
    **_each("containerArgs containerCommand", [TEXT]),
    "diskConfig": {"bootDiskSizeGb": WHOLE, "bootDiskType": TEXT},
    "acceleratorConfig": {
        "count": WHOLE,
        "type": TEXT,  # accelerators come and go
    },
}
HYPERPARAMETERS = {
    "goal": GOALS,
    **_each("hyperparameterMetricTag resumePreviousJobId", TEXT),
    **_each("maxTrials maxParallelTrials maxFailedTrials", WHOLE),
    "enableTrialEarlyStopping": SWITCH,
    "algorithm": ("ALGORITHM_UNSPECIFIED", GRID, RANDOM, POPULATION),
    "params": [
        {
            "parameterName": TEXT,
            "type": (DOUBLE, INTEGER, CATEGORICAL, DISCRETE),
            **_each("minValue maxValue", NUMBER),
            "categoricalValues": [TEXT],
            "discreteValues": [NUMBER],
            "scaleType": (NO_SCALE, LINEAR, LOG, REVERSE_LOG),
        }
    ],
}
AI_PLATFORM = {
    "jobId": TEXT,
    "labels": LABELS,
    "trainingInput": {
        "hyperparameters": HYPERPARAMETERS,
        "scaleTier": ("BASIC", "STANDARD_1", "PREMIUM_1", "BASIC_GPU", "BASIC_TPU", "CUSTOM"),
        **_each("masterConfig workerConfig parameterServerConfig evaluatorConfig", REPLICA),
        **_each("masterType workerType parameterServerType evaluatorType", TEXT),
        **_each("workerCount parameterServerCount evaluatorCount", WHOLE),
        **_each("args packageUris", [TEXT]),
        **_each("pythonModule pythonVersion runtimeVersion", TEXT),
        **_each("jobDir region network serviceAccount", TEXT),
        **_each("enableWebAccess useChiefInTfConfig", SWITCH),
        "encryptionConfig": {"kmsKeyName": TEXT},
        "scheduling": {
            **_each("maxRunningTime maxWaitTime", TEXT),
            "priority": WHOLE,
            "resilientToWorkerRestart": SWITCH,
            "strategy": ("STRATEGY_UNSPECIFIED", "ON_DEMAND", "LOW_COST"),
        },
        "nasJobSpec": ANY,
    },
    # Filled in by the service, or of jobs that do not train.
    **_each("createTime startTime endTime state errorMessage etag jobPosition", ANY),
    **_each("trainingOutput predictionInput predictionOutput", ANY),
    **_each("explanationInput explanationOutput", ANY),
}

# Vertex AI: GoogleCloudAiplatformV1HyperparameterTuningJob
STUDY_SPEC = {
    "metrics": [
        {
            "metricId": TEXT,
            "goal": GOALS,
            "safetyConfig": _each("desiredMinSafeTrialsFraction safetyThreshold", NUMBER),
        }
    ],
    "parameters": [
        {
            "parameterId": TEXT,
            "doubleValueSpec": _each("minValue maxValue defaultValue", NUMBER),
            "integerValueSpec": _each("minValue maxValue defaultValue", WHOLE),
            "categoricalValueSpec": {"values": [TEXT], "defaultValue": TEXT},
            "discreteValueSpec": {"values": [NUMBER], "defaultValue": NUMBER},
            "scaleType": ("SCALE_TYPE_UNSPECIFIED", LINEAR, LOG, REVERSE_LOG),
            "conditionalParameterSpecs": ANY,
        }
    ],
    "algorithm": ("ALGORITHM_UNSPECIFIED", GRID, RANDOM),
    "measurementSelectionType": ("MEASUREMENT_SELECTION_TYPE_UNSPECIFIED", LAST, BEST),
    "observationNoise": ("OBSERVATION_NOISE_UNSPECIFIED", "LOW", "HIGH"),
    **_each("medianAutomatedStoppingSpec decayCurveStoppingSpec", {"useElapsedDuration": SWITCH}),
    "convexAutomatedStoppingSpec": {
        **_each("maxStepCount minStepCount minMeasurementCount", WHOLE),
        **_each("updateAllStoppedTrials useElapsedDuration", SWITCH),
        "learningRateParameterName": TEXT,
    },
    "studyStoppingConfig": {
        **_each("maxNumTrials maxNumTrialsNoProgress minNumTrials", WHOLE),
        **_each(
            "maximumRuntimeConstraint minimumRuntimeConstraint", _each("endTime maxDuration", TEXT)
        ),
        "shouldStopAsap": SWITCH,
        "maxDurationNoProgress": TEXT,
    },
}
ENVIRONMENT = [_each("name value", TEXT)]
WORKER_POOL = {
    "machineSpec": {
        **_each("machineType tpuTopology acceleratorType", TEXT),
        "acceleratorCount": WHOLE,
        "reservationAffinity": ANY,
    },
    "replicaCount": WHOLE,
    "containerSpec": {"imageUri": TEXT, **_each("command args", [TEXT]), "env": ENVIRONMENT},
    "pythonPackageSpec": {
        **_each("executorImageUri pythonModule", TEXT),
        **_each("packageUris args", [TEXT]),
        "env": ENVIRONMENT,
    },
    "diskSpec": {"bootDiskSizeGb": WHOLE, "bootDiskType": TEXT},
    "nfsMounts": [_each("mountPoint path server", TEXT)],
}
VERTEX_AI = {
    "displayName": TEXT,
    "labels": LABELS,
    "encryptionSpec": {"kmsKeyName": TEXT},
    **_each("maxTrialCount parallelTrialCount maxFailedTrialCount", WHOLE),
    "studySpec": STUDY_SPEC,
    "trialJobSpec": {
        "workerPoolSpecs": [WORKER_POOL],
        "baseOutputDirectory": {"outputUriPrefix": TEXT},
        "scheduling": {
            **_each("timeout maxWaitDuration", TEXT),
            **_each("disableRetries restartJobOnWorkerRestart", SWITCH),
            "strategy": (
                *("STRATEGY_UNSPECIFIED", "STANDARD", "SPOT", "FLEX_START"),
                *("ON_DEMAND", "LOW_COST"),  # older words for STANDARD and SPOT
            ),
        },
        **_each("enableDashboardAccess enableWebAccess", SWITCH),
        **_each("experiment experimentRun network persistentResourceId serviceAccount", TEXT),
        **_each("protectedArtifactLocationId tensorboard", TEXT),
        **_each("models reservedIpRanges", [TEXT]),
    },
    # Filled in by the service.
    **_each("name state error trials createTime startTime endTime updateTime", ANY),
    **_each("satisfiesPzi satisfiesPzs", ANY),
}
