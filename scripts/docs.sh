#!/usr/bin/env bash
# scripts/docs.sh: builds the documentation into site/; open site/index.html. A warning is an error.
# scripts/docs.sh --serve: serves it at http://127.0.0.1:8000/ and rebuilds it when files change.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
[[ $# -eq 0 || ($# -eq 1 && $1 = --serve) ]] || {
    printf 'docs.sh: unknown argument: %s. The only one is --serve.\n' "$*" >&2
    exit 2
}
python=$("$root/scripts/setup_venv.sh" dev)
cd -- "$root"
export NO_MKDOCS_2_WARNING=1 # about a later version than the pinned one
[[ $# -eq 0 ]] || exec "$python" -m mkdocs serve
"$python" -m mkdocs build --strict --quiet
echo "site/index.html"
