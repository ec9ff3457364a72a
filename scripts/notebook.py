"""Runs notebooks/pg_and_a2c.ipynb from top to bottom and keeps its new outputs in it.

    .venv/bin/python scripts/notebook.py

Run it after a change in the notebook. What would differ on every machine is left out.
"""

from __future__ import annotations

import logging
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FILE = Path(__file__).resolve().parent.parent / "notebooks" / "pg_and_a2c.ipynb"
SECONDS = 600  # for one cell; a busy machine takes a tenth of it
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run in a fresh kernel.

    Raises:
        CellExecutionError: a cell failed.
    """
    logging.getLogger("traitlets").setLevel(logging.ERROR)  # that it listens on this machine only
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(FILE.parent)}},
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata = {}
    notebook.metadata = nbformat.from_dict(METADATA)
    return notebook


if __name__ == "__main__":
    nbformat.write(executed(nbformat.read(FILE, as_version=4)), FILE)
