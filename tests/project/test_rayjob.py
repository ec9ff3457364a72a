"""The RayJob for Kubernetes is one that KubeRay takes, and safe as it stands."""

from __future__ import annotations

import json
import shlex
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import ROOT, SUPPORT
from tuner.__main__ import parser

SCHEMA = json.loads((SUPPORT / "kuberay" / "rayjob.schema.json").read_bytes())
JOB: Any = yaml.safe_load((ROOT / "templates" / "rayjob.yaml").read_bytes())
CLUSTER = JOB["spec"]["rayClusterSpec"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]


def test_kuberay_takes_it() -> None:
    jsonschema.validate(JOB, SCHEMA)


def test_the_schema_finds_a_misspelt_field() -> None:
    wrong = json.loads(json.dumps(JOB))
    wrong["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["container"] = []
    with pytest.raises(jsonschema.ValidationError, match="container"):
        jsonschema.validate(wrong, SCHEMA)


def test_the_command_is_one_of_the_tuner() -> None:
    words = shlex.split(JOB["spec"]["entrypoint"])
    assert words[:3] == ["python", "-m", "tuner"]
    options = parser(["run"]).parse_args(words[3:])
    assert (options.engine, options.job_dir) == ("ray", "gs://BUCKET/study")


def test_the_cluster_asks_for_a_token_and_grows_by_itself() -> None:
    assert CLUSTER["authOptions"] == {"mode": "token"}
    assert CLUSTER["enableInTreeAutoscaling"] is True
    assert CLUSTER["workerGroupSpecs"][0]["minReplicas"] == 0


def test_the_versions_of_image_and_cluster_agree() -> None:
    pinned = (ROOT / "requirements" / "ray_worker.txt").read_text(encoding="utf-8")
    assert f"ray=={CLUSTER['rayVersion']} " in pinned
    images = {each["template"]["spec"]["containers"][0]["image"] for each in GROUPS}
    assert len(images) == 1


def test_the_head_runs_no_trials() -> None:
    assert CLUSTER["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
