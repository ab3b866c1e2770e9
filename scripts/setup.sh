#!/bin/sh
# Make the virtual environment if there is none and install this package with an extra into it.
#
#     [PYTHON=python] [VENV=.venv] sh scripts/setup.sh dev|local

set -eu
extra=$1
venv=${VENV:-.venv}

# 3.11 is the oldest that the Braket SDK supports, 3.13 the newest that Covalent 0.240 runs on.
supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        path=$(command -v "$candidate") || continue
        # A version manager's shim may be there and yet not run.
        if "$path" -c "$supported" 2>/dev/null; then
            printf '%s\n' "$path"
            return 0
        fi
    done
    return 1
}

# Also when setting it up was interrupted, or its Python has gone meanwhile.
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ]; then
        say "$venv is there, but it is no virtual environment. Name another: make demo VENV=.venv2"
        exit 1
    fi
    python=$(find_python) || {
        say "Python 3.11, 3.12 or 3.13 is needed; found: $(${PYTHON:-python3} --version 2>&1 || true)"
        say "Install one (https://www.python.org/downloads/) or name one: make demo PYTHON=/path/to/python3.12"
        exit 1
    }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || {
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        say "$python cannot make virtual environments: its venv or ensurepip module is missing."
        say "On Debian and Ubuntu: sudo apt install python$version-venv"
        say "Or name another Python: make demo PYTHON=/path/to/python3.12"
        exit 1
    }
    say "Making $venv with $("$python" --version) ..."
    "$python" -m venv --clear "$venv"
fi

exec "$venv/bin/python" scripts/install.py "$extra"
