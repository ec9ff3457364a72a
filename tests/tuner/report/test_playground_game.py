"""Episodes of the playground, played by the policy and pushed by the reader."""

from __future__ import annotations

import pytest

from tests.support.playground_page import UPRIGHT, Open, state

pytestmark = pytest.mark.browser


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
def test_the_pace_is_gymnasiums_at_any_refresh_rate(open_page: Open, rate: int) -> None:
    script = f"""window.requestAnimationFrame = draw =>
        setTimeout(() => draw(performance.now()), 1000 / {rate})"""
    page = open_page(running=True, script=script)
    page.clock.run_for(500)
    before = state(page)["steps"]
    page.clock.run_for(4000)
    assert state(page)["steps"] - before == pytest.approx(200, abs=5)


def test_a_push_moves_the_cart_and_is_recovered(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Play").click()
    page.locator("canvas").focus()
    page.keyboard.press("ArrowRight")  # shorter than a step, so the push is a tap's
    assert state(page)["push"] == 1
    page.clock.run_for(200)
    pushed = state(page)
    assert pushed["push"] == 0
    page.clock.run_for(9000)
    assert state(page)["over"] is None
    page.clock.run_for(900)
    assert (state(page)["over"], state(page)["steps"]) == ("stayed up", 500)
    page.evaluate("state => playIt.reset(state)", UPRIGHT)
    undisturbed = page.evaluate("count => playIt.step(count)", pushed["steps"])
    assert pushed["state"][0] > undisturbed["state"][0] + 0.01


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


def test_the_page_shows_steps_return_and_probabilities(open_page: Open) -> None:
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


def test_a_sampled_action_has_the_probability_that_is_shown(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("radio", name="start, 0 steps").check()

    def share_of_right() -> float:
        """The frequency of first actions to the right, from the cart's velocity."""
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
