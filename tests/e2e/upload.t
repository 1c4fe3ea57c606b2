#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Large arrays from another host (a network namespace): one that the session has just sent is not sent
# again, and the index always has what the program passed.
. tests/e2e/lib.sh
. bench/netns.sh
unset FAISSX_CURVE_SERVER_KEY FAISSX_CURVE_KEY_FILE
two_hosts || skip_all "there is no second host: $NO_NETNS"
trap 'fx_rc=$?; remove_hosts; (exit $fx_rc); fx_end' EXIT

serve() {
    SERVER=tcp://$SERVER_ADDRESS:45678
    SERVER_LOG=$TMP/server$((fx_nservers = ${fx_nservers:-0} + 1)).log
    "${SERVER_HOST[@]}" "$BUILD/faissx-server" run --bind "$SERVER" --insecure "$@" >"$SERVER_LOG" 2>&1 &
    SERVER_PID=$!
    fx_servers="$fx_servers $SERVER_PID"
    wait_for grep -q event=listening "$SERVER_LOG" || bail "the server does not start: $(cat "$SERVER_LOG")"
}
sent() { "${OTHER_HOST[@]}" awk '$1 == "other:" { print $10 }' /proc/net/dev; }
# far WHAT: runs the program on the other host.  Sets RESULT, and BYTES: thousands that it has sent.
far() {
    BYTES=$(sent)
    RESULT=$("${OTHER_HOST[@]}" env LD_PRELOAD="${SANITIZER_RUNTIME:+$SANITIZER_RUNTIME }$STAND_IN" \
        ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" FAISSX_SERVER="$SERVER" \
        FAISSX_FAISS_LIBRARY=/nonexistent "$BUILD/tests/e2e/upload" "$@" 2>&1)
    BYTES=$((($(sent) - BYTES) / 1000))
}
# crosses NAME LEAST MOST: the last program has sent so many thousand bytes.
crosses() { ok "$1 ($BYTES KB)" test "$BYTES" -ge "$2" -a "$BYTES" -le "$3"; }

serve
# An array has 25,600 KB.  The network's own headers add some per cent.
added='400000 vectors, as added'
far same
is "after train and add of the same vectors the index has them" "$RESULT" "$added"
crosses "they were sent once" 25600 30000
far copy
is "so it has after add of a copy" "$RESULT" "$added"
crosses "which was not sent again either" 25600 30000
far other
is "after add of other vectors it has those" "$RESULT" "$added"
crosses "both were sent" 51200 60000
far little
is "after add of vectors of which one number was changed it has the changed ones" "$RESULT" "$added"
crosses "both were sent" 51200 60000
far flat
crosses "what a Flat index is trained with is not sent" 0 100
is "it is trained as in process" "$RESULT" 1
far odd
crosses "neither is one of an unknown metric" 0 100
is "it is trained as in process, too" "$RESULT" "$("$BUILD/tests/e2e/upload" odd)"
far queries
local_result=$("$BUILD/tests/e2e/upload" queries)
is "three searches for the same queries find what FAISS finds" "$RESULT" "$local_result"
crosses "the queries were sent once" 6400 8000
far batches
is "batches that the program makes in the same memory are added as they are" "$RESULT" \
    "$(for i in 1 2 3 4 5; do echo "$((i * 400000)) vectors, as added"; done)"
stats=$("${OTHER_HOST[@]}" "$BUILD/tests/e2e/raw" "$SERVER" '{"operation":"stats","api_key":""}')
is "a train whose vectors the server asks for counts once" "$(value faiss_Index_train "$stats")" 6
is "and not as an error" "$(value errors "$stats")" 0
ok "the server stops" stop_server

# What is kept for another call takes no memory that the index needs: it has to move as it grows.
serve --memory 440
far same
is "with little memory the index has its vectors, too" "$RESULT" "$added"
far batches
is "and five batches have room" "$(echo "$RESULT" | tail -n 1)" "2000000 vectors, as added"
ok "the server stops" stop_server
