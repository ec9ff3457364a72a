#!/usr/bin/env bash
# scripts/smoke.sh [IMAGE]: trains for a few seconds in the image, as a trial of a tuning service, and
# checks that passed: metric, models, video and manifest are there.
# scripts/smoke.sh --local: the same in the virtual environment.
#   IMAGE             default: the image that scripts/build_image.sh builds without arguments
#   CONTAINER_ENGINE  a program with docker's arguments (default: docker)
# Exit codes: 0 everything is there, 1 something is missing and is named, 2 there is nothing to run.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
engine=${CONTAINER_ENGINE:-docker}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    printf 'smoke.sh: %s\n' "$2" >&2
    exit "$1"
}

[[ $# -le 1 && (${1:-} != -* || $1 = --local) ]] \
    || fail 2 "unknown arguments: $*. Give an image's tag, --local, or nothing."
if [[ ${1:-} = --local ]]; then
    python=$("$root/scripts/setup_venv.sh" base)
    job=$work
    inside() {
        (cd "$root" && env "${environment[@]}" "$python" "$@")
    }
else
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/trainer/__init__.py")
    image=${1:-a2c-cloud-trainer:$version}
    job=/out
    command -v "$engine" >/dev/null \
        || fail 2 "$engine is not installed; set CONTAINER_ENGINE to your container engine, or use --local."
    "$engine" image inspect "$image" >/dev/null 2>&1 \
        || fail 2 "image $image does not exist; build it with scripts/build_image.sh, or use --local."
    # With the fewest rights: what works here works everywhere. The files belong to the caller, who
    # can then remove them.
    inside() {
        "$engine" run --rm --interactive --entrypoint python \
            --user "$(id -u):$(id -g)" --read-only --tmpfs /tmp --cap-drop all \
            --security-opt no-new-privileges --network none \
            --volume "$work:$job" "${environment[@]/#/--env=}" "$image" "$@"
    }
fi
metric=$job/hypertune/output.metrics
environment=(CLOUD_ML_TRIAL_ID=1 "CLOUD_ML_HP_METRIC_FILE=$metric")

inside -m trainer.task --total_steps=5000 --evaluation_episodes=10 --job-dir="$job/1" \
    || fail 1 "the training failed: its exit code is $?."
inside - "$job/1" "$metric" <"$root/scripts/lib/missing_artefacts.py" \
    || fail 1 "the files named above are missing or broken."
echo "smoke.sh: passed: metric, models, video and manifest are there"
