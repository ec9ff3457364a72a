"""Our description of both dialects agrees with gcloud's. Skipped if gcloud is not installed."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Any

import pytest

from tuner.spec.google_schemas import AI_PLATFORM, VERTEX_AI
from tuner.spec.schema import ANY, LABELS, NUMBER, SWITCH, TEXT, WHOLE

APIS = "lib/googlecloudsdk/generated_clients/apis"
KINDS = {"StringField": TEXT, "IntegerField": WHOLE, "FloatField": NUMBER, "BooleanField": SWITCH}
NOT_FOR_US = {"BytesField"}  # etag


def classes(module: str) -> dict[str, ast.ClassDef]:
    """The message classes of one of gcloud's APIs, read and not imported."""
    gcloud = shutil.which("gcloud")
    roots = [Path(gcloud).resolve().parent.parent] if gcloud else []
    for root in (*roots, Path("/usr/lib/google-cloud-sdk")):
        if (file := root / APIS / module).is_file():
            body = ast.parse(file.read_text(encoding="utf-8")).body
            return {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    pytest.skip("gcloud is not installed")


def differences(name: str, known: dict[str, ast.ClassDef], ours: Any, path: str) -> list[str]:
    """What differs between gcloud's message `name` and our description of it."""
    found = []
    message = known[name]
    enums = {node.name: node for node in message.body if isinstance(node, ast.ClassDef)}
    theirs = {
        node.targets[0].id: node.value
        for node in message.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
    }
    for field in theirs.keys() ^ ours.keys():
        found.append(f"{path}.{field} is known to one side only")
    for field in theirs.keys() & ours.keys():
        call, mine = theirs[field], ours[field]
        kind = ast.unparse(call.func).removeprefix("_messages.")
        if mine == ANY or kind in NOT_FOR_US:
            continue
        if any(keyword.arg == "repeated" for keyword in call.keywords):
            if not isinstance(mine, list):
                found.append(f"{path}.{field} is a list")
                continue
            (mine,) = mine
        target = ast.literal_eval(call.args[0]) if kind in ("MessageField", "EnumField") else ""
        if kind == "EnumField" and mine == TEXT:  # accelerators
            continue
        if kind == "EnumField":
            words = {
                node.targets[0].id
                for node in enums[target].body
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            }
            if words - {"PARAMETER_TYPE_UNSPECIFIED"} != set(mine):
                found.append(f"{path}.{field}: {words ^ set(mine)}")
        elif target in enums:  # a map
            if mine != LABELS:
                found.append(f"{path}.{field} is a map")
        elif kind == "MessageField":
            found += differences(target, known, mine, f"{path}.{field}")
        elif mine != KINDS[kind]:
            found.append(f"{path}.{field} is a {kind}, but ours is {mine}")
    return found


@pytest.mark.parametrize(
    "module, message, ours",
    [
        ("ml/v1/ml_v1_messages.py", "GoogleCloudMlV1Job", AI_PLATFORM),
        (
            "aiplatform/v1/aiplatform_v1_messages.py",
            "GoogleCloudAiplatformV1HyperparameterTuningJob",
            VERTEX_AI,
        ),
    ],
)
def test_our_fields_and_words_are_gclouds(module: str, message: str, ours: Any) -> None:
    assert differences(message, classes(module), ours, message) == []
