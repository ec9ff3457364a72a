"""Studies in a bucket, run on machines that share nothing else."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import optuna

from tests.conftest import ROOT, cloudless_environment
from tests.support.storage_server import FaultyStorage
from tuner.search import journal

STUDY = "rl/study"
SPACE = (
    (ROOT / "templates" / "smoke.yaml")
    .read_text(encoding="utf-8")
    .replace("enableTrialEarlyStopping: true", "enableTrialEarlyStopping: false")
)


# Signs of life that tests need not wait for; set before anything else imports them.
QUICK = """
import sys
from trainer.storage import lease
lease.HEARTBEAT, lease.DEAD_AFTER = 0.3, 1.5
from tuner.__main__ import main
from tests.support.tuner_of_fakes import stand_in
raise SystemExit(main(sys.argv[1:], stand_in("fake_cloud_trainer.py")))
"""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class Machine:
    """A folder that a tuner works in, as on a machine of its own, and the bucket it shares."""

    def __init__(self, path: Path, storage: FaultyStorage, shared: Path) -> None:
        self.path, self.storage, self.shared = path, storage, shared
        path.mkdir()
        (path / "space.yaml").write_text(SPACE, encoding="utf-8")
        self.behave({})

    def behave(self, book: Mapping[str, str]) -> None:
        (self.shared / "fake.json").write_text(json.dumps(book), encoding="utf-8")

    def start(
        self, *flags: str, where: str = f"gs://bucket/{STUDY}", script: str = QUICK
    ) -> subprocess.Popen[str]:
        words = ["run", "space.yaml", "--job-dir", where, *flags]
        return subprocess.Popen(
            [sys.executable, "-c", script, *words],
            cwd=self.path,
            env=cloudless_environment()
            | {"FAKE": str(self.shared / "fake.json"), "STORAGE_EMULATOR_HOST": self.storage.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *flags: str, **more: str) -> Ended:
        return end(self.start("--candidates", "1", *flags, **more))

    def starts(self, trial: str) -> int:
        """How often a trial has been trained, wherever."""
        with contextlib.suppress(FileNotFoundError):
            path = self.shared / "jobs" / STUDY / trial / "starts"
            return len(path.read_text(encoding="utf-8").splitlines())
        return 0

    @property
    def local(self) -> Path:
        return self.path / "runs" / "bucket" / STUDY


def end(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return Ended(process.returncode, out, err)


def study_json(storage: FaultyStorage) -> Any:
    return json.loads(storage.objects()[f"{STUDY}/study.json"])


def states(storage: FaultyStorage) -> list[str]:
    """What the study in the bucket says of each trial."""
    kept = journal.read(storage.objects()[f"{STUDY}/study.journal"])
    trials = optuna.load_study(study_name=None, storage=kept).get_trials()
    return [trial.state.name for trial in trials]
