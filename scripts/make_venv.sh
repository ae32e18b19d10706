#!/bin/sh
# Make the virtual environment $1 with Python 3.11, unless it is one already.
set -eu

is_311() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; }

is_311 "$1/bin/python" && exit 0
for python in python3.11 python3; do
    if is_311 "$python"; then
        rm -rf "$1"
        exec "$python" -m venv "$1"
    fi
done
echo "The pinned engines need Python 3.11: neither python3.11 nor python3 on PATH is one." >&2
exit 1
