#!/usr/bin/env bash
# scripts/tune.sh [FILE] [flags]: searches for good hyperparameters here, installing first what is
# missing. --help lists the flags.
#   FILE       the search space (default: templates/hyperparam.yaml)
#   --job-dir  default: a new folder under runs/; the same one goes on with a study
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

# No cd, because paths mean relative to where the user is; and by variable, so that neither the tuner
# nor its trials take a directory named `tuner` or `trainer` there for ours.
export PYTHONSAFEPATH=1 PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
exec "$python" -m tuner run "$file" "$@"
