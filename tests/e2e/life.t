#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same results, for every type of index: a program that takes each type through a life prints
# the same bytes in process, through the shim with nothing configured, and on a server.  One thread
# everywhere, because FAISS's own results depend on how work is divided.
. tests/e2e/lib.sh

export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Memory of FAISS's new[] is freed with free(), as users of the C API do.
export ASAN_OPTIONS="detect_leaks=0:alloc_dealloc_mismatch=0:${ASAN_OPTIONS:-}"

# With a library before v1.7.2, the program has the structures of that time.
has faiss_Clustering_decode_block_size || export FAISSX_ABI=legacy
# The stand-in has every function; the real library decides which are called.
has faiss_Index_search

# A process with a sanitizer takes long to copy, and each call that may crash is made in a copy first.
[ -z "$SANITIZER_RUNTIME" ] || export LIFE_EVERY=4
asks=$PWD/build/tests/life/life
[ -x "$asks" ] || asks=$BUILD/tests/life/life

# lead NAME LIBRARY [VARIABLE=VALUE...]
lead() (
    mkdir -p "$TMP/$1" && cd "$TMP/$1" || exit 1
    library=$2
    shift 2
    env "$@" "$BUILD/tests/life/life" "$library" "$TMP/names" >out 2>err || { tail -n 3 out err; exit 1; }
)

# Calls that crash this library are left out everywhere.
# (Memory that FAISS forgets to set has another value than in the next run.)
mkdir "$TMP/ask"
ok "all lives run, except for some calls" sh -c "cd '$TMP/ask' && MALLOC_PERTURB_=85 \
    '$asks' --ask '$TMP/leave-out' '$FAISS_C' '$TMP/names' >out 2>err ||
    { tail -n 3 err; exit 1; }"
export LIFE_LEAVE_OUT="$TMP/leave-out"
[ ! -s "$TMP/leave-out" ] || diag "left out:" "$(cat "$TMP/leave-out")"

ok "the lives run in process" lead direct "$FAISS_C" || exit 1
diag "$(tail -n 1 "$TMP/direct/out")"
# Results that differ between two runs of FAISS need not be the same elsewhere.
unstable_in() { # RUN
    # A run with another number of results tells nothing: it was cut off.
    awk '/: skipped: |^life: / { next } FILENAME == ARGV[1] { first[++n] = $0; next }
        { if (first[++i] != $0) print FNR }
        END { exit n != i }' "$TMP/$1/out" - <"$TMP/direct/out" >"$TMP/differ" &&
        cat "$TMP/differ" >>"$TMP/unstable"
}
: >"$TMP/unstable"
unstable_in ask
is "two runs give the same number of results" $? 0
if [ -s "$TMP/unstable" ]; then
    diag "$(wc -l <"$TMP/unstable") results are not the same in two runs in process, in:" \
        "$(awk -F: 'FILENAME == ARGV[1] { line[$1]; next } FNR in line { print $1 }' "$TMP/unstable" \
            "$TMP/direct/out" | sort -u)"
fi
stable() { # RUN
    awk 'FILENAME == ARGV[1] { line[$1]; next } !(FNR in line)' "$TMP/unstable" "$TMP/$1/out" \
        >"$TMP/$1/stable"
}
same_life() { # NAME RUN
    stable direct
    stable "$2"
    # Some differ so rarely that two runs do not show it.
    if ! cmp -s "$TMP/direct/stable" "$TMP/$2/stable"; then
        for fx_byte in 1 170 255; do
            lead again "$FAISS_C" MALLOC_PERTURB_=$fx_byte && unstable_in again
        done
        stable direct
        stable "$2"
    fi
    same "$1" "$TMP/direct/stable" "$TMP/$2/stable"
    # Or else hardly anything was compared.
    fx_all=$(wc -l <"$TMP/direct/out")
    fx_unstable=$(sort -u "$TMP/unstable" | wc -l)
    ok "$1: nearly all of $fx_all results are the same in each run of FAISS, but for $fx_unstable" \
        [ $((fx_unstable * 100)) -lt "$fx_all" ]
}
# Except for objects that nothing in the C API can create, or only with a dangling pointer, and for
# what old releases cannot do (index.c, binary.c).
[ -n "$SANITIZER_RUNTIME" ] || is "the lives call every function of this library" \
    "$(sed -n 's/.*: not called: faiss_//p' "$TMP/direct/out" | grep -vE '^(DistanceComputer|RangeQueryResult)_|^Index_sa_code_size$|^IndexBinary_reconstruct_n$')" ""
ok "the lives run through the shim with nothing configured" lead local "$STAND_IN"
same_life "the shim prints the same" local

start_server --threads 1
ok "the lives run on a server" lead remote "$STAND_IN" FAISSX_SERVER="$SERVER" FAISSX_FAISS_LIBRARY=/nonexistent
same_life "the server prints the same" remote
is "nothing on stderr" "$(cat "$TMP/remote/err")" ""
ok "the server stops" stop_server
