"""Our part of `benchmarks.peers`, in a process without PyTorch: prints the scores as JSON."""

from __future__ import annotations

import json
import sys

from benchmarks.experiment import run

if __name__ == "__main__":
    algorithm, seeds, steps = sys.argv[1:]
    result = run(
        "--algorithm", algorithm, "--seeds", seeds, "--total_steps", steps, "--seed", "2026",
        "--stop_at_score", "none",
    )  # fmt: skip
    print(json.dumps(result.greedy.tolist()))
