"""Runs notebooks/pg_and_a2c.ipynb from top to bottom and stores the outputs in it.

    .venv/bin/python scripts/notebook.py

Needed after a change in the notebook. Metadata that differ between machines are removed.
"""

from __future__ import annotations

import logging
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FILE = Path(__file__).resolve().parent.parent / "notebooks" / "pg_and_a2c.ipynb"
SECONDS = 600  # for one cell
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Returns the notebook with the outputs of a run in a fresh kernel.

    Raises:
        CellExecutionError: a cell failed.
    """
    logging.getLogger("traitlets").setLevel(logging.ERROR)  # warnings about local sockets
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
