"""A page with the playground alone, on a clock that the test holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conftest import SUPPORT
from tuner.report.playground import section

POLICY = (SUPPORT / "policy.json").read_text(encoding="utf-8")
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


def state(page: Page) -> dict[str, Any]:
    found = page.evaluate("playIt.state")
    assert isinstance(found, dict)
    return found
