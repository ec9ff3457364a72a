"""The playground is controlled by keys, a mouse or a finger."""

from __future__ import annotations

import pytest

from tests.support.playground_page import Open, Page, standalone, state

pytestmark = pytest.mark.browser


def focused(page: Page) -> str:
    """What a reader of the screen hears of the element that has the focus."""
    return str(
        page.evaluate(
            "(e => e.ariaLabel || e.closest('label')?.innerText || e.innerText)"
            "(document.activeElement)"
        )
    ).strip()


def test_touching_either_side_of_the_picture_pushes_the_cart(open_page: Open) -> None:
    page = open_page(running=True, has_touch=True)
    box = page.locator("canvas").bounding_box()
    for share, direction in ((0.1, -1), (0.9, 1)):
        page.touchscreen.tap(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        assert state(page)["push"] == direction
        page.clock.run_for(300)
        assert state(page)["push"] == 0


def test_a_button_pushes_as_long_as_the_mouse_is_down(open_page: Open) -> None:
    page = open_page(running=True)
    for name, direction in (("Push left", -1), ("Push right", 1)):
        page.get_by_role("button", name=name).hover()
        page.mouse.down()
        page.clock.run_for(200)
        assert state(page)["push"] == direction
        page.mouse.up()
        page.clock.run_for(200)
        assert state(page)["push"] == 0


def test_a_key_that_is_let_go_elsewhere_pushes_no_more(open_page: Open) -> None:
    page = open_page(running=True)
    page.keyboard.down("ArrowLeft")
    page.clock.run_for(200)
    assert state(page)["push"] == -1
    page.evaluate("window.dispatchEvent(new Event('blur'))")
    page.clock.run_for(200)
    assert state(page)["push"] == 0


def test_the_keyboard_alone_suffices(open_page: Open) -> None:
    page = open_page(running=True)
    page.keyboard.press("Tab")
    assert focused(page) == "A pole on a cart"
    page.keyboard.press("ArrowLeft")
    assert state(page)["push"] == -1
    page.clock.run_for(1000)
    page.keyboard.press("Space")
    assert state(page)["running"] is False
    page.keyboard.press("r")
    assert state(page)["steps"] == 0
    page.keyboard.press("Space")
    for name, direction in (("Push left", -1), ("Push right", 1)):
        page.keyboard.press("Tab")
        assert focused(page) == name
        page.keyboard.press("Enter")
        assert state(page)["push"] == direction
        page.clock.run_for(300)
    page.keyboard.press("Tab")
    assert focused(page) == "Pause"
    page.keyboard.press("Enter")
    assert state(page)["running"] is False
    page.keyboard.press("Tab")
    assert focused(page) == "New episode"
    page.keyboard.press("Space")
    assert state(page)["steps"] == 0
    page.keyboard.press("Tab")
    assert focused(page) == "end, 35,072 steps, score 500"
    page.keyboard.press("ArrowLeft")
    assert state(page)["label"] == "middle"
    assert state(page)["push"] == 0
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert state(page)["greedy"] is False


def test_the_focused_element_is_visible(open_page: Open) -> None:
    page = open_page(running=True)
    for _ in range(7):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            """(element => {
                const seen = element.type === "radio" ? element.nextElementSibling : element;
                const { outlineStyle, outlineWidth } = getComputedStyle(seen);
                return [outlineStyle, parseFloat(outlineWidth)];
            })(document.activeElement)"""
        )
        assert outline == ["solid", 3], focused(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement === document.body")


def test_keys_of_others_are_left_alone(open_page: Open) -> None:
    page = open_page(standalone().replace("<main>", "<main><textarea aria-label='a'></textarea>"))
    page.get_by_role("button", name="Play").click()
    page.get_by_role("textbox").fill("ab")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    assert page.get_by_role("textbox").input_value() == "a b"
    assert state(page)["push"] == 0
    assert state(page)["running"] is True
