"""Which machine measured, and how measurements are kept apart."""

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
    """Processor, cores at hand, and the versions that matter."""
    from trainer.contract.provenance import git_commit, versions

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
        "git_commit": git_commit(),
    }


def in_fresh_process(module: str, *arguments: str, timeout: float = 900) -> Any:
    """What `python -m module arguments` prints as JSON on its last line.

    A process each: two frameworks' thread pools in one process slow each other down.
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
    """Writes `benchmarks/results/<name>.json`, with the machine in it."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": describe()} | content, indent=1) + "\n")
    return path


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows, the first of them the head, as a Markdown table."""
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
