#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Ordinary arguments with which FAISS crashes or never returns give errors or results, and the
# engine survives.
. tests/e2e/lib.sh

stats() { "$BUILD/bin/faissx" stats --server "$SERVER"; }
pid_of_engine() { stats | sed -n 's/^pid //p'; }

start_server --threads 2
stats >/dev/null
engine=$(pid_of_engine)
for group in metrics types selectors lattice many descriptions range empty copies merges quantizers clusters refined decoders shards probes probes-within; do
    remote "$BUILD/tests/e2e/ordinary" $group >"$TMP/$group.out" 2>&1
    is "$group: $(tail -n 1 "$TMP/$group.out")" $? 0 || diag "$(cat "$TMP/$group.out")"
    is "the engine has not died" "$(pid_of_engine)" "$engine"
done

# A life (tests/crash) of an index in a process of its own; each step is a letter: o, e for an error,
# - for one that was left out, others for a crash or a hang.
lives() { # WHAT KIND METRIC VECTORS
    FAISSX_SERVER=$SERVER LD_PRELOAD=$SANITIZER_RUNTIME ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" \
        "$BUILD/tests/crash/crash" "$STAND_IN" --remote --kind "$2" --metric "$3" --vectors "$4" \
        >"$TMP/life" 2>"$TMP/log"
    like "$1" "$(cut -f 5 "$TMP/life")" '^[oe][-oe]*$' || diag "$(cat "$TMP/life" "$TMP/log")"
    is "the engine has not died" "$(pid_of_engine)" "$engine"
}

# FAISS 1.7.3 cannot load an untrained residual quantizer that it has saved.
lives "an untrained quantizer, loaded from a stream, crashes nothing" RQ2x3_2x2 1 untrained
# Trained with huge numbers, an index has centroids that are not finite.  FAISS 1.7.3 crashes in some
# searches of it.
lives "an index that was trained with huge numbers crashes nothing" IVF8,SQfp16 1 huge
# The nearest node of a graph to a NaN is looked for without end (FAISS 1.12.0, in the quantizer).
lives "numbers that are not finite hang nothing" IVF8_HNSW8,Flat 1 nan
# For such a vector the quantizer gives lists that do not exist.
lives "numbers that are not finite, with a residual coarse quantizer, crash nothing" "IVF8(RCQ1x3),SQ8" 4 nan
# Such an index writes outside of its tables (FAISS 1.15.0), so any later call may crash.
lives "an additive quantizer's FastScan index with METRIC_L1 crashes nothing" RQ2x4fs_Nrq2x4 2 nan

# One thread everywhere: a graph depends on how FAISS divides its work.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# FAISS before 1.7.2 breaks ties by their position among the k results: only distances are equal.
far() {
    "$@" "$BUILD/tests/e2e/ordinary" far | grep '^far: ' |
        if has faiss_IndexFlat1D_cast; then cat; else awk 'NF == 7 { $7 = ""; print }'; fi
}
far env >"$TMP/direct"
start_server --threads 1
far remote >"$TMP/remote"
same "k far larger than ntotal: results are equal bit by bit to those in process" "$TMP/direct" "$TMP/remote"
ok "enough kinds of index were compared" [ "$(wc -l <"$TMP/direct")" -ge 36 ]

diag "$(grep -h -e 'k=' -e '^range:' -e 'description of' "$TMP"/*.out)"
ok "the server stops" stop_server
