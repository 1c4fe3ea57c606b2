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
is "of an index that an IndexShards contains they are, because that points to it" \
    "$(aside faissx://half search shard halfway sharded total | sed 's/^\(halfway: -4\).*/\1/')" \
    "$(printf 'search: ok\nshard: ok\nhalfway: -4\nsharded: ok\ntotal: 8')"
is "later changes work" "$(aside faissx://half add 2 total)" "$(printf 'add: ok\ntotal: 10')"
snapshot_taken() { grep -q 'event=snapshot ' "$SERVER_LOG"; }
ok "the index is stored with them" wait_for snapshot_taken
killed
strange --again
is "they are there after a restart" "$(aside faissx://half total)" "total: 10"
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
killed

# One that takes long.
strange --again
is "three indexes are changed, the first of them slowly" \
    "$(aside faissx://long new slow slow; for i in x y; do aside faissx://$i new add 5; done)" \
    "$(printf 'slow: ok\nslow: ok\nadd: ok\nadd: ok')"
killed
strange --again
stat_of pid >/dev/null
aside faissx://long total >"$TMP/long" &
reader=$!
sleep 1
is "others are read while the changes of one are made again" \
    "$(aside faissx://x total; aside faissx://y total; cat "$TMP/long")" "$(printf 'total: 5\ntotal: 5')"
wait "$reader"
is "and it is read, too" "$(cat "$TMP/long")" "total: 2"
ok "the server stops" stop_server

# One that never ends, and was not acknowledged; and one of another index that ends the engine.
strange
aside faissx://ends new add 1 >/dev/null
aside faissx://never new endless >"$TMP/never" 2>&1 &
wait_for sh -c 'kill -0 '$!
sleep 1
is "a change is acknowledged that cannot be made again" "$(aside faissx://ends search first add 4 total)" \
    "$(printf 'search: ok\nfirst: ok\nadd: ok\ntotal: 6')"
killed
wait
strange --again
aside faissx://never total >"$TMP/never" 2>&1 &
sleep 1
aside faissx://ends total >"$TMP/ends" 2>&1
is "the one that ends the engine is found beside the one that never ends" "$(cat "$TMP/ends")" "total: 5"
is "and only that one is set aside" "$(grep -c event=change-set-aside "$SERVER_LOG")" 1
killed
