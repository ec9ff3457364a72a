"""Stands in for the trainer: takes its command and environment, and behaves as it is told to.

The last `--learning_rate` decides its score. `--how` says how it behaves, or `$FAKE` names a JSON
file: trial -> how.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def flags(words: list[str]) -> dict[str, str]:
    found = {}
    while words:
        name, equals, value = words.pop(0).removeprefix("--").partition("=")
        found[name] = value if equals else words.pop(0)
    return found


def report(*lines: object) -> None:
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    Path(os.environ["CLOUD_ML_HP_METRIC_FILE"]).write_text(text, encoding="utf-8")


def line(step: int, value: object) -> dict[str, object]:
    tag, trial = os.environ["CLOUD_ML_HP_METRIC_TAG"], os.environ["CLOUD_ML_TRIAL_ID"]
    return {"global_step": str(step), tag: str(value), "trial": trial, "timestamp": 1.0}


def book_of(job_dir: Path) -> Path:
    """Where `$FAKE` says, or on a machine without it above the job dir."""
    above = (folder / "fake.json" for folder in job_dir.absolute().parents)
    return Path(os.environ.get("FAKE") or next(path for path in above if path.exists()))


def main() -> int:
    given = flags(sys.argv[1:])
    job_dir = Path(given["job-dir"])
    trial = os.environ["CLOUD_ML_TRIAL_ID"]
    stage, how = job_dir.parent.name.split("-")[0], given.get("how", "")
    if not how:
        book = json.loads(book_of(job_dir).read_text(encoding="utf-8"))
        how = book.get(f"{stage} {trial}", book.get(trial, book.get("all", "succeed")))
    with (job_dir / "starts").open("a") as file:
        file.write(f"{os.getpid()} {json.dumps(sys.argv[1:])} {os.environ['TF_CONFIG']}\n")
    (job_dir / "environment").write_text(repr(dict(os.environ)), encoding="utf-8")
    print(f"I am to {how}", flush=True)
    seeds, rate = int(float(given.get("seeds", 1))), float(given.get("learning_rate", 0.01))
    scores = [100.0 - 1000 * abs(rate - 0.02) - agent for agent in range(seeds)]
    mean = sum(scores) / seeds
    if os.environ.get("FAKE_DISK") == "full":
        print(f"ERROR: The run could not go on: {os.strerror(28)} ({job_dir}).")
        return 1
    if how == "fail":
        print("something\nwent wrong\n\n")
        return 1
    if how == "refuse":
        print("`gamma` must be good, but is not.")
        return 2
    if how == "ruin the study":
        (job_dir.parent / "study.journal").write_bytes(b"ruined " * 1000)
    if how == "report nothing":
        return 0
    if how == "diverge":
        report(line(10, "nan"), line(20, "inf"))
        return 0
    if how == "do badly":
        report(line(10, 1.0))
        time.sleep(60)
    if how in ("hang", "ignore signals", "work and hang"):
        while how == "work and hang" and time.process_time() < 1.6:
            pass
        if how == "ignore signals":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        report(line(10, 50.0))
        (job_dir / "hangs").touch()
        time.sleep(60)
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how.startswith("wait for "):
        while not Path(os.environ["FAKE"]).with_name(how.split()[-1]).exists():
            time.sleep(0.05)
    elif how.startswith("wait"):
        time.sleep(float(how.split()[1]))
    report(line(10, 0.5 * mean), line(20, mean), '{"global_step": "30", "mean_sc')
    content = {
        "state": "succeeded",
        "scores": {
            "scores": scores,
            "sampled_mean_score": mean - 1,
            "steps": [1000] * seeds,
            "steps_to_solve": [500] * (seeds - 1) + [None],
            "stayed_solved": [True] * (seeds - 1) + [None],
        },
    }
    if how != "leave no manifest":
        (job_dir / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
