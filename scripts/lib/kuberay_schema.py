"""Trims KubeRay's CRD of RayJobs to its schema: `python scripts/lib/kuberay_schema.py CRD >OUT`.

CRD is helm-chart/kuberay-operator/crds/ray.io_rayjobs.yaml of a release of KubeRay (Apache-2.0).
Descriptions go, and what occurs more than once, such as pod templates, is written once.
"""

from __future__ import annotations

import collections
import json
import sys
from typing import Any

import yaml

_LEAST = 200  # characters that are worth a definition


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        crd = yaml.load(file, yaml.CSafeLoader)
    [version] = [each for each in crd["spec"]["versions"] if each["name"] == "v1"]
    schema = _bare(version["schema"]["openAPIV3Schema"])
    counts: collections.Counter[str] = collections.Counter()
    _count(schema, counts)
    names: dict[str, str] = {}
    definitions: dict[str, Any] = {}
    top = _shared(schema, counts, names, definitions, top=True)
    json.dump({**top, "$defs": definitions}, sys.stdout, separators=(",", ":"), sort_keys=True)
    print()


def _bare(node: Any, *, names: bool = False) -> Any:
    """Without descriptions; objects take no other fields than theirs.

    Args:
        names: the keys are names of fields, one of which may be `description`.
    """
    if isinstance(node, list):
        return [_bare(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: _bare(value, names=key == "properties" and not names)
        for key, value in node.items()
        if names or not (key == "description" or key.startswith("x-kubernetes-"))
    }
    if not names and "x-kubernetes-int-or-string" in node:
        kept = {"type": ["integer", "string"]}
    elif not names and "properties" in kept and "additionalProperties" not in kept:
        kept["additionalProperties"] = bool(node.get("x-kubernetes-preserve-unknown-fields"))
    return kept


def _text(node: Any) -> str:
    return json.dumps(node, sort_keys=True)


def _count(node: Any, counts: collections.Counter[str]) -> None:
    if isinstance(node, dict):
        if node.get("type") in ("object", "array"):
            counts[_text(node)] += 1
        for value in node.values():
            _count(value, counts)
    elif isinstance(node, list):
        for value in node:
            _count(value, counts)


def _shared(
    node: Any,
    counts: collections.Counter[str],
    names: dict[str, str],
    definitions: dict[str, Any],
    *,
    top: bool = False,
) -> Any:
    if isinstance(node, list):
        return [_shared(each, counts, names, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    text = _text(node) if node.get("type") in ("object", "array") else ""
    if text in names:
        return {"$ref": f"#/$defs/{names[text]}"}
    made = {key: _shared(value, counts, names, definitions) for key, value in node.items()}
    if top or counts[text] < 2 or len(text) < _LEAST:
        return made
    names[text] = str(len(names))
    definitions[names[text]] = made
    return {"$ref": f"#/$defs/{names[text]}"}


if __name__ == "__main__":
    main(sys.argv[1])
