#!/usr/bin/env bash
# scripts/docs.sh: builds the documentation into site/; a warning is an error. Open site/index.html.
# scripts/docs.sh --serve: shows it at http://127.0.0.1:8000/, and builds it again as files change.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
[[ $# -eq 0 || ($# -eq 1 && $1 = --serve) ]] || {
    printf 'docs.sh: takes --serve or nothing, but got: %s\n' "$*" >&2
    exit 2
}
python=$("$root/scripts/setup_venv.sh" dev)
cd -- "$root"
export NO_MKDOCS_2_WARNING=1 # of a future that is not pinned here
[[ $# -eq 0 ]] || exec "$python" -m mkdocs serve
"$python" -m mkdocs build --strict --quiet
echo "site/index.html"
