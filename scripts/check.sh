#!/usr/bin/env bash
# scripts/check.sh: checks style, format and types.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
python=$("$root/scripts/setup_venv.sh" dev)
cd -- "$root"
"$python" -m ruff check
"$python" -m ruff format --check
"$python" -m mypy
