"""`python -m benchmarks.page`: how long the report page of a study of 1,000 trials takes.

Measures how long it takes to write the page, to load it up to the first chart, and to filter its
table, alternately with a page of 12 trials. Needs Chromium and `requirements/dev.txt`.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import save, table

FEW, MANY = 12, 1000
LOADS_WITHIN, FILTERS_WITHIN = 3.0, 0.1  # seconds
REPEATS = 7


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    if importlib.util.find_spec("playwright") is None:
        sys.exit("Playwright is not installed. Install requirements/dev.txt.")
    from tests.support import browsing
    from tests.support.job_dirs import write_study
    from tuner.report.files import open_files
    from tuner.report.gather import gather
    from tuner.report.html import render

    if browsing.program() is None:
        sys.exit("Chromium is not installed. Install the package chromium.")
    with tempfile.TemporaryDirectory() as folder, browsing.chromium() as browser:
        pages, found = {}, {}
        for trials in (FEW, MANY):
            write_study(Path(folder, str(trials)), trials, films=3)
            started = time.monotonic()
            text = render(gather(open_files(str(Path(folder, str(trials))))))
            pages[trials] = Path(folder, f"{trials}.html")
            pages[trials].write_text(text, encoding="utf-8")
            found[trials] = {
                "seconds_to_make": time.monotonic() - started,
                "megabytes": pages[trials].stat().st_size / 1e6,
            }
        times = [{n: browsing.timed(browser, file) for n, file in pages.items()}
                 for _ in range(REPEATS)]  # fmt: skip
    rows: list[list[object]] = [["trials", "MB", "written, s", "loaded, s", "filtered, ms"]]
    for trials, each in found.items():
        loads, filters = zip(*(time[trials] for time in times), strict=True)
        each["seconds_to_load"] = statistics.median(loads)
        each["seconds_to_filter"] = statistics.median(filters)
        rows.append(
            [f"{trials:,}", f"{each['megabytes']:.1f}", f"{each['seconds_to_make']:.1f}",
             f"{each['seconds_to_load']:.1f}", f"{each['seconds_to_filter'] * 1000:.1f}"]
        )  # fmt: skip
    print(table(rows))
    print(f"\ntargets for {MANY:,} trials: loaded within {LOADS_WITHIN:g} s, filtered within"
          f" {FILTERS_WITHIN * 1000:g} ms; medians of {REPEATS}")  # fmt: skip
    save("page", {str(trials): each for trials, each in found.items()})


if __name__ == "__main__":
    main()
