"""README.md and its like as parts of pages, with links that hold there."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = {"CONTRIBUTING.md": "design.md", "CHANGELOG.md": "changelog.md", "README.md": "index.md"}
WHOLE_LINE = re.compile(r"^\[[^\]]*\]\(\.\./([A-Z]+\.md)(?:#([^)]*))?\)$", re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#]+)[^)]*\)")


def included(markdown: str, root: Path) -> str:
    """A page's text with each line that is a link to a file, or to a section, replaced by it."""

    def content(link: re.Match[str]) -> str:
        text = (root / link[1]).read_text(encoding="utf-8")
        return for_the_site(section(text, link[2]) if link[2] else without_title(text))

    return WHOLE_LINE.sub(content, markdown)


def sections(text: str) -> dict[str, str]:
    """The parts of a file under `## ` headings, by GitHub's anchors; `top` is what comes first."""
    top, *parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    return {"top": without_title(top)} | {anchor(part.splitlines()[0]): part for part in parts}


def section(text: str, name: str) -> str:
    """Raises ValueError where there is none of that name."""
    known = sections(text)
    if name not in known:
        raise ValueError(f"the section must be one of {', '.join(known)}, but is {name}.")
    return known[name]


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()).replace(" ", "-")


def without_title(text: str) -> str:
    return re.sub(r"\A# .*\n+", "", text)


def targets(path: Path) -> list[str]:
    """What a file's links point to, other than the web."""
    return [link[2] for link in LINK.findall(path.read_text(encoding="utf-8"))]


def for_the_site(text: str) -> str:
    """Links to files as links to their pages; without a page, as mere words."""

    def moved(link: re.Match[str]) -> str:
        picture, words, target = link.groups()
        if picture:
            return link[0]
        if target.endswith(".py") and target.startswith(("trainer/", "tuner/")):
            return f"[{words}](api/{target.removesuffix('.py')}.md)"
        return f"[{words}]({PAGES[target]})" if target in PAGES else words

    return LINK.sub(moved, text)
