"""Fields without an equivalent on Vertex AI are refused by name."""

from __future__ import annotations

import pytest

from tests.support.vertex_jobs import STUDY, translated
from trainer.contract.errors import BadCommand
from tuner.spec.diagnostics import InvalidSpec


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
            "17:30: error: the name mean score has a space, which Vertex AI does not allow. Write"
            " another.",
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
def test_fields_without_an_equivalent_are_refused_by_name(old: str, new: str, message: str) -> None:
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
    with pytest.raises(BadCommand, match="is not a name with a tag or a digest"):
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
    with pytest.raises(BadCommand, match="is not a folder in a bucket"):
        translated(job_dir=job_dir)


def test_a_display_name_has_its_limit() -> None:
    with pytest.raises(BadCommand, match="has 129 characters; at most 128"):
        translated(display_name="x" * 129)
