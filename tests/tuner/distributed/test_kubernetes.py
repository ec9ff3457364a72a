"""The template for a cluster: good to its schema, and its command is one of ours."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.conftest import ROOT
from trainer import __version__
from tuner.__main__ import _parser
from tuner.commands import run
from tuner.spec.loader import load
from tuner.study import opening

TEXT = (ROOT / "templates" / "kubernetes.yaml").read_text("utf-8")
DOCUMENTS = list(yaml.safe_load_all(TEXT))
CLAIM, JOB = DOCUMENTS
POD = JOB["spec"]["template"]["spec"]
[WORKER] = POD["containers"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["kind"])
@pytest.mark.parametrize("version", ["1.33", "1.37"])
def test_it_is_good_to_the_schema(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_the_schema_finds_a_misspelt_field() -> None:
    spec = {**JOB["spec"], "backofLimitPerIndex": 1}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**JOB, "spec": spec}, "1.37", strict=True)


def test_its_command_is_one_of_the_tuners() -> None:
    assert WORKER["command"] == ["python", "-m", "tuner"]
    options = _parser().parse_args(WORKER["args"])
    space = (ROOT / "templates" / "hyperparam.yaml").read_bytes()
    plan = run.make_plan(load(space, "f"), options)
    [variable] = [each["name"] for each in WORKER["env"] if "valueFrom" in each]
    environment = {variable: "postgresql://me:secret@db/studies", "HOME": "/tmp"}
    place = opening.place(plan, options, environment)
    assert (place.name, place.environment) == ("a2c", {"HOME": "/tmp"})
    assert str(plan.job_dir).startswith(
        next(m["mountPath"] for m in WORKER["volumeMounts"] if m["name"] == "studies")
    )


def test_each_worker_may_fail_alone_and_none_is_root() -> None:
    spec = JOB["spec"]
    assert spec["completions"] == spec["parallelism"] > 1
    assert spec["completionMode"] == "Indexed" and spec["backoffLimitPerIndex"] > 0
    assert POD["restartPolicy"] == "Never", "which a podFailurePolicy needs"
    assert POD["securityContext"]["runAsNonRoot"] and POD["securityContext"]["runAsUser"] > 0
    names = {volume["name"] for volume in POD["volumes"]}
    assert {mount["name"] for mount in WORKER["volumeMounts"]} == names
    claims = [v["persistentVolumeClaim"] for v in POD["volumes"] if "persistentVolumeClaim" in v]
    assert claims == [{"claimName": CLAIM["metadata"]["name"]}]


def test_what_it_is_made_from_beforehand_has_its_names() -> None:
    lines = [shlex.split(line, comments=True) for line in re.findall("^#   (.*)", TEXT, re.M)]
    made = {tuple(line[1:4]): line[4:] for line in lines if line[1] == "create"}
    [secret] = [each["valueFrom"]["secretKeyRef"] for each in WORKER["env"] if "valueFrom" in each]
    assert made["create", "secret", "generic"] == [
        secret["name"],
        f"--from-file={secret['key']}=FILE",
    ]
    [space] = [volume["configMap"]["name"] for volume in POD["volumes"] if "configMap" in volume]
    [source] = made["create", "configmap", space]
    key, file = source.removeprefix("--from-file=").split("=")
    [mount] = [each for each in WORKER["volumeMounts"] if each["name"] == "space"]
    assert WORKER["args"][1] == f"{mount['mountPath']}/{key}" and (ROOT / file).exists()
    selector = next(line for line in lines if "--selector" in line)
    assert f"job-name={JOB['metadata']['name']}" in selector


def test_its_image_is_the_one_of_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    [recipe] = re.findall(r"^In Kubernetes:.*?\n```\n(.*?)^```", text, re.M | re.S)
    for script in re.findall(r"scripts/\w+\.sh", recipe):
        assert (ROOT / script).exists()
    assert f"--tag {WORKER['image']} " in recipe
    assert f"FROM a2c-cloud-trainer:{__version__}\n" in recipe, "build_image.sh's"
    assert f"COPY a2c_cloud_trainer-{__version__}-py3-none-any.whl /tmp/\n" in recipe
    assert 'requirements("distributed.in")' in (ROOT / "setup.py").read_text("utf-8")
    [entry] = re.findall("^ENTRYPOINT (.*)", recipe, re.M)
    assert json.loads(entry) == WORKER["command"]
