#!/usr/bin/env bash
# scripts/test.sh [pytest's arguments]: runs every test; -m "not learning" leaves out the long ones.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
python=$("$root/scripts/setup_venv.sh" dev)
cd -- "$root"
exec "$python" -m pytest --numprocesses auto --maxprocesses 4 --dist loadgroup "$@"
