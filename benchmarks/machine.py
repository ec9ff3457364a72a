"""Describes the machine, runs measurements in processes of their own, and writes results."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def describe() -> dict[str, Any]:
    """Processor, available cores, versions and commit."""
    from trainer.contract.provenance import git_commit, versions

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
        "git_commit": git_commit(),
    }


def in_fresh_process(module: str, *arguments: str, timeout: float = 900) -> Any:
    """Returns the JSON that `python -m module arguments` prints in its last line.

    Each measurement has a process of its own, because the thread pools of two frameworks in one
    process slow each other down.
    """
    answer = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "OPENBLAS_NUM_THREADS": "1"},
    )
    if answer.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} failed:\n{answer.stderr[-2000:]}")
    return json.loads(answer.stdout.strip().splitlines()[-1])


def save(name: str, content: dict[str, Any]) -> Path:
    """Writes `benchmarks/results/<name>.json`, including the machine."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": describe()} | content, indent=1) + "\n")
    return path


def table(rows: Sequence[Sequence[object]]) -> str:
    """Returns a Markdown table; the first row is its head."""
    head, *body = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        return f"| {' | '.join(cells)} |"

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, body)])


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
