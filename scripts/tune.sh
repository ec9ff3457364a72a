#!/usr/bin/env bash
# scripts/tune.sh [FILE] [flags]: searches for hyperparameters on this machine, after installing what
# is missing. --help lists the flags.
#   FILE       the search space (default: templates/hyperparam.yaml)
#   --job-dir  default: a new folder under runs/; an existing one continues its study
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
"$root/scripts/setup_venv.sh" base >/dev/null # for the trials
python=$("$root/scripts/setup_venv.sh" tuner)

file=$root/templates/hyperparam.yaml
if [[ $# -gt 0 && $1 != -* ]]; then
    file=$1
    shift
fi
given=''
for word; do
    [[ $word != --job-dir && $word != --job-dir=* ]] || given=yes
done
[[ -n $given ]] || set -- --job-dir "runs/tune-$(date +%Y%m%d-%H%M%S)" "$@"

# Stays in the user's directory, so that paths are relative to it. By variables, so that neither the
# tuner nor its trials import a directory named `tuner` or `trainer` there instead of ours.
export PYTHONSAFEPATH=1 PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
exec "$python" -m tuner run "$file" "$@"
