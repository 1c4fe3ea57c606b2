#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Measures this server beside other vector stores: bench/peers/run.sh [OPTION of peers.py]...
#
#   PEERS='pgvector chroma'   these systems only (this server is always there)
#   CLIENTS='16 64'           numbers of clients            SECONDS=1    of a turn
#   DIMS=128                  dimensions                    VECTORS=20000
#   RECALLS='0.95 0.99'       recalls aimed at              ROUNDS=1
#
# The systems come from PyPI, into build/peers/venv; results go to build/peers, or OUT: results.tsv, about.tsv,
# tables.md, and plots if gnuplot is installed.
set -u
cd "$(dirname "$0")/../.."
BUILD=$PWD/${BUILD:-build} OUT=${OUT:-$PWD/build/peers} VENV=$PWD/build/peers/venv
OURS='faissx-c faissx-module faissx-dialect'
seconds=$(printenv SECONDS) # the shell's own variable counts
export BUILD PYTHONPYCACHEPREFIX="$OUT/pycache"

note() { printf '# %s\n' "$*" >&2; }

mkdir -p "$OUT"
if [ ! -x "$VENV/bin/pip" ]; then
    python3 -m venv "$VENV" || { note "python3 -m venv does not work; Debian's package is python3-venv"; exit 1; }
fi

# get NAME PACKAGE...: what a system needs.  Tried again in each run until it is there.
: >"$OUT/missing.tsv"
get() {
    local name=$1
    shift
    case " ${PEERS:-$name} $OURS " in *" $name "*) ;; *) return ;; esac
    if [ ! -e "$VENV/has-$name" ]; then
        note "installing $*"
        if "$VENV/bin/pip" install --quiet --disable-pip-version-check "$@" >"$OUT/pip-$name.log" 2>&1; then
            : >"$VENV/has-$name"
        else
            note "$name cannot be installed: $OUT/pip-$name.log"
            printf '%s\t%s\n' "$name" "$(tail -n 1 "$OUT/pip-$name.log")" >>"$OUT/missing.tsv"
            return
        fi
    fi
    found="$found $name"
}
found=
"$VENV/bin/python" -c 'import numpy' 2>/dev/null || "$VENV/bin/pip" install --quiet numpy || exit 1

get faissx-module numpy
get faissx-c numpy
get faissx-dialect faissx
get pgvector pgserver 'psycopg[binary]' pgvector
get chroma chromadb
get milvus-lite milvus-lite pymilvus faiss-cpu
get lancedb lancedb pyarrow
get sqlite-vec sqlite-vec pysqlite3-binary
get qdrant-local qdrant-client

FAISSX_PEERS_LIBRARY=$(packaging/find-faiss.sh) || exit 1
export FAISSX_PEERS_LIBRARY
# shellcheck disable=SC2086 # lists of words
"$VENV/bin/python" bench/peers/peers.py --out "$OUT" --peers $found \
    ${DIMS:+--dims $DIMS} ${CLIENTS:+--clients $CLIENTS} ${RECALLS:+--recalls $RECALLS} \
    ${VECTORS:+--vectors $VECTORS} ${ROUNDS:+--rounds $ROUNDS} ${seconds:+--seconds $seconds} "$@"
status=$?
VECTORS=${VECTORS:-} python3 bench/peers/table.py "$OUT" >"$OUT/tables.md" && note "tables: $OUT/tables.md"
if command -v gnuplot >/dev/null; then bench/peers/plot.sh "$OUT" "$OUT"; fi
exit $status
