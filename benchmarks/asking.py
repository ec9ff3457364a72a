"""`python -m benchmarks.asking`: what it costs to ask for a trial, over the trials so far.

The time is the processor's, for the search of `templates/hyperparam.yaml` with TPE: reading what
the last trial came to, asking, and writing the new trial down. Aim: 50 ms after 1,000 trials.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe, save, table
from tuner.execution.trial import SUCCEEDED, Outcome
from tuner.search.objective import Scores
from tuner.search.trial_store import Study
from tuner.spec.loader import load

TEMPLATE = Path(__file__).parent.parent / "templates" / "hyperparam.yaml"
REPEATS = 20


def costs(trials: int) -> dict[int, list[float]]:
    """Seconds of each of the last asks before every quarter of the trials."""
    spec = load(TEMPLATE.read_bytes(), str(TEMPLATE))
    found: dict[int, list[float]] = {}
    marks = [trials * quarter // 4 for quarter in (1, 2, 3, 4)]
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder), spec.parameters, "", "MAXIMIZE", {}, {})
        for number in range(1, trials + 1):
            start = time.process_time()
            record = study.ask()
            seconds = time.process_time() - start
            assert record is not None
            mark = next(mark for mark in marks if number <= mark)
            if number > mark - REPEATS:
                found.setdefault(mark, []).append(seconds)
            value = random.Random(number).random()
            outcome = Outcome(SUCCEEDED, "", 0, (), 1.0, 1.0)
            study.tell(record.number, outcome, Scores((value,)), value)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    found = costs(parser.parse_args().trials)
    print(f"{describe()['processor']}; medians of {REPEATS} asks\n")
    rows = [[trials, f"{statistics.median(found[trials]) * 1000:.0f} ms"] for trials in found]
    print(table([["trials so far", "an ask"], *rows]))
    save("asking", {"seconds": {str(trials): seconds for trials, seconds in found.items()}})


if __name__ == "__main__":
    main()
