#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# FAISS's own Python tests, and its tutorials if they are there, with FAISS's module from PyPI, with
# ours in process, and with ours on a server: run.sh DIR.  Prints the table for docs/python.md.
set -u
[ -d "${1:-}" ] || {
    echo "FAISS_PYTHON_TESTS: expected the folder of FAISS's Python tests, got '${1:-}'" >&2
    exit 2
}
tests=$(realpath "$1")
# shellcheck source=tests/e2e/lib.sh
. tests/e2e/lib.sh
fx_count=skip # it is no test itself

version=${FAISS_PYTHON_VERSION:-1.15.1}
venv=$BUILD/faiss-python-$version
if ! "$venv/bin/python" -c 'import faiss, scipy' 2>/dev/null; then
    rm -rf "$venv"
    { python3 -m venv "$venv" && timeout 600 "$venv/bin/pip" -q install "faiss-cpu==$version" scipy; } >"$TMP/pip.out" 2>&1 || {
        rm -rf "$venv"
        echo "faiss-cpu $version cannot be installed from PyPI: $(tail -n 1 "$TMP/pip.out")"
        exit 0
    }
fi
FAISSX_ALIAS=$BUILD/faissx/python/faissx_c/as_faiss
export FAISSX_ALIAS
start_server
run() { "$venv/bin/python" tests/python/run.py --out "$BUILD/python-tests.json" --server "$SERVER" "$@"; }
run "$tests"
for tutorial in "$tests/../tutorial/python" "$tests/../../tutorial/python"; do
    [ ! -d "$tutorial" ] || run "$tutorial" $(cd "$tutorial" && ls ./*.py)
done
"$venv/bin/python" tests/python/table.py "$BUILD/python-tests.json"
