"""MkDocs hooks: pages and tables that no plugin makes.

They add the notebook, CONTRIBUTING.md, CHANGELOG.md and the figures, which lie outside docs/, and
fill in tables that are made from the code. The notebook is converted here because mkdocs-jupyter
loads MathJax from a network, and the site must be readable without one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]  # the packages, and the modules beside this

import site_notebook  # noqa: E402
import site_tables  # noqa: E402

FIGURES = "benchmarks/results/"
# Targets of links in docs/ that hold on GitHub, and what they are on the site.
PAGES = {
    f"../{FIGURES}": FIGURES,
    "../notebooks/pg_and_a2c.ipynb": "notebook.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
}


def on_files(files: Files, config: Any) -> None:
    """Adds the files that lie outside docs/."""

    def add(name: str, content: str | bytes) -> None:
        files.append(File.generated(config, name, content=content))

    page, pictures = site_notebook.page(ROOT / "notebooks" / "pg_and_a2c.ipynb")
    for name, content in {"notebook.md": page, **pictures}.items():
        add(name, content)
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        add(name.lower(), text.replace("](docs/", "]("))
    for picture in sorted((ROOT / FIGURES).iterdir()):
        if picture.suffix in (".png", ".gif"):
            add(FIGURES + picture.name, picture.read_bytes())


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Fills in the tables and points links at the site's own pages."""
    for target, here in PAGES.items():
        markdown = markdown.replace(f"]({target}", f"]({here}")
    return site_tables.filled(markdown)
