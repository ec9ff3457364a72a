"""The policy in Chromium: the same physics as ours, and a game that anybody can play.

The page has nothing but this part; time is the test's own, so that none need wait for it.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium.envs.classic_control.cartpole as gymnasium_cartpole
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

import tuner
from tests.conftest import SUPPORT
from trainer.agents.networks import forward
from trainer.environments import cartpole
from tuner.report.playground import section

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

POLICY = (SUPPORT / "policy.json").read_text(encoding="utf-8")
CARTPOLE_JS = Path(tuner.__file__).with_name("report") / "assets" / "cartpole.js"
UPRIGHT = [0.01, 0.0, 0.02, 0.0]

Page = Any  # Playwright's
Open = Callable[..., Page]


def standalone(policy: str = POLICY) -> str:
    part = section(policy)
    assert part is not None
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>A policy</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" '
        'content="light dark"><style>@media (prefers-color-scheme: dark) { body { background:'
        f" #171c23; color: #e8ecf2 }} }} {part.style}</style><main><h1>A policy</h1>"
        f'<section id="play">{part.markup}</section></main><script>{part.script}</script></html>'
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if program is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Opens the page, paused at step 0 unless `running`; nothing may be fetched or complained."""
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


def state(page: Page) -> dict[str, Any]:
    found = page.evaluate("playIt.state")
    assert isinstance(found, dict)
    return found


def focused(page: Page) -> str:
    """What a reader of the screen hears of the element that has the focus."""
    return str(
        page.evaluate(
            "(e => e.ariaLabel || e.closest('label')?.innerText || e.innerText)"
            "(document.activeElement)"
        )
    ).strip()


# The same physics, the same policy


@pytest.fixture(scope="module")
def calculator(browser: Any) -> Iterator[Page]:
    page = browser.new_page()
    page.add_script_tag(content=CARTPOLE_JS.read_text(encoding="utf-8"))
    yield page
    page.close()


@pytest.fixture(scope="module")
def states() -> NDArray[np.float64]:
    """Well past where episodes end, so that every branch is taken."""
    draws = np.random.default_rng(0).uniform(-1, 1, (4000, 4))
    return np.asarray(draws * [3.0, 4.0, 0.4, 4.0])


def test_a_step_is_gymnasiums_and_ours(calculator: Page, states: NDArray[np.float64]) -> None:
    actions = np.random.default_rng(1).integers(0, 2, len(states))
    after, fallen = calculator.evaluate(
        """([states, actions]) => {
            const after = states.map((state, i) => cartPole.step(state, actions[i]));
            return [after, after.map(cartPole.hasFallen)];
        }""",
        [states.tolist(), actions.tolist()],
    )
    env = gymnasium_cartpole.CartPoleEnv()
    for index, (before, action) in enumerate(zip(states, actions, strict=True)):
        env.state, env.steps_beyond_terminated = tuple(before), None
        _, _, terminated, _, _ = env.step(int(action))
        np.testing.assert_allclose(after[index], env.state, rtol=0, atol=1e-12)
        assert fallen[index] == terminated
    env.close()
    ours = cartpole.step(tf.constant(states), tf.constant(actions))
    np.testing.assert_allclose(after, ours.numpy(), rtol=0, atol=1e-12)
    assert fallen == cartpole.has_fallen(ours).numpy().tolist()
    assert 1000 < sum(fallen) < 3900


def test_a_push_is_a_force_beside_the_policys_own(calculator: Page) -> None:
    """10 N to the left against 20 N to the right are 10 N to the right."""
    both, right, more = calculator.evaluate(
        "s => [cartPole.step(s, 0, 20), cartPole.step(s, 1), cartPole.step(s, 1, 8)]", UPRIGHT
    )
    np.testing.assert_allclose(both, right, atol=1e-15)
    assert more[1] > right[1] and more[3] < right[3]


def test_a_first_state_is_drawn_from_gymnasiums_range(calculator: Page) -> None:
    drawn = np.array(calculator.evaluate("[...Array(1000)].map(() => cartPole.start(Math.random))"))
    assert drawn.shape == (1000, 4)
    assert np.abs(drawn).max() <= cartpole.RESET_RANGE
    assert (drawn.min(axis=0) < -0.045).all() and (drawn.max(axis=0) > 0.045).all()


@pytest.mark.parametrize("snapshot", [0, 1, 2])
def test_the_policy_answers_as_our_networks_do(
    calculator: Page, states: NDArray[np.float64], snapshot: int
) -> None:
    layers = json.loads(POLICY)["snapshots"][snapshot]["layers"]
    logits, odds = calculator.evaluate(
        """([layers, states]) => [
            states.map(state => cartPole.logits(layers, state.map(Math.fround))),
            states.map(state => cartPole.probabilities(layers, state)),
        ]""",
        [layers, states.tolist()],
    )
    observations = states.astype(np.float32)[None]
    network = tuple(
        (np.array([layer["kernel"]], np.float32), np.array([[layer["bias"]]], np.float32))
        for layer in layers
    )
    expected = np.asarray(forward(network, observations, ()))[0].astype(np.float64)
    np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
    powers = np.exp(expected - expected.max(axis=1, keepdims=True))
    np.testing.assert_allclose(odds, powers / powers.sum(axis=1, keepdims=True), atol=2e-6)


# The game


@pytest.mark.parametrize("first", [UPRIGHT, [0.05, 0.05, 0.05, 0.05], [-0.05, 0.05, -0.05, -0.05]])
def test_the_policy_at_the_end_keeps_the_pole_up(open_page: Open, first: list[float]) -> None:
    page = open_page()
    page.evaluate("state => playIt.reset(state)", first)
    after = page.evaluate("playIt.step(1000)")
    assert (after["over"], after["steps"]) == ("stayed up", 500)


def test_the_policy_at_the_start_falls(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("radio", name="start, 0 steps").check()
    page.get_by_role("radio", name="sampled").check()
    for _ in range(5):
        page.evaluate("state => playIt.reset(state)", UPRIGHT)
        after = page.evaluate("playIt.step(1000)")
        assert after["over"] == "fell"
        assert after["steps"] < 200
        assert abs(after["state"][0]) > 2.4 or abs(after["state"][2]) > 0.2094


@pytest.mark.parametrize("rate", [24, 60, 144])
def test_the_pace_is_gymnasiums_whatever_the_displays(open_page: Open, rate: int) -> None:
    script = f"""window.requestAnimationFrame = draw =>
        setTimeout(() => draw(performance.now()), 1000 / {rate})"""
    page = open_page(running=True, script=script)
    page.clock.run_for(500)
    before = state(page)["steps"]
    page.clock.run_for(4000)
    assert state(page)["steps"] - before == pytest.approx(200, abs=5)


def test_a_push_moves_the_cart_and_is_recovered(open_page: Open) -> None:
    page = open_page()
    undisturbed = page.evaluate("playIt.step(60)")["state"]
    page.evaluate("state => playIt.reset(state)", UPRIGHT)
    page.get_by_role("button", name="Play").click()
    page.locator("canvas").focus()
    page.keyboard.press("ArrowRight")  # shorter than a step, so the push is a tap's
    assert state(page)["push"] == 1
    page.clock.run_for(200)
    assert state(page)["push"] == 0
    assert state(page)["state"][0] > undisturbed[0] + 0.01
    page.clock.run_for(9000)
    assert state(page)["over"] is None
    page.clock.run_for(900)
    assert (state(page)["over"], state(page)["steps"]) == ("stayed up", 500)


def test_a_long_push_is_too_much(open_page: Open) -> None:
    page = open_page(running=True)
    page.keyboard.down("ArrowRight")
    page.clock.run_for(6000)
    assert int(page.locator(".play-last").inner_text()) < 300


def test_episodes_follow_each_other(open_page: Open) -> None:
    page = open_page(running=True)
    page.clock.run_for(10_600)
    assert state(page)["over"] == "stayed up"
    assert page.locator(".play-verdict").inner_text() == "stayed up, 500 steps"
    page.clock.run_for(2000)
    assert state(page)["over"] is None
    assert 0 < state(page)["steps"] < 100
    assert page.locator(".play-last").inner_text() == "500"
    assert not page.locator(".play-verdict").is_visible()


def test_the_page_tells_steps_return_and_odds(open_page: Open) -> None:
    page = open_page()
    after = page.evaluate("playIt.step(7)")
    assert page.locator(".play-step").inner_text() == "7"
    assert page.locator(".play-return").inner_text() == "7"
    told = page.locator(".play-percent").all_inner_texts()
    assert told == [f"{round(100 * share)}%" for share in after["odds"]]
    widths = page.eval_on_selector_all(
        ".play-bar > span", "bars => bars.map(bar => bar.getBoundingClientRect().width)"
    )
    assert widths[0] / sum(widths) == pytest.approx(after["odds"][0], abs=0.01)


def test_a_drawn_action_is_as_likely_as_said(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("radio", name="start, 0 steps").check()

    def share_of_right() -> float:
        """Of first actions, told by where the cart goes."""
        return float(
            page.evaluate(
                """state => [...Array(400)].filter(() => {
                    playIt.reset(state);
                    return playIt.step().state[1] > 0;
                }).length / 400""",
                [0.0, 0.0, 0.0, 0.0],
            )
        )

    assert share_of_right() in (0.0, 1.0)
    page.get_by_role("radio", name="sampled").check()
    assert share_of_right() == pytest.approx(state(page)["odds"][1], abs=0.12)


# Hands


def test_either_side_of_the_picture_pushes_under_a_finger(open_page: Open) -> None:
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


def test_what_has_the_focus_can_be_seen(open_page: Open) -> None:
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


# Everybody


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
def test_nothing_sticks_out(open_page: Open, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.eval_on_selector_all(
        "button, label", "all => all.map(e => e.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 44


def test_who_wants_no_motion_gets_none_unasked(open_page: Open) -> None:
    page = open_page(running=True, reduced_motion="reduce")
    page.clock.run_for(2000)
    assert (state(page)["running"], state(page)["steps"]) == (False, 0)
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(1000)
    assert state(page)["steps"] > 40


def test_what_is_read_out_is_little(open_page: Open) -> None:
    """Some ten episodes fall, and one is told of; the next after the visitor did something."""
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
