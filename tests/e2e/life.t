#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same results, for every type of index: a program that leads the life of each prints
# the same in process, through the shim with nothing configured, and on a server, byte for
# byte.  One thread everywhere, for FAISS's own results depend on how work is divided.
. tests/e2e/lib.sh

export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Memory of FAISS's new[] is freed with free(), as users of the C API do.
export ASAN_OPTIONS="detect_leaks=0:alloc_dealloc_mismatch=0:${ASAN_OPTIONS:-}"

# The stand-in has every function; the real library decides which are called.
nm -D --defined-only "$FAISS_C" | sed -n 's/.* [TW] \(faiss_[A-Za-z0-9_]*\)$/\1/p' >"$TMP/names"

# lead NAME LIBRARY [VARIABLE=VALUE...]
lead() (
    mkdir -p "$TMP/$1" && cd "$TMP/$1" || exit 1
    library=$2
    shift 2
    env "$@" "$BUILD/tests/life/life" "$library" "$TMP/names" >out 2>err || { tail -n 3 out err; exit 1; }
)

ok "lives in process" lead direct "$FAISS_C" || exit 1
diag "$(tail -n 1 "$TMP/direct/out")"
# But for what nothing in the C API can make, or only with an address that dangles, and
# for what old releases cannot do (index.c, binary.c).
is "of the functions of this library, no life leaves one out" \
    "$(sed -n 's/.*: not called: faiss_//p' "$TMP/direct/out" | grep -vE '^(DistanceComputer|RangeQueryResult)_|^Index_sa_code_size$|^IndexBinary_reconstruct_n$')" ""
ok "lives through the shim, nothing configured" lead local "$STAND_IN"
same "the shim prints the same" "$TMP/direct/out" "$TMP/local/out"

start_server --threads 1
ok "lives on a server" lead remote "$STAND_IN" FAISSX_SERVER="$SERVER" FAISSX_FAISS_LIBRARY=/nonexistent
same "the server prints the same" "$TMP/direct/out" "$TMP/remote/out"
is "nothing on stderr" "$(cat "$TMP/remote/err")" ""
ok "the server stops" stop_server
