"""Converts the notebook, with the outputs stored in it, to a Markdown page."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

# Code first, so that a dollar inside it is left alone.
PARTS = re.compile(r"```.*?```|`[^`\n]+`|\$\$(.+?)\$\$|\$([^$\n]+)\$", re.DOTALL)


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """Returns the page's text, and its pictures by file name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for index, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text = with_formulas(source)
            parts.append(text.replace("<details>", '<details markdown="1">'))
            continue
        parts.append(f"```python\n{source}\n```")
        for number, output in enumerate(cell["outputs"]):
            if png := output.get("data", {}).get("image/png"):
                name = f"notebook/cell-{index:02}-{number}.png"
                pictures[name] = base64.b64decode("".join(png))
                parts.append(f"![figure drawn by the cell above]({name})")
            elif text := _text(output):
                parts.append(f'<div class="output" markdown>\n\n```text\n{text}\n```\n\n</div>')
    return "\n\n".join(parts), pictures


def _text(output: dict[str, Any]) -> str:
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "")).rstrip()


def with_formulas(markdown: str) -> str:
    """Returns the text with LaTeX formulas as MathML, which browsers render without a script."""

    def drawn(part: re.Match[str]) -> str:
        block, inline = part.groups()
        if block:
            return f"<div>{convert(block.strip(), display='block')}</div>"
        # In a span, or Markdown would take a line that begins with a formula for a block.
        return f"<span>{convert(inline)}</span>" if inline else part[0]

    return PARTS.sub(drawn, markdown)
