#!/usr/bin/env bash
# scripts/train.sh [flags]: trains, installing first what is missing. --help lists the flags.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
python=$("$root/scripts/setup_venv.sh" base)

# No cd, because a relative --job-dir means relative to where the user is; and -P, so that a
# directory named `trainer` there is not taken for ours.
PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} exec "$python" -P -m trainer.task "$@"
