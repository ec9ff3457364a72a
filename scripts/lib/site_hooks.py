"""MkDocs' hooks: pages made of other files, so that the site says nothing a second time.

A line in docs/ that is nothing but a link to README.md#section, or to a whole file, becomes what
it points to; on GitHub it stays a link. `<!-- flags -->` and its like become tables.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]  # the packages, and the modules beside this

import site_notebook  # noqa: E402
import site_sources  # noqa: E402
import site_tables  # noqa: E402

PICTURES = (".png", ".gif", ".jpg", ".svg", ".webp")


def on_config(config: Any) -> None:
    """Puts the API into the navigation."""
    config.nav.append({"API": [{name: _pages(name)} for name in ("trainer", "tuner")]})


def _pages(package: str) -> list[Any]:
    pages: list[Any] = [f"api/{package}.md"]
    return pages + [{name: f"api/{package}/{name}.md"} for name in site_tables.modules(package)]


def on_files(files: Files, config: Any) -> None:
    """Adds the pages that are made, and the pictures that the included files show."""

    def add(name: str, content: str | bytes) -> None:
        files.append(File.generated(config, name, content=content))

    for package in ("trainer", "tuner"):
        add(f"api/{package}.md", site_tables.package_page(package))
        for name in site_tables.modules(package):
            add(f"api/{package}/{name}.md", f"# {package}.{name}\n\n::: {package}.{name}\n")
    page, pictures = site_notebook.page(ROOT / "notebooks" / "pg_and_a2c.ipynb")
    add("notebook.md", page)
    for name, picture in pictures.items():
        add(name, picture)
    for target in site_sources.targets(ROOT / "README.md"):
        if target.endswith(PICTURES):
            files.append(File.generated(config, target, abs_src_path=str(ROOT / target)))


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Fills in what a page includes."""
    if page.file.generated_by:
        return markdown
    return site_tables.filled(site_sources.included(markdown, ROOT))
