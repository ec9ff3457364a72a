"""The door between the packages: what the tuner imports of the trainer loads without TensorFlow."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT, cloudless_environment

PROGRAM = """
import importlib, pkgutil, sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras"):
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Forbidden())
package = importlib.import_module(sys.argv[1])
modules = [found.name for found in pkgutil.walk_packages(package.__path__, f"{sys.argv[1]}.")]
for name in modules:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(modules))
"""


@pytest.mark.parametrize("package", ["trainer.contract", "trainer.storage", "tuner"])
def test_a_package_loads_without_tensorflow(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, package],
        cwd=ROOT,
        env=cloudless_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 3
