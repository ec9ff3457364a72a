#!/usr/bin/env bash
# scripts/setup_venv.sh base|tuner|dev: installs requirements/{base,tuner,dev}.txt into a virtual
# environment, unless it has them, and prints the path of its Python. Messages go to stderr.
# scripts/setup_venv.sh find: prints the Python that would be used, and creates nothing.
#   VENV    the environment's folder (default: .venv in the repository)
#   PYTHON  the Python to create it with (default: the newest supported one)
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
venv=${VENV:-$root/.venv}
[[ $venv = /* ]] || venv=$PWD/$venv # callers change directory
python=$venv/bin/python
stamp=$venv/requirements.stamp

fail() {
    printf 'setup_venv.sh: %s\n' "$1" >&2
    exit 2
}

# Runs each candidate, because a name on the PATH may be a shim without a Python behind it. Not 3.14
# until every pinned package has a wheel for it.
fits() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
        >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if fits "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "found no Python 3.11, 3.12 or 3.13 with its venv module as ${PYTHON:-python3}. Set PYTHON to one."
}

version_of() {
    "$1" -ISc 'import sys; print("python", *sys.version_info[:3])' 2>/dev/null
}

sum_of() {
    printf '%s %s\n' "$1" "$(cksum <"$root/requirements/$1.txt")"
}

# The stamp lists what the environment has: its Python, and the checksum of each requirements file.
holds() {
    [[ -f $stamp ]] && grep -qxF "$(version_of "$python")" "$stamp" \
        && grep -qxF "$(sum_of "$1")" "$stamp"
}

install() {
    local name
    for name in base tuner dev; do # keep what another call has installed
        [[ " ${lists[*]} " = *" $name "* ]] || ! holds "$name" || lists+=("$name")
    done
    # Removed first and written last, so that an interrupted install leaves no stamp.
    rm -f "$stamp"
    # venv completes an environment that an interrupted call has left.
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        local chosen
        chosen=$(find_python)
        "$chosen" -m venv "$venv" >&2
    fi
    printf 'setup_venv.sh: installing requirements/%s.txt into %s (takes a minute)\n' \
        "$1" "$venv" >&2
    "$python" -m pip install -qq --disable-pip-version-check --require-hashes \
        -r "$root/requirements/$1.txt" >&2
    {
        version_of "$python"
        for name in "${lists[@]}"; do sum_of "$name"; done
    } >"$stamp.tmp"
    mv "$stamp.tmp" "$stamp"
}

case ${1:-} in
    base) lists=(base) ;;
    tuner) lists=(tuner) ;;
    dev) lists=(dev tuner base) ;; # dev.txt includes the others
    find)
        find_python
        exit
        ;;
    *) fail "the argument must be base, tuner or dev, the requirements to install, or find." ;;
esac

if [[ -e $venv/pyvenv.cfg ]]; then
    version=$(version_of "$python") || fail "there is no working Python in $venv. Remove it and try again."
    [[ -z ${PYTHON:-} || $(version_of "$PYTHON") = "$version" ]] \
        || fail "$venv was not created with PYTHON=$PYTHON. Remove it, or set VENV to another folder."
fi

if ! holds "$1"; then
    mkdir -p "$venv"
    # Calls at the same time wait for the one that installs. macOS has no flock.
    if command -v flock >/dev/null; then
        exec 9>"$venv/.lock"
        flock 9
    fi
    holds "$1" || install "$1"
fi
printf '%s\n' "$python"
