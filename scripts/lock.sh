#!/usr/bin/env bash
# scripts/lock.sh [--upgrade]: writes requirements/*.txt from requirements/*.in, with a hash for every
# file. Versions stay as they are, unless a requirement has changed or --upgrade is given.
#   UV    the uv to use (default: the one on the PATH; pip install uv)
set -euo pipefail

CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../requirements"

# One version of each package for every platform and Python, so that results can be compared.
pin() {
    "${UV:-uv}" pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
        --custom-compile-command scripts/lock.sh "$@"
}

pin --generate-hashes base.in --output-file base.txt "$@"
pin --generate-hashes --constraints base.txt tuner.in --output-file tuner.txt "$@"
pin --generate-hashes --constraints base.txt --constraints tuner.txt ray.in \
    --output-file ray.txt "$@"
pin --generate-hashes --constraints base.txt --constraints ray.txt ray_worker.in \
    --output-file ray_worker.txt "$@"
pin --generate-hashes --constraints base.txt export.in --output-file export.txt "$@"
pin --generate-hashes --constraints base.txt --constraints ray.txt dev.in --output-file dev.txt "$@"

# The same for NVIDIA GPUs: one list of requirements, another TensorFlow.
{ grep -v '^tensorflow' base.in; echo 'tensorflow[and-cuda]>=2.20,<2.22'; } \
    | pin --generate-hashes --constraints base.txt - --output-file cuda.txt "$@"

# On top of dev.txt. On Linux this is PyPI's torch with its CUDA libraries: the hashes of the CPU
# build are in an index of PyTorch's own.
pin --generate-hashes --constraints dev.txt benchmarks.in --output-file benchmarks.txt "$@"
