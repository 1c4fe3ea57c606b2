#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An engine whose memory runs out lives.  FAISS lets inverted lists grow in OpenMP regions, where
# an exception ends the process; and OpenBLAS waits for ever for memory that it does not get.
. tests/e2e/lib.sh
case $BUILD in *-address | *-thread) skip_all "an engine with a sanitizer has no limit" ;; esac

own="$BUILD/tests/e2e/share" # linked with the real library
"$own" "make $TMP/ivf 900000 IVF64,Flat" >/dev/null || bail "cannot make the file" # 64 MB

start_server --memory 64
like "with the least memory that can be set, a large index is an error" \
    "$(remote "$own" "read 0 $TMP/ivf")" '^read 0 .*: -[24] '
# What the call took is given back after its answer.
answers() { [ -n "$(stat_of pid)" ]; }
ok "and the engine answers" wait_for answers
ok "the server stops" stop_server

# What there is memory for, in which order, depends on the limit: these have all of it.
adds='add 0 120000|add 1 120000'
set -- "read 0 $TMP/ivf" "flags 1 2 $TMP/ivf"
for i in 1 2 3; do set -- "$@" "${adds%|*}" "${adds#*|}"; done
for memory in 190 212 250 280 300; do
    start_server --memory $memory
    remote "$own" 'read 5 /dev/null' >/dev/null # starts the engine
    pid=$(stat_of pid)
    remote "$own" "$@" 'search 0' 'search 1' >"$TMP/answers"
    is "with $memory MiB, each add is made or there is no memory for it" \
        "$(grep '^add' "$TMP/answers" | grep -v ': ok$' | grep -v ': -4 .* memory ' | head -n 3)" ""
    ok "not all are made" grep -q '^add.*: -4' "$TMP/answers"
    is "the indexes can be searched" "$(grep -c '^search . *[^-]*$' "$TMP/answers")" 2 || diag "$(cat "$TMP/answers")"
    is "the engine lives" "$(stat_of pid)" "$pid"
    ok "the server stops" stop_server
done
