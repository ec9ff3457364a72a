"""A policy's file becomes a part of a page, or none; never anything that the file wants to be.

policy.json is what `python -m trainer.task --hidden_neurons 16` leaves.
"""

from __future__ import annotations

import copy
import json
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import SUPPORT
from tuner.report.playground import Part, section

POLICY = (SUPPORT / "policy.json").read_text(encoding="utf-8")
VOID = {"input"}


class Elements(HTMLParser):
    """The elements of some HTML, with their attributes; those that stay open in `open`."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Of SVG, which may close an element at once."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def part_of(policy: Any) -> Part:
    part = section(json.dumps(policy))
    assert part is not None
    return part


def radios(part: Part) -> list[dict[str, str | None]]:
    return [
        attributes
        for tag, attributes in Elements(part.markup).found
        if tag == "input" and attributes["name"] == "play-policy"
    ]


@pytest.fixture
def policy() -> dict[str, Any]:
    content = json.loads(POLICY)
    assert isinstance(content, dict)
    return content


def test_each_snapshot_is_a_choice_and_the_last_is_taken(policy: dict[str, Any]) -> None:
    choices = radios(part_of(policy))
    assert [(choice["aria-label"], "checked" in choice) for choice in choices] == [
        ("start, 0 steps", False),
        ("middle, 20,224 steps, score 500", False),
        ("end, 35,072 steps, score 500", True),
    ]


@pytest.mark.parametrize("environment, limit", [("CartPole-v0", 200), ("CartPole-v1", 500)])
def test_both_versions_of_cartpole_can_be_played(
    policy: dict[str, Any], environment: str, limit: int
) -> None:
    part = part_of({**policy, "environment": environment, "max_episode_steps": limit})
    assert f"of {limit}" in part.markup
    assert f'"max_episode_steps":{limit}' in part.script


def test_every_element_is_closed(policy: dict[str, Any]) -> None:
    assert Elements(part_of(policy).markup).open == []


def test_every_rule_is_of_this_part_only(policy: dict[str, Any]) -> None:
    style = part_of(policy).style
    rules = [line for line in style.splitlines() if line.rstrip().endswith("{") or " { " in line]
    assert len(rules) > 40
    for line in rules:
        assert line.lstrip().startswith(("#play", "@media")), line


@pytest.mark.parametrize("word", ["http", "@import", "url(", "fetch(", "import(", "Socket", "src="])
def test_the_section_makes_no_network_requests(policy: dict[str, Any], word: str) -> None:
    assert word not in "".join(part_of(policy))


@pytest.mark.parametrize("label", ["</script><script>", "<img src=x onerror=a()>", '" autofocus "'])
def test_a_label_is_text(policy: dict[str, Any], label: str) -> None:
    policy["snapshots"][0]["label"] = label
    part = part_of(policy)
    assert radios(part)[0]["aria-label"] == f"{label}, 0 steps"
    assert not {"script", "img"} & {tag for tag, _ in Elements(part.markup).found}
    assert "<" not in part.script.split("\n")[2]


def changed(change: str) -> Any:
    """The policy with one error, made by a Python statement."""
    policy = json.loads(POLICY)
    exec(change, {"p": policy, "s": policy["snapshots"], "l": policy["snapshots"][0]["layers"]})
    return policy


@pytest.mark.parametrize(
    "change",
    [
        "p['environment'] = 'Acrobot-v1'",
        "p['environment'] = ['CartPole-v1']",
        "p['actions'] = 3",
        "p['max_episode_steps'] = None",
        "p['max_episode_steps'] = 0",
        "p['max_episode_steps'] = '<b>'",
        "p['snapshots'] = []",
        "p['snapshots'] = s * 3",
        "p['snapshots'] = {}",
        "del p['snapshots']",
        "s[0]['label'] = 3",
        "s[0]['label'] = 'a' * 41",
        "s[0]['label'] = chr(0xd800)",
        "s[0]['steps'] = -1",
        "s[0]['steps'] = '<b>'",
        "s[0]['score'] = '<b>'",
        "s[0]['score'] = float('nan')",
        "s[0]['layers'] = []",
        "l.pop()",
        "l.pop(0)",
        "l[0]['kernel'].pop()",
        "l[0]['kernel'][0].pop()",
        "l[0]['kernel'][0][0] = None",
        "l[0]['kernel'][0][0] = float('inf')",
        "l[0]['kernel'][0][0] = 10**400",
        "l[0]['kernel'][0][0] = True",
        "l[0]['kernel'][0] = '1' * 16",
        "l[0]['bias'].append(0.0)",
        "l[-1]['bias'] = {}",
    ],
)
def test_a_file_with_one_thing_wrong_is_no_policy(change: str) -> None:
    assert section(POLICY) is not None
    assert section(json.dumps(changed(change))) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(text=st.text())
@example("")
@example("[" * 100_000)
@example("9" * 5_000)
def test_arbitrary_text_is_no_policy(text: str) -> None:
    assert section(text) is None


@given(path=st.sampled_from(["environment", "snapshots", "label", "steps", "layers"]), value=JSON)
def test_any_value_of_a_field_is_refused_or_shown_as_text(path: str, value: Any) -> None:
    policy = copy.deepcopy(json.loads(POLICY))
    (policy if path in policy else policy["snapshots"][1])[path] = value
    part = section(json.dumps(policy))
    if part is not None:
        part.markup.encode(), part.script.encode()
        assert len(radios(part)) == 3
        assert "</" not in part.script.split("\n")[2]
