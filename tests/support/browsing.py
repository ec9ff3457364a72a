"""A page of the tuner's in a browser: opened, drawn, timed."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def program() -> str | None:
    """The path of Chromium or Google Chrome; None where neither is installed."""
    return shutil.which("chromium") or shutil.which("google-chrome")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program())
        yield browser
        browser.close()


def look(
    browser: Browser, file: Path, *, mode: Any = "light", size: Any = WIDE, wait: bool = True
) -> Page:
    """Opens a page; whatever it complains of, or asks a network for, lands in `wrong`."""
    page = browser.new_context(color_scheme=mode, viewport=size).new_page()
    wrong: list[str] = []
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else wrong.append(r.url),
    )
    page.goto(file.as_uri())
    page.wrong = wrong  # type: ignore[attr-defined]
    if wait:
        draw_all(page)
    return page


def draw_all(page: Page) -> None:
    """Charts are drawn when they come near; this goes by all of them."""
    for chart in page.locator("[data-chart]").all():
        chart.scroll_into_view_if_needed()
        chart.locator("svg.main-svg").first.wait_for()


def timed(browser: Browser, file: Path) -> tuple[float, float]:
    """Seconds until a study's page shows its first chart; seconds of its filter, the median."""
    started = time.monotonic()
    page = look(browser, file, wait=False)
    page.wait_for_selector("#chart-stages svg.main-svg")
    loaded = time.monotonic() - started
    took = page.evaluate(
        """() => {
          const filter = document.getElementById("filter"), took = [];
          for (const text of ["9", "score>300", "", "gamma<0.95 3", "nothing fits", ""]) {
            const start = performance.now();
            filter.value = text;
            filter.dispatchEvent(new Event("input"));
            document.body.offsetHeight; // laid out
            took.push(performance.now() - start);
          }
          return took;
        }"""
    )
    page.context.close()
    return loaded, statistics.median(took) / 1000
