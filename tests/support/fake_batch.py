"""Stands in for `trainer.batch`: each order says in its first argument how its run is to end."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def answer(number: int, code: int) -> None:
    print(json.dumps({"id": number, "exit_code": code, "cpu_seconds": 1.5}), flush=True)


def report(environ: dict[str, str], value: float) -> None:
    line = {
        "global_step": "10",
        environ["CLOUD_ML_HP_METRIC_TAG"]: str(value),
        "trial": environ["CLOUD_ML_TRIAL_ID"],
        "timestamp": 1.0,
    }
    Path(environ["CLOUD_ML_HP_METRIC_FILE"]).write_text(json.dumps(line) + "\n")


def main() -> int:
    waiting: dict[int, str] = {}
    for line in sys.stdin:
        order = json.loads(line)
        number = order["id"]
        if order.get("stop"):
            if waiting.pop(number, "") != "ignore":
                answer(number, 143)
            continue
        how = order["arguments"][0].removeprefix("--how=")
        with Path(order["log"]).open("a") as log:
            log.write(f"process {os.getpid()} is to {how}\n")
        if how == "succeed":
            report(order["environ"], 7.0)
            answer(number, 0)
        elif how == "fail":
            answer(number, 1)
        elif how == "report nothing":
            answer(number, 0)
        elif how == "die":
            time.sleep(0.2)
            os._exit(9)
        else:
            report(order["environ"], 1.0)
            waiting[number] = how
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
