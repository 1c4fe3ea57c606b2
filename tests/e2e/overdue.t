#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Calls that take longer than --call-limit: their callers get an error, no other call waits for
# them, and an engine that does nothing else is replaced.
. tests/e2e/lib.sh

start_server --lease 1 --call-limit 2
talk a
talk b
ask a 'new 0 Flat' >/dev/null
ask b 'new 0 Flat' >/dev/null
engine=$(stat_of pid)
like "a call beyond the limit ends with an error" "$(ask a 'train 0 1000000000')" \
    '^-4 faissx: faiss_Clustering_train took longer than the server.s --call-limit of 2 seconds'
is "its client can continue" "$(ask a 'new 1 Flat'; ask a 'add 1 10'; ask a 'total 1')" "ok
ok
10"
is "other wide work does not wait for it" "$(ask b 'train 0 2'; ask b 'add 0 1000')" "ok
ok"
is "it is the same engine" "$(stat_of pid)" "$engine"
replaced() { [ "$(stat_of pid)" != "$engine" ]; }
tell a abort
is "the engine stays as long as another client needs it" "$(sleep 3; stat_of pid)" "$engine"
tell b abort
ok "an engine that does nothing else is replaced" wait_for replaced
like "the log says so" "$(cat "$SERVER_LOG")" 'event=replaced why="a call does not end'
ok "the server stops" stop_server

# With --keep sessions, too, if the other client has an object that is not on disk.
start_server --lease 1 --data-dir "$TMP/sessions" --keep sessions
talk k
talk l
ask k 'new 0 Flat' >/dev/null
is "a client has an index on disk, and one in memory only" "$(ask l 'new 0 Flat'; ask l 'shards 1')" "ok
ok"
engine=$(stat_of pid)
tell k 'train 0 1000000000'
ok "another client has an endless call" wait_for pending 1
kill -9 "$(pgrep -P "$PID_k")"
is "without that client, the engine stays" "$(sleep 4; stat_of pid)" "$engine"
is "and so do the objects" "$(ask l 'shard 1 0'; ask l 'free 1')" "ok
done"
ok "when there is only the index on disk, it is replaced" wait_for replaced
is "and the index is there" "$(ask l 'add 0 5'; ask l 'total 0')" "ok
5"
ok "the server stops" stop_server

# Without a limit: many endless calls, and a short one beside them.
start_server --lease 1
for name in c d e f; do
    talk $name
    ask $name 'new 0 Flat' >/dev/null
    tell $name 'train 0 1000000000'
done
ok "four endless calls are in progress" wait_for pending 4
talk g
ask g 'new 0 Flat' >/dev/null
is "a short call does not wait for them" "$(ask g 'train 0 2')" ok
engine=$(stat_of pid)
# Each is the child of a shell.
for pid in $PID_c $PID_d $PID_e $PID_f $PID_g; do kill -9 "$(pgrep -P "$pid")"; done
ok "when the leases of their clients are over, the engine is replaced" wait_for replaced
ok "the server stops" stop_server

# An index that takes long to free, of a client that is gone, keeps nobody waiting.
start_server --lease 1 --library "$BUILD/tests/torture/crashing.so"
talk h
is "a client has an index" "$(ask h 'new 0 HNSW8'; ask h 'add 0 4322')" "ok
ok"
kill -9 "$(pgrep -P "$PID_h")"
sleep 2.5
started=$(date +%s)
like "while it is freed another client comes" "$(raw '{"operation":"hello","protocol":1}')" '"status":"ok"'
ok "without a wait" [ $(($(date +%s) - started)) -le 4 ]
ok "the server stops" stop_server

# An engine is not replaced before all changes that clients know of are on disk.  Clients of the
# catalogue have no session.
start_server --data-dir "$TMP/data" --durability snapshot --snapshot-interval 0 \
    --library "$BUILD/tests/torture/crashing.so"
like "a change is acknowledged that is on disk only with the next snapshot" "$(raw \
    '{"operation":"index_create","name":"a","d":2,"description":"Flat"}' \
    '{"operation":"index_add","name":"a","n":3,"_frames":["f32 0 0 1 1 2 2"]}' | tail -n 1)" '"status":"ok"'
engine=$(stat_of pid)
"$BUILD/tests/e2e/raw" "$SERVER" \
    '{"operation":"index_search","name":"a","n":1,"k":1,"_frames":["f32 1111111 0"]}' >/dev/null 2>&1 &
endless=$!
ok "an endless search is in progress" wait_for pending 1
kill -9 $endless
ok "when its client is gone, the engine is replaced" wait_for replaced
like "the change is there" "$(raw '{"operation":"index_info","name":"a"}')" '"ntotal":3,'
ok "the server stops" stop_server

# Records of a run before, with another durability, are on disk already.
start_server --data-dir "$TMP/records"
raw '{"operation":"index_create","name":"a","d":2,"description":"Flat"}' \
    '{"operation":"index_add","name":"a","n":3,"_frames":["f32 0 0 1 1 2 2"]}' \
    '{"operation":"index_create","name":"b","d":2,"description":"Flat"}' >/dev/null
engine=$(stat_of pid)
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
wait_for gone "$engine"
start_server --data-dir "$TMP/records" --durability snapshot --library "$BUILD/tests/torture/crashing.so"
engine=$(stat_of pid)
"$BUILD/tests/e2e/raw" "$SERVER" \
    '{"operation":"index_search","name":"b","n":1,"k":1,"_frames":["f32 1111111 0"]}' >/dev/null 2>&1 &
endless=$!
ok "an endless search is in progress" wait_for pending 1
kill -9 $endless
ok "its engine is replaced, although an index has records that were not read" wait_for replaced
like "they are there" "$(raw '{"operation":"index_info","name":"a"}')" '"ntotal":3,'
ok "the server stops" stop_server

# A call that never gives an index back keeps no other index from being written, neither in between
# nor when the server stops.
serve() {
    start_server "$@" --data-dir "$TMP/kept" --durability snapshot --snapshot-interval 1 --call-limit 1 \
        --library "$BUILD/tests/torture/crashing.so"
}
add() { raw '{"operation":"index_add","name":"'"$1"'","n":'"$2"',"_frames":["f32'"$(seq -s ' ' -f ' %g' $(($2 * 2)))"'"]}'; }
endless() { raw '{"operation":"index_'"$1"'","name":"'"$2"'","n":1,"k":1,"_frames":["f32 1111111 0"]}'; }
count() { value ntotal "$(raw '{"operation":"index_info","name":"'"$1"'"}')"; }
snapshots() { grep -c 'event=snapshot ' "$SERVER_LOG"; }
serve
for name in a b; do
    raw '{"operation":"index_create","name":"'$name'","d":2,"description":"Flat"}' >/dev/null
done
add a 3 >/dev/null
like "an endless add has an index of which a snapshot is due" "$(endless add a)" '"kind":"timeout"'
sleep 1.5
like "another index is changed" "$(add b 5)" '"status":"ok"'
ok "the server stops" stop_server
is "and does not have to be killed" "$(grep -c killing-engines "$SERVER_LOG")" 0
serve --again
is "the other index has the change" "$(count b)" 5
like "an endless add again" "$(add a 3; endless add a)" '"kind":"timeout"'
sleep 1.5
before=$(snapshots)
like "another index is changed" "$(add b 5)" '"status":"ok"'
later() { [ "$(snapshots)" -gt "$before" ]; }
ok "in between, it gets its snapshot" wait_for later
like "the log says which one does not" "$(cat "$SERVER_LOG")" 'event=no-snapshot .*other calls had the index for 10 seconds'
pid=$(stat_of pid)
kill -9 "$pid"
# Until the front knows of it, a connection may go to the engine that has died.
ok "the engine is killed" wait_for grep -q "event=engine-ended .*pid=$pid " "$SERVER_LOG"
is "the change outlives the engine" "$(count b)" 10
raw '{"operation":"index_create","name":"w","d":2,"training":"explicit","description":"IVF4,Flat"}' >/dev/null
add w 200 >/dev/null
like "an endless search has an index that waits for its training" "$(endless search w)" '"kind":"timeout"'
like "which is trained meanwhile" "$(raw '{"operation":"index_train","name":"w"}')" '"kind":"timeout"'
sleep 1
add b 5 >/dev/null
ok "the server stops" stop_server
is "and does not have to be killed" "$(grep -c killing-engines "$SERVER_LOG")" 0
serve --again
is "the other index has the change" "$(count b)" 15
like "the index has been trained" "$(raw '{"operation":"index_info","name":"w"}')" '"ntotal":200,.*"trained":1'
ok "the server stops" stop_server
