#!/usr/bin/env bash
# scripts/setup_venv.sh base|tuner|dev: makes sure that a virtual environment holds what
# requirements/{base,tuner,dev}.txt lists, and prints the path of its Python; all else is said on stderr.
# scripts/setup_venv.sh find: prints the Python that it would be made with, and makes nothing.
#   VENV    where it is (default: .venv in the repository)
#   PYTHON  the Python to make it with (default: the newest that fits)
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

# Runs each candidate, because a name on the PATH may be a shim with nothing behind it. 3.14 is out
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
    fail "needs Python 3.11, 3.12 or 3.13 with its venv module, but found none as ${PYTHON:-python3}; set PYTHON to one."
}

version_of() {
    "$1" -ISc 'import sys; print("python", *sys.version_info[:3])' 2>/dev/null
}

sum_of() {
    printf '%s %s\n' "$1" "$(cksum <"$root/requirements/$1.txt")"
}

# The stamp says what the environment holds: its Python, and the checksum of each list.
holds() {
    [[ -f $stamp ]] && grep -qxF "$(version_of "$python")" "$stamp" \
        && grep -qxF "$(sum_of "$1")" "$stamp"
}

install() {
    local name
    for name in base tuner dev; do # what another call has installed is there still
        [[ " ${lists[*]} " = *" $name "* ]] || ! holds "$name" || lists+=("$name")
    done
    # The stamp goes first and comes back last, so that an interrupted install leaves none.
    rm -f "$stamp"
    # Run over what an interrupted call has left, venv completes it.
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
    dev) lists=(dev tuner base) ;; # dev.txt holds all of the others
    find)
        find_python
        exit
        ;;
    *) fail "say base, tuner or dev, the requirements to install, or find." ;;
esac

if [[ -e $venv/pyvenv.cfg ]]; then
    version=$(version_of "$python") || fail "$venv holds no working Python; remove it and try again."
    [[ -z ${PYTHON:-} || $(version_of "$PYTHON") = "$version" ]] \
        || fail "$venv was not made with PYTHON=$PYTHON; remove it, or name another place in VENV."
fi

if ! holds "$1"; then
    mkdir -p "$venv"
    # Trials that are started together wait for the one that installs. macOS has no flock.
    if command -v flock >/dev/null; then
        exec 9>"$venv/.lock"
        flock 9
    fi
    holds "$1" || install "$1"
fi
printf '%s\n' "$python"
