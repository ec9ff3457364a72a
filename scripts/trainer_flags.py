"""Writes tuner/trainer_flags.json: what the trainer's flags take, for the tuner to know.

The tuner never imports the trainer, so this list is the one thing that they share besides the
cloud's contract. Run it after a change in trainer/config.py; a test says when.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "tuner" / "spec" / "trainer_flags.json"


def text() -> str:
    """The file as it must be."""
    sys.path.insert(0, str(ROOT))
    from trainer.contract.presets import PRESETS
    from trainer.contract.settings import UNUSED, Hyperparameters, RunOptions

    flags = []
    for field in (*dataclasses.fields(Hyperparameters), *dataclasses.fields(RunOptions)):
        limits = field.metadata["range"]
        flag: dict[str, Any] = {"name": field.name, "kind": field.type, "default": field.default}
        if limits:
            flag["low"] = limits.low
            flag["low_open"] = limits.low_open
            flag["high"] = None if limits.high == math.inf else limits.high
        if field.metadata["choices"]:
            flag["choices"] = field.metadata["choices"]
        unused_by = [name for name, unused in UNUSED.items() if field.name in unused]
        if unused_by:
            flag["unused_by"] = unused_by
        presets = [
            (*who, chosen[field.name]) for who, chosen in PRESETS.items() if field.name in chosen
        ]
        if presets:
            flag["presets"] = presets
        flags.append(flag)
    return "[\n" + ",\n".join(f"  {json.dumps(flag)}" for flag in flags) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
