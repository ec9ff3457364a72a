#!/usr/bin/env bash
# Remakes requirements/*.txt from requirements/*.in. Give --upgrade to move on to newer versions.
# Needs uv (pip install uv); UV says where it is if it is not on the PATH.
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
pin --generate-hashes --constraints base.txt --constraints ray.txt dev.in --output-file dev.txt "$@"

# The same for NVIDIA GPUs: one list of requirements, another TensorFlow.
{ grep -v '^tensorflow' base.in; echo 'tensorflow[and-cuda]>=2.20,<2.22'; } \
    | pin --generate-hashes --constraints base.txt - --output-file cuda.txt "$@"

# No hashes, because torch's CPU build has others than its default build, and no CUDA libraries,
# because the CPU build wants none.
{
    echo "# Made by scripts/lock.sh. On top of dev.txt; install torch's CPU build first, or pip"
    echo "# takes the default one, whose CUDA libraries are missing here."
    pin --no-header --no-annotate benchmarks.in "$@" | grep -vE '^(cuda-|nvidia-|triton)'
} >benchmarks.tmp
mv benchmarks.tmp benchmarks.txt
