#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Searches of several clients are done together, and return the same bits as each alone, ties
# included.
. tests/e2e/lib.sh

coalesce=$BUILD/tests/e2e/coalesce
one='env LD_LIBRARY_PATH="${FAISS_C%/*}" OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1'

ok "runs in process" sh -c "$one '$coalesce' 1 >/dev/null && $one '$coalesce' 24 '$TMP/results' >'$TMP/direct'"
start_server --threads 1
remote "$coalesce" 24 >"$TMP/one"
same "one worker: results are equal bit by bit" "$TMP/direct" "$TMP/one"
# FAISS before 1.7.2 breaks ties in another way, so each search is done alone.
if has faiss_IndexFlat1D_cast; then
    ok "searches were done together" [ "$(stat_of batched_searches)" -gt 0 ]
else
    is "no searches were done together" "$(stat_of batched_searches)" 0
fi
is "one worker has no helpers" "$(stat_of helped_queries)" 0
start_server --threads 3
remote "$coalesce" 24 >"$TMP/three"
same "three workers: results are equal bit by bit" "$TMP/direct" "$TMP/three"
ok "idle workers helped with calls of several queries" [ "$(stat_of helped_queries)" -gt 0 ]
is "with more threads than queries for each, all vectors are searched" "$(remote "$coalesce" wide)" "100 of 100 found"
start_server --threads 1 --coalesce off
remote "$coalesce" 24 >"$TMP/off"
same "--coalesce=off: results are equal bit by bit" "$TMP/direct" "$TMP/off"
is "no searches were done together" "$(stat_of batched_searches)" 0
start_server --threads 1 --coalesce fast
ok "--coalesce=fast: the program runs" remote "$coalesce" 24 "$TMP/fast"
ok "--coalesce=fast: results are equal except for rounding" "$coalesce" compare "$TMP/results" "$TMP/fast"
ok "searches were done together" [ "$(stat_of batched_searches)" -gt 0 ]
ok "range searches in process" sh -c "$one '$coalesce' ranges >'$TMP/direct'"
start_server --memory 512
remote "$coalesce" ranges >"$TMP/parts"
same "range searches in parts: results are equal bit by bit" "$TMP/direct" "$TMP/parts"
"$BUILD/faissx-server" run --coalesce sometimes 2>"$TMP/err"
is "an invalid value of --coalesce is refused" $? 2
like "the message names the value" "$(cat "$TMP/err")" "sometimes"
