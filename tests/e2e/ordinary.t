#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Ordinary arguments with which FAISS ends the process, or never returns, end as errors or
# as results, and the engine lives on.
. tests/e2e/lib.sh

stats() { "$BUILD/bin/faissx" stats --server "$SERVER"; }
pid_of_engine() { stats | sed -n 's/^pid //p'; }

start_server --threads 2
stats >/dev/null
engine=$(pid_of_engine)
for group in metrics types selectors lattice many descriptions range; do
    remote "$BUILD/tests/e2e/ordinary" $group >"$TMP/$group.out" 2>&1
    is "$group: $(tail -n 1 "$TMP/$group.out")" $? 0 || diag "$(cat "$TMP/$group.out")"
    is "the engine is the same" "$(pid_of_engine)" "$engine"
done

# FAISS 1.7.3 cannot load an untrained residual quantizer that it has saved.
FAISSX_SERVER=$SERVER LD_PRELOAD=$SANITIZER_RUNTIME ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" \
    "$BUILD/tests/crash/crash" "$STAND_IN" --remote --kind RQ2x3_2x2 --metric 1 --vectors untrained \
    >"$TMP/life" 2>"$TMP/log"
like "a life of an untrained quantizer, with a load from a stream" "$(cut -f 5 "$TMP/life")" '^o[-oe]*o[-oe]*$' ||
    diag "$(cat "$TMP/log")"
is "the engine is the same" "$(pid_of_engine)" "$engine"

# One thread everywhere: how FAISS divides its work shows in a graph.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# FAISS before 1.7.2 breaks ties by where they are among its k: the distances are the same.
far() {
    "$@" "$BUILD/tests/e2e/ordinary" far | grep '^far: ' |
        if has faiss_IndexFlat1D_cast; then cat; else awk 'NF == 7 { $7 = ""; print }'; fi
}
far env >"$TMP/direct"
start_server --threads 1
far remote >"$TMP/remote"
same "more neighbours than there are, by far: the same bits as in process" "$TMP/direct" "$TMP/remote"
ok "of enough kinds" [ "$(wc -l <"$TMP/direct")" -ge 36 ]

diag "$(grep -h -e 'k=' -e '^range:' -e 'description of' "$TMP"/*.out)"
ok "the server stops" stop_server
