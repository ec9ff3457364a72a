#!/usr/bin/env bash
# scripts/build_image.sh [--tuner] [TAG]: builds the image, and lists what is in it in dist/ (CycloneDX).
#   --tuner           for the machines of a Ray cluster: with the tuner and Ray
#   TAG               default: a2c-cloud-trainer (with --tuner: a2c-cloud-trainer-tuner) and the
#                     version, as trainer/__init__.py has it
#   REQUIREMENTS      the pinned list to install (default: requirements/base.txt; with --tuner:
#                     requirements/ray_worker.txt)
#   CONTAINER_ENGINE  what takes docker's arguments (default: docker)
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
engine=${CONTAINER_ENGINE:-docker}

fail() {
    printf 'build_image.sh: %s\n' "$1" >&2
    exit 2
}

name=a2c-cloud-trainer target=trainer list=requirements/base.txt
if [[ ${1:-} = --tuner ]]; then
    name+=-tuner target=tuner list=requirements/ray_worker.txt
    shift
fi
[[ $# -le 1 && ${1:-} != -* ]] || fail "takes one argument, the image's tag, but got: $*"
command -v "$engine" >/dev/null || fail "needs $engine; set CONTAINER_ENGINE to what you have."

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/trainer/__init__.py")
tag=${1:-$name:$version}
revision=$(git -C "$root" rev-parse HEAD 2>/dev/null) || revision=unknown
# An image of changed files must not claim to be the commit that they were changed from.
[[ -z $(git -C "$root" status --porcelain -- Dockerfile requirements trainer tuner 2>/dev/null) ]] \
    || revision+=-changed

"$engine" build --tag "$tag" --target "$target" \
    --build-arg REQUIREMENTS="${REQUIREMENTS:-$list}" \
    --build-arg VERSION="$version" \
    --build-arg REVISION="$revision" \
    "$root"

# Asked of the image itself, so that the list holds what is there and not what was meant to be.
name=${tag##*/}
list=$root/dist/${name/:/-}.cdx.json
mkdir -p "$root/dist"
"$engine" run --rm --interactive --network none --entrypoint python "$tag" \
    - "${name%%:*}" "$version" "$revision" <"$root/scripts/lib/sbom.py" >"$list.tmp"
mv "$list.tmp" "$list"

bytes=$("$engine" image inspect --format '{{.Size}}' "$tag")
printf '%s: %s MB, version %s, commit %s; %s lists what is in it\n' \
    "$tag" "$((bytes / 1000000))" "$version" "$revision" "${list#"$root/"}"
