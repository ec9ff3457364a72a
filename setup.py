"""Packages trainer and tuner, for training services and `pip install .`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def version() -> str:
    """The version, read as text: an import needs packages that may not be installed yet."""
    source = (ROOT / "trainer" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    if found is None:
        raise SystemExit("setup.py: trainer/__init__.py has no __version__")
    return found[1]


def requirements(name: str) -> list[str]:
    """The unpinned requirements, from which scripts/lock.sh makes the pinned ones."""
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


setup(
    name="a2c-cloud-trainer",
    version=version(),
    description="A trainer of policy-gradient and actor-critic agents, made to be tuned",
    license="Apache-2.0",
    packages=find_packages(include=["trainer", "trainer.*", "tuner", "tuner.*"]),
    package_data={
        "trainer": ["py.typed", "contract/policy.js", "exports/templates/*"],
        "tuner": ["py.typed", "report/assets/*"],
    },
    python_requires=">=3.11",
    install_requires=requirements("base.in"),
    extras_require={
        "box2d": ["gymnasium[box2d]"],
        "tuner": requirements("tuner.in"),
        "ray": [*requirements("tuner.in"), *requirements("ray.in")],
        "export": requirements("export.in"),
        "dev": requirements("dev.in"),
    },
)
