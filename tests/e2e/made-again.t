#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A change that was acknowledged, and cannot be made again when its index is read, is not lost: the
# index is unreadable until it can.  A change that failed is not made later.
. tests/e2e/lib.sh

data=$TMP/data
aside() { remote "$BUILD/tests/torture/aside" "$@"; }
strange() { start_server "$@" --data-dir "$data" --library "$BUILD/tests/torture/crashing.so"; }
killed() {
    fx_engine=$(stat_of pid)
    kill -9 "$SERVER_PID" "$fx_engine"
    wait "$SERVER_PID" 2>/dev/null
    wait_for gone "$fx_engine"
}

strange
for what in memory refused; do
    # One caller: with each answer, those before are dropped.
    is "10 changes are acknowledged, the third is $what" \
        "$(aside "faissx://$what" new search add 1 add 1 $what add 1 add 1 add 1 add 1 add 1 add 1 add 1 pause total | sort | uniq -c | sed 's/ *//')" \
        "$(printf '9 add: ok\n1 %s: ok\n1 search: ok\n1 total: 10' $what | sort -k 2)"
done
# Known to nobody: it is not answered, and there is no caller.
is "a change is acknowledged a moment before the end" "$(aside faissx://last new search memory)" "$(printf 'search: ok\nmemory: ok')"
killed

strange --again
for what in memory refused last; do
    like "$what: the index is unreadable when it cannot be made again" \
        "$(aside "faissx://$what" search)" "search: -.*cannot be read from the server's disk: change [0-9]* cannot be made again: faiss_Index_add"
    like "$what: and stays so" "$(aside "faissx://$what" search)" 'cannot be made again'
done
killed

start_server --again --data-dir "$data"
for what in memory refused last; do
    total=10
    [ $what = last ] && total=1
    is "$what: all changes are there when it can" "$(aside "faissx://$what" total)" "total: $total"
done
ok "the server stops" stop_server

strange --again
is "an index has vectors" "$(aside faissx://half new add 5 search)" "$(printf 'add: ok\nsearch: ok')"
like "a change fails when it has added some" "$(aside faissx://half halfway)" 'halfway: -4'
is "they are not there" "$(aside faissx://half total)" "total: 5"
is "later changes work" "$(aside faissx://half add 2 total)" "$(printf 'add: ok\ntotal: 7')"
killed
strange --again
is "nor after a restart" "$(aside faissx://half total)" "total: 7"
ok "the server stops" stop_server

# Nobody knows what became of a change when everything ends, and it cannot be made again.  It is
# passed over, also where the store does not note that.
strange --again
raw '{"operation":"index_create","name":"unknown","d":2,"description":"Flat"}' >/dev/null
raw '{"operation":"index_add","name":"unknown","n":1,"_frames":["f32 1 1"]}' >/dev/null
raw '{"operation":"index_add","name":"unknown","n":2,"_frames":["f32 7654325 0 7654323 0"]}' >/dev/null 2>&1 &
sleep 1
killed
strange --again --durability snapshot
like "a change that nobody was told of and that cannot be made is passed over" \
    "$(timeout 30 "$BUILD/tests/e2e/raw" "$SERVER" '{"operation":"index_info","name":"unknown"}')" '"ntotal":1,'
is "once" "$(grep -c event=change-failed "$SERVER_LOG")" 1
kill -9 "$(stat_of pid)"
