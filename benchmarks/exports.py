"""The seven forms of one policy: size, time an action, largest difference from float64.

`python -m benchmarks.exports` trains a policy half way, exports it and asks every form a million
observations, up to ten times the range seen in training. Needs requirements/dev.txt, gcc and Node.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import save, table
from tests.conftest import run_module
from tests.support.policy_runtimes import Runtime
from tests.trainer.exports.test_parity import HALF_TRAINED, RANGE, export, reference

BATCH = 10_000  # observations a call; Node's answers must fit on a line
CALLS = 2_000  # of one observation each, for the time an action
FILES = {
    "saved_model": "job/saved_model",
    "keras": "job/model.keras",
    "onnx": "exports/policy.onnx",
    "tflite": "exports/policy.tflite",
    "c": "exports/policy.so",
    "js": "exports/policy.js",
    "numpy": "exports/policy.json",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--observations", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained = run_module("trainer.task", *HALF_TRAINED, "--job-dir", "job", cwd=folder)
        if trained.returncode:
            raise RuntimeError(trained.stderr)
        exported = export(folder / "job", folder / "exports")
        generator = np.random.default_rng(0)
        worst = dict.fromkeys(exported.forms, 0.0)
        asked = 0
        while asked < options.observations:
            scales = 10.0 ** generator.uniform(-3, 1, (BATCH, 1))
            drawn = generator.uniform(-1, 1, (BATCH, 4)) * RANGE * scales
            observations = drawn.astype(np.float32)
            logits = reference(exported.network, observations)
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            expected = powers / powers.sum(axis=1, keepdims=True)
            for form, answer in exported.forms.items():
                difference = np.abs(answer(observations)[0] - expected).max()
                worst[form] = max(worst[form], float(difference))
            asked += BATCH
        rows: list[list[object]] = [
            ["form", "bytes", "microseconds an action", "largest difference"]
        ]
        found = {}
        for form, answer in exported.forms.items():
            size, seconds = _bytes(folder / FILES[form]), seconds_an_action(form, answer)
            found[form] = {"bytes": size, "seconds": seconds, "difference": worst[form]}
            rows.append([form, f"{size:,}", f"{1e6 * seconds:.2f}", f"{worst[form]:.1e}"])
    print(f"{asked:,} observations, {exported.network.parameters:,} parameters\n")
    print(table(rows))
    save("exports", {"observations": asked, "forms": found})


def seconds_an_action(form: str, answer: Runtime) -> float:
    """Of one call; of C, which Python would only slow down, within one call of many.

    C answers an observation twice there: once with probabilities, once with the action.
    """
    many = np.random.default_rng(1).uniform(-1, 1, (100 * CALLS, 4)).astype(np.float32)
    if form == "c":
        start = time.perf_counter()
        answer(many)
        return (time.perf_counter() - start) / len(many) / 2
    answer(many[:1])
    start = time.perf_counter()
    for index in range(CALLS):
        answer(many[index : index + 1])
    return (time.perf_counter() - start) / CALLS


def _bytes(path: Path) -> int:
    return sum(each.stat().st_size for each in ([path] if path.is_file() else path.rglob("*")))


if __name__ == "__main__":
    main()
