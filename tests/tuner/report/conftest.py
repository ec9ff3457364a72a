"""Job dirs to report on, and a browser to look at the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.job_dirs import write_run, write_study
from tests.support.playground_page import UPRIGHT, Open, Page, standalone


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "study"
    write_study(folder, 12)
    return folder


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Trials of a service: two ended, one is unfinished, one is damaged, one has not started."""
    for trial, rate in ((1, 0.01), (2, 0.02)):
        write_run(tmp_path / "job" / str(trial), [100.0 * trial, 100.0 * trial + 10],
                  {"learning_rate": rate})  # fmt: skip
    write_run(tmp_path / "job" / "3", [1.0], {"learning_rate": 0.03}, finished=False)
    write_run(tmp_path / "job" / "4", [1.0], {"learning_rate": 0.04})
    (tmp_path / "job" / "4" / "manifest.json").write_bytes(b'{"scores": {"sco')
    (tmp_path / "job" / "5").mkdir()
    return tmp_path / "job"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    browsing = pytest.importorskip("tests.support.browsing")  # it needs Playwright
    if browsing.program() is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with browsing.chromium() as chromium:
        yield chromium


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Opens the page, paused at step 0 unless `running`; the page may fetch and log nothing."""
    said, contexts = [], []

    def open_it(
        content: str | None = None, *, running: bool = False, script: str = "", **options: Any
    ) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url))
        page.add_init_script(script)
        page.clock.install()
        page.clock.pause_at(page.evaluate("Date.now() + 1000"))
        page.set_content(standalone() if content is None else content)
        if not running:
            page.get_by_role("button", name="Pause").click()
            page.evaluate("state => playIt.reset(state)", UPRIGHT)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert said == []
