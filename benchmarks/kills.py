"""`python -m benchmarks.kills`: kills a tuner at random moments and starts it again at once.

With `--what node`, a node of the Ray cluster is killed instead, and another one is added. A short
study with the real trainer, with each engine. Every trial must end as it would have ended
undisturbed: no trial fails, and the same one wins with the same flags and scores.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import save, table
from tests.support.ray_machines import Machines

ROOT = Path(__file__).parent.parent
SPACE = (
    (ROOT / "templates" / "smoke.yaml")
    .read_text(encoding="utf-8")
    .replace("total_steps=2000", "total_steps=6000")
    .replace("  - --seeds=2\n", "  - --seeds=2\n  - --video=false\n  - --sync_every=0.5\n")
    .replace("maxParallelTrials: 1", "maxParallelTrials: 2")
    .replace("enableTrialEarlyStopping: true", "enableTrialEarlyStopping: false")
    .replace("    params:", "    algorithm: RANDOM_SEARCH\n    params:")
)
ENGINES = ("stacked", "process", "ray")


class Place:
    """A folder for a study, with one engine."""

    def __init__(self, folder: Path, engine: str, machines: Machines | None) -> None:
        self.folder = folder
        self._flags = ["--engine", engine]
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        if machines is not None:
            self._flags += ["--address", machines.address]
            self._environment |= machines.environment
        folder.mkdir()
        (folder / "space.yaml").write_text(SPACE, encoding="utf-8")

    def start(self) -> subprocess.Popen[bytes]:
        words = ["run", "space.yaml", "--job-dir", "study", "--candidates", "1", *self._flags]
        return subprocess.Popen(
            [sys.executable, "-m", "tuner", *words],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def found(self) -> dict[str, Any]:
        """States of the trials, and what was found of the winner."""
        study = json.loads((self.folder / "study" / "study.json").read_bytes())
        best = json.loads((self.folder / "study" / "best.json").read_bytes())
        trials = study["trainingOutput"]["trials"]
        return {
            "states": [trial["state"] for trial in trials],
            "scores": [trial.get("finalMetric") for trial in trials],
            "winner": {name: best.get(name) for name in ("trial", "flags", "tested")},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20, help="for each engine")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--what", choices=("tuner", "node"), default="tuner", help="is killed")
    options = parser.parse_args()
    if options.what == "node":
        options.engines = ("ray",)
    chance, rows, kept = random.Random(options.seed), [["engine", "kills", "as undisturbed"]], {}
    for engine in options.engines:
        machines = Machines(2) if engine == "ray" else None
        try:
            with tempfile.TemporaryDirectory() as name:
                moments = (options.moments, options.what, chance)
                kept[engine] = try_out(Path(name), engine, machines, *moments)
        finally:
            if machines is not None:
                machines.close()
        good = sum(each["same"] for each in kept[engine])
        rows.append([engine, str(options.moments), str(good)])
    print(table(rows))
    save(f"kills_{options.what}", kept)


def try_out(
    root: Path,
    engine: str,
    machines: Machines | None,
    moments: int,
    what: str,
    chance: random.Random,
) -> list[dict[str, Any]]:
    whole = Place(root / "whole", engine, machines)
    begun = time.monotonic()
    if whole.start().wait():
        raise RuntimeError("the undisturbed study failed")
    seconds, expected = time.monotonic() - begun, whole.found()
    found = []
    for number in range(moments):
        place, moment = Place(root / str(number), engine, machines), chance.uniform(0, seconds)
        killed = place.start()
        try:
            killed.wait(moment)
        except subprocess.TimeoutExpired:
            if what == "tuner":
                killed.kill()
            elif machines is not None:
                machines.lose(machines.nodes.pop(chance.randrange(len(machines.nodes))))
                machines.nodes.append(machines.add())
            killed.wait()
        code = place.start().wait() if what == "tuner" else killed.returncode
        same = code == 0 and place.found() == expected
        found.append({"moment": round(moment, 2), "exit_code": code, "same": same})
        print(f"{engine}, killed after {moment:.1f} s: {'same' if same else 'other'}, exit {code}",
              file=sys.stderr, flush=True)  # fmt: skip
    return found


if __name__ == "__main__":
    main()
