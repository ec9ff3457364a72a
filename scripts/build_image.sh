#!/usr/bin/env bash
# scripts/build_image.sh [--tuner] [TAG]: builds the image, and lists its contents in dist/ (CycloneDX).
#   --tuner           for the machines of a Ray cluster: with the tuner and Ray
#   TAG               default: a2c-cloud-trainer (with --tuner: a2c-cloud-trainer-tuner) and the
#                     version, as trainer/__init__.py has it
#   REQUIREMENTS      the pinned list to install (default: requirements/base.txt; with --tuner:
#                     requirements/ray_worker.txt)
#   CONTAINER_ENGINE  a program with docker's arguments (default: docker)
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
[[ $# -le 1 && ${1:-} != -* ]] || fail "unexpected arguments: $*. Give one, the image's tag."
command -v "$engine" >/dev/null || fail "$engine is not installed. Install it, or set CONTAINER_ENGINE to another engine."

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/trainer/__init__.py")
tag=${1:-$name:$version}
revision=$(git -C "$root" rev-parse HEAD 2>/dev/null) || revision=unknown
# An image with uncommitted changes must not carry the plain commit.
[[ -z $(git -C "$root" status --porcelain -- Dockerfile requirements trainer tuner 2>/dev/null) ]] \
    || revision+=-changed

"$engine" build --tag "$tag" --target "$target" \
    --build-arg REQUIREMENTS="${REQUIREMENTS:-$list}" \
    --build-arg VERSION="$version" \
    --build-arg REVISION="$revision" \
    "$root"

# The image itself is inspected, so that the list holds what is really installed.
name=${tag##*/}
list=$root/dist/${name/:/-}.cdx.json
mkdir -p "$root/dist"
"$engine" run --rm --interactive --network none --entrypoint python "$tag" \
    - "${name%%:*}" "$version" "$revision" <"$root/scripts/lib/sbom.py" >"$list.tmp"
mv "$list.tmp" "$list"

bytes=$("$engine" image inspect --format '{{.Size}}' "$tag")
printf '%s: %s MB, version %s, commit %s; %s lists what is in it\n' \
    "$tag" "$((bytes / 1000000))" "$version" "$revision" "${list#"$root/"}"
