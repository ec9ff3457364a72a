"""Stands in for the trainer where the job dir is in a bucket: works here, and mirrors itself there.

Like the trainer, it does not do again what a manifest in the bucket says is done.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent))
import fake_trainer

URL = os.environ["STORAGE_EMULATOR_HOST"]


def ask(path: str, data: bytes | None = None) -> int:
    """The status of an answer, after as many tries as it takes."""
    while True:
        try:
            return int(urllib.request.urlopen(f"{URL}/{path}", data=data, timeout=30).status)
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return error.code
        except OSError:
            pass
        time.sleep(0.1)


def main() -> int:
    at = sys.argv.index("--job-dir") + 1
    bucket, _, prefix = sys.argv[at].removeprefix("gs://").partition("/")
    if ask(f"storage/v1/b/{bucket}/o/{quote(f'{prefix}/manifest.json', safe='')}") == 200:
        print("The bucket holds this very run, finished.")
        return 0
    folder = Path(os.environ["FAKE"]).parent / "jobs" / prefix
    folder.mkdir(parents=True, exist_ok=True)
    sys.argv[at] = str(folder)
    code = fake_trainer.main()
    if code == 0:
        lines = []
        for text in Path(os.environ["CLOUD_ML_HP_METRIC_FILE"]).read_text().splitlines()[:2]:
            report = json.loads(text)
            score = float(report[os.environ["CLOUD_ML_HP_METRIC_TAG"]])
            step = int(report["global_step"])
            lines.append({"step": step, "final": False, "mean_score": score, "scores": [score]})
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        settings = {"versions": {"trainer": "0.1.0"}, "effective": {"solved_at_score": 10.0}}
        (folder / "hyperparameters.json").write_text(json.dumps(settings))
        for name in ("hyperparameters.json", "metrics.jsonl", "manifest.json"):
            object_name = quote(f"{prefix}/{name}", safe="")
            path = f"upload/storage/v1/b/{bucket}/o?uploadType=media&name={object_name}"
            assert ask(path, (folder / name).read_bytes()) == 200
    return code


if __name__ == "__main__":
    raise SystemExit(main())
