"""Prints the packages that are installed here, as a CycloneDX document.

    python - NAME VERSION REVISION < sbom.py

It runs inside the image, so it uses only the standard library. It has no timestamp and no serial
number, so the same image gives the same document.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from typing import Any
from urllib.parse import quote


def component(kind: str, name: str, version: str, purl: str, license_: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind, "name": name, "version": version}
    if license_:
        found["licenses"] = [{"license": {"name": license_}}]
    return {**found, "purl": purl, "bom-ref": purl}


def python_packages() -> Iterator[dict[str, Any]]:
    for package in distributions():
        name, version, facts = package.name, package.version, package.metadata
        # Some packages have the whole text of their license here; the first line names it.
        license_ = (facts.get_all("License-Expression") or facts.get_all("License") or [""])[0]
        purl = f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{version}"
        first_line = license_.strip().partition("\n")[0]
        yield component("library", name, version, purl, first_line)


def debian_packages() -> Iterator[dict[str, Any]]:
    query = ["dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\n"]
    for line in subprocess.run(query, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    ):
        if line:
            name, version, architecture = line.split()
            purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}"
            yield component("library", name, version, purl)


def document(name: str, version: str, revision: str) -> dict[str, Any]:
    python = platform.python_version()
    parts = [
        component("platform", "cpython", python, f"pkg:generic/cpython@{python}"),
        *python_packages(),
        *debian_packages(),
    ]
    image: dict[str, Any] = component("container", name, version, f"pkg:generic/{name}@{version}")
    image["properties"] = [{"name": "org.opencontainers.image.revision", "value": revision}]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": image},
        "components": sorted(parts, key=lambda part: part["purl"]),
    }


if __name__ == "__main__":
    json.dump(document(*sys.argv[1:]), sys.stdout, indent=2)
    print()
