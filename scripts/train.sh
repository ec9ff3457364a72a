#!/usr/bin/env bash
# scripts/train.sh [flags]: trains, after installing what is missing. --help lists the flags.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
python=$("$root/scripts/setup_venv.sh" base)

# Stays in the user's directory, so that a relative --job-dir is relative to it. -P, so that a
# directory named `trainer` there is not imported instead of ours.
PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} exec "$python" -P -m trainer.task "$@"
