#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same results, for every type of index: a program that leads the life of each prints
# the same in process, through the shim with nothing configured, and on a server, byte for
# byte.  One thread everywhere, for FAISS's own results depend on how work is divided.
. tests/e2e/lib.sh

export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Memory of FAISS's new[] is freed with free(), as users of the C API do.
export ASAN_OPTIONS="detect_leaks=0:alloc_dealloc_mismatch=0:${ASAN_OPTIONS:-}"

# A program as old as a library before v1.7.2.
has faiss_Clustering_decode_block_size || export FAISSX_ABI=legacy
# The stand-in has every function; the real library decides which are called.
has faiss_Index_search

# lead NAME LIBRARY [VARIABLE=VALUE...]
lead() (
    mkdir -p "$TMP/$1" && cd "$TMP/$1" || exit 1
    library=$2
    shift 2
    env "$@" "$BUILD/tests/life/life" "$library" "$TMP/names" >out 2>err || { tail -n 3 out err; exit 1; }
)

# What this library does not survive is left out everywhere.
# (Memory that FAISS forgets to set has another value than in the next run.)
mkdir "$TMP/ask"
ok "all lives can be led, but for some calls" sh -c "cd '$TMP/ask' && MALLOC_PERTURB_=85 \
    '$BUILD/tests/life/life' --ask '$TMP/leave-out' '$FAISS_C' '$TMP/names' >out 2>err ||
    { tail -n 3 err; exit 1; }"
export LIFE_LEAVE_OUT="$TMP/leave-out"
[ ! -s "$TMP/leave-out" ] || diag "left out:" "$(cat "$TMP/leave-out")"

ok "lives in process" lead direct "$FAISS_C" || exit 1
diag "$(tail -n 1 "$TMP/direct/out")"
# What FAISS does not say twice the same need not be the same elsewhere.
awk '/: skipped: |^life: / { next } FILENAME == ARGV[1] { first[++n] = $0; next }
    { if (first[++i] != $0) print FNR }
    END { exit n != i }' "$TMP/ask/out" - <"$TMP/direct/out" >"$TMP/unstable"
is "the same number of results twice" $? 0
if [ -s "$TMP/unstable" ]; then
    diag "$(wc -l <"$TMP/unstable") results are not the same in two runs in process, in:" \
        "$(awk -F: 'FILENAME == ARGV[1] { line[$1]; next } FNR in line { print $1 }' "$TMP/unstable" \
            "$TMP/direct/out" | sort -u)"
fi
same_life() { # NAME RUN
    for fx_run in direct "$2"; do
        awk 'FILENAME == ARGV[1] { line[$1]; next } !(FNR in line)' "$TMP/unstable" "$TMP/$fx_run/out" \
            >"$TMP/$fx_run/stable"
    done
    same "$1" "$TMP/direct/stable" "$TMP/$2/stable"
}
# But for what nothing in the C API can make, or only with an address that dangles, and
# for what old releases cannot do (index.c, binary.c).
is "of the functions of this library, no life leaves one out" \
    "$(sed -n 's/.*: not called: faiss_//p' "$TMP/direct/out" | grep -vE '^(DistanceComputer|RangeQueryResult)_|^Index_sa_code_size$|^IndexBinary_reconstruct_n$')" ""
ok "lives through the shim, nothing configured" lead local "$STAND_IN"
same_life "the shim prints the same" local

start_server --threads 1
ok "lives on a server" lead remote "$STAND_IN" FAISSX_SERVER="$SERVER" FAISSX_FAISS_LIBRARY=/nonexistent
same_life "the server prints the same" remote
is "nothing on stderr" "$(cat "$TMP/remote/err")" ""
ok "the server stops" stop_server
