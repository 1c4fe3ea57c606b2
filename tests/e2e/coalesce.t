#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Searches that are done together return the bits that each would have got alone, ties
# included, and are done together.
. tests/e2e/lib.sh

coalesce=$BUILD/tests/e2e/coalesce
one='env OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1'

ok "runs in process" sh -c "$one '$coalesce' 1 >/dev/null && $one '$coalesce' 24 '$TMP/results' >'$TMP/direct'"
start_server --threads 1
remote "$coalesce" 24 >"$TMP/one"
same "one worker: the same bits" "$TMP/direct" "$TMP/one"
# FAISS before 1.7.2 breaks ties in another way, and so each search is done alone.
if has faiss_IndexFlat1D_cast; then
    ok "and searches were done together" [ "$(stat_of batched_searches)" -gt 0 ]
else
    is "and none was done together" "$(stat_of batched_searches)" 0
fi
start_server --threads 3
remote "$coalesce" 24 >"$TMP/three"
same "three workers: the same bits" "$TMP/direct" "$TMP/three"
start_server --threads 1 --coalesce off
remote "$coalesce" 24 >"$TMP/off"
same "switched off: the same bits" "$TMP/direct" "$TMP/off"
is "and none was done together" "$(stat_of batched_searches)" 0
start_server --threads 1 --coalesce fast
ok "fast: it runs" remote "$coalesce" 24 "$TMP/fast"
ok "and finds the same but for rounding" "$coalesce" compare "$TMP/results" "$TMP/fast"
ok "and searches were done together" [ "$(stat_of batched_searches)" -gt 0 ]
"$BUILD/faissx-server" run --coalesce sometimes 2>"$TMP/err"
is "another word is refused" $? 1
like "by its name" "$(cat "$TMP/err")" "sometimes"
