#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The lives of tests/crash, in which some calls crash FAISS in process, must not end a server's
# engine.  All of them take hours, so one in LIVES is led, always the same ones: by default about
# two hundred.  More, or another release:
#
#     LIVES=20 FAISS_C=LIBRARY tests/run build/tests/crash/remote.t
. tests/e2e/lib.sh
[ -z "$SANITIZER_RUNTIME" ] || LIVES=${LIVES:-2000}

crash() {
    FAISSX_SERVER=$SERVER LD_PRELOAD=$SANITIZER_RUNTIME ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" \
        "$BUILD/tests/crash/crash" "$STAND_IN" --remote "$@"
}

OMP_NUM_THREADS=4 # an exception in a parallel loop is worse with several threads
export OMP_NUM_THREADS
start_server
crash --kind Flat --metric 1 --vectors usual >"$TMP/flat" 2>&1 # starts the engine
pid=$(stat_of pid)
ok "there is an engine" [ -n "$pid" ]
# With FAISS before 1.8, training such an index throws an exception in a parallel loop.
for i in 1 2 3; do
    crash --kind 'IVF8(IVF4,SQ8),RQ2x4' --metric 1 2>>"$TMP/log"
done >"$TMP/lives"
crash --sample "${LIVES:-200}" >>"$TMP/lives" 2>>"$TMP/log"
is "the lives were led: $(tail -n 1 "$TMP/log")" $? 0 || diag "$(tail "$TMP/log")"
ok "these are more than a few" [ "$(grep -c '^[a-z]*	' "$TMP/lives")" -gt 15 ]
# The fifth field has a D for a step in which the engine died.
is "no life ends the engine" "$(awk -F'\t' '$1 != "died" && $5 ~ /D/' "$TMP/lives" | head)" ""
is "the engine has not died" "$(stat_of pid)" "$pid"
is "no client dies or waits forever" "$(grep '^died' "$TMP/lives")" ""
ok "the server stops" stop_server
