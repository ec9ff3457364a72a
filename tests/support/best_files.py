"""What best.json holds, as far as `python -m tuner reproduce` reads it."""

from __future__ import annotations

from typing import Any

BEST: dict[str, Any] = {
    "metric": "mean_score",
    "args": ["--total_steps=2000"],
    "flags": ["--learning_rate=0.01"],
    "test": {"winner": {"interquartile_mean": 90.0, "interval": [80.0, 95.0]}},
    "reproduce": {
        "seed": 2, "seeds": 20, "other_flags": {"gamma": 0.99}, "curve_sha256": "abc",
        "versions": {"trainer": "0.1.0"}, "machine": {"processor": "A"}, "git_commit": None,
    },
}  # fmt: skip
