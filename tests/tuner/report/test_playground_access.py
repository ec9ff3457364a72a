"""The playground is accessible, fits its page, and runs no code of others."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from tests.support.playground_page import POLICY, Open, standalone, state

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 390])
def test_axe_finds_nothing(open_page: Open, scheme: str, width: int) -> None:
    found = importlib.util.find_spec("axe_playwright_python")
    assert found is not None and found.origin is not None
    axe = Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.clock.resume()  # axe waits for frames
    page.evaluate(axe)
    for after in ("", "playIt.step(1000)"):
        page.evaluate(after)
        result = page.evaluate("axe.run()")
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in result["violations"]] == []
        assert len(result["passes"]) > 15


@pytest.mark.parametrize("width", [320, 390, 1000])
def test_nothing_overflows_the_page(open_page: Open, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.eval_on_selector_all(
        "button, label", "all => all.map(e => e.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 44


def test_with_reduced_motion_nothing_moves_unasked(open_page: Open) -> None:
    page = open_page(running=True, reduced_motion="reduce")
    page.clock.run_for(2000)
    assert (state(page)["running"], state(page)["steps"]) == (False, 0)
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(1000)
    assert state(page)["steps"] > 40


def test_few_episodes_are_announced(open_page: Open) -> None:
    """Of about ten episodes one is announced; the next one after the visitor does something."""
    page = open_page(running=True)
    page.get_by_role("radio", name="start, 0 steps").check()
    page.get_by_role("radio", name="sampled").check()
    page.evaluate(
        """() => {
            window.said = [];
            new MutationObserver(() => said.push(document.querySelector("[role=status]").innerText))
                .observe(document.querySelector("[role=status]"), { childList: true });
        }"""
    )
    page.clock.run_for(20_000)
    said = page.evaluate("said")
    assert len(said) == 1
    assert re.fullmatch(r"The pole fell after \d+ steps\.", said[0])
    page.get_by_role("button", name="Pause").click()
    assert page.evaluate("said")[1:] == ["Paused."]


@pytest.mark.parametrize("ratio", [1, 2, 3])
def test_the_picture_is_as_sharp_as_the_display(open_page: Open, ratio: int) -> None:
    page = open_page(device_scale_factor=ratio, viewport={"width": 600, "height": 800})
    page.evaluate("playIt.step()")
    columns, wide, inked = page.eval_on_selector(
        "canvas",
        """canvas => {
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const inked = pixels.data.filter((value, i) => i % 4 === 3 && value > 200).length;
            return [canvas.width, canvas.clientWidth, inked];
        }""",
    )
    assert columns == ratio * wide
    assert inked > 2500 * ratio**2


def test_a_policy_from_anywhere_runs_no_code(open_page: Open) -> None:
    policy = json.loads(POLICY)
    labels = ["<img src=x onerror=hit=1>", "</script><script>hit=1</script>", '"><b>']
    for snapshot, label in zip(policy["snapshots"], labels, strict=True):
        snapshot["label"] = label
    page = open_page(standalone(json.dumps(policy)))
    assert page.evaluate("typeof hit") == "undefined"
    assert page.locator("#play :is(img, b, script)").count() == 0
    assert page.get_by_text(labels[0]).count() == 1
