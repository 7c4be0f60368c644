#!/bin/sh
# Make a virtual environment with the first suitable Python of this machine: new-venv.sh FOLDER
# $PYTHON chooses another one.
set -eu

folder=$1
for python in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
    if "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        if ! [ -x "$folder/bin/python" ]; then
            echo "making a virtual environment with $("$python" --version)"
            "$python" -m venv "$folder"
        fi
        exit 0
    fi
done
echo "No Python 3.11 or newer with its venv module was found. On Debian or Ubuntu: apt-get install python3-venv" >&2
exit 1
