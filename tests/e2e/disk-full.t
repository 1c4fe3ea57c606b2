#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The disk of --data-dir is full: changes are refused and not made, searches go on, and changes work
# again when there is space.  In a mount namespace of its own, on a small tmpfs.
. tests/e2e/disk.sh

make_disk 24m
data=$disk/data

# fill [KIB]: leaves so much space.
fill() {
    rm -f "$disk/ballast"
    fx_free=$(df -k --output=avail "$disk" | tail -n 1)
    head -c $(((fx_free - ${1:-0}) * 1024)) /dev/zero >"$disk/ballast" 2>/dev/null
}
free_space() { rm "$disk/ballast"; }

# adds N: adds 1000 vectors until that fails, N times at most.  Sets made (vectors) and answer.
adds() {
    made=0
    for fx_i in $(seq "$1"); do
        answer=$(ask c 'add 0 1000')
        [ "$answer" = ok ] || return 1
        made=$((made + 1000))
    done
}

# says COMMAND [CLIENT]: the client's answer to it, without the path in the command.
says() { ask "${2:-c}" "$1" | sed 's/^.*: //'; }

start_server --data-dir "$data"
talk c
is "an index is published" "$(says 'new 0 Flat') $(says 'write 0 faissx://full')" "ok ok"
ok "changes are kept while there is space" adds 3
total=$made
is "an index is published that is not trained" "$(says 'new 2 IVF4,Flat') $(says 'write 2 faissx://ivf')" "ok ok"
fill 512
adds 100
total=$((total + made))
like "a change for which there is no space is refused" "$answer" 'the change could not be stored, and was not made: the server.s disk is full'
is "it was not made" "$(ask c 'total 0')" "$total"
like "searches go on" "$(ask c 'search 0')" '^found '
fill
like "with no space at all a removal is refused as well" "$(ask c 'drop 0 5')" 'was not made: the server.s disk is full'
is "it was not made" "$(ask c 'total 0')" "$total"
ask c 'new 1 Flat' >/dev/null
like "an index cannot be published" "$(ask c 'write 1 faissx://other')" 'could not be stored: .*(full|No space)'
like "nor trained" "$(ask c 'learn 2 200')" 'could not be stored, .*: No space left .*; the change was not made'
is "a small index is changed in memory only, as it has no name" "$(ask c 'add 1 10')" ok

free_space
is "changes work again by themselves" "$(ask c 'add 0 1000')" ok
total=$((total + 1000))
is "and so does publishing" "$(says 'write 1 faissx://other')" ok
like "the training was undone" "$(ask c 'add 2 5')" 'is_trained'
is "and is made now" "$(says 'learn 2 200') $(says 'add 2 5')" "ok ok"
is "all that was acknowledged is there" "$(ask c 'total 0')" "$total"

# Restarts, with space and without.
seen() { client 'read 0 faissx://full' 'total 0' 'search 0' | sed 's/^.*: //' | tr '\n' ' '; }
before=$(seen)
like "another program sees it" "$before" "^ok $total found "
for fx_space in free full; do
    [ $fx_space = free ] || fill
    fx_engine=$(stat_of pid)
    kill -9 "$SERVER_PID"
    wait "$SERVER_PID" 2>/dev/null
    wait_for gone "$fx_engine"
    start_server --again --data-dir "$data"
    is "after a restart with the disk $fx_space it is the same" "$(seen)" "$before"
done
kill -9 "$(stat_of pid)"
is "after the engine was killed with the disk full, too" "$(seen)" "$before"
stop_server
: >"$data/lock"
fill
start_server --again --data-dir "$data"
is "after a clean stop with the disk full, too" "$(seen)" "$before"
client 'read 0 faissx://full' 'add 0 1000' >"$TMP/out"
like "a change is refused" "$(cat "$TMP/out")" 'was not made: the server.s disk is full'
free_space
is "and works when there is space" "$(client 'read 0 faissx://full' 'add 0 1000' 'total 0' | tail -n 1)" "total 0: $((total + 1000))"

# A change that an engine before this one has made and stored is answered, and stores nothing.
raw '{"operation":"index_create","name":"t","d":2,"description":"IVF2,Flat"}' >/dev/null
train='{"operation":"index_train","name":"t","n":80,"_frames":["zero 640"],"request_id":1,"caller":"hex:000102030405060708090a0b0c0d0e0f"'
snapshots() { (cd "$data/tenants/default" && ls -- *.faiss); }
reply=$(raw "$train}")
like "an index is trained" "$reply" '"status":"ok"'
before=$(snapshots)
kill_engine
fill
is "the request is sent again when the disk is full, and has the same answer" "$(raw "$train,\"again\":true}")" "$reply"
free_space
is "and with space" "$(raw "$train,\"again\":true}")" "$reply"
kill_engine
is "also to the next engine" "$(raw "$train,\"again\":true}")" "$reply"
is "no snapshot was made for that" "$(snapshots)" "$before"
ok "the server stops" stop_server

# A published index that another object points to stays where it is.
start_server --data-dir "$disk/shards"
talk p
for fx_what in 'new 0 Flat' 'new 2 IDMap,Flat' 'shards 1' 'shards 4' 'shards 5'; do ask p "$fx_what" >/dev/null; done
is "two indexes are published" "$(says 'write 0 faissx://shard' p) $(says 'write 2 faissx://map' p)" "ok ok"
is "one becomes a shard" "$(ask p 'shard 1 0')" ok
engine=$(stat_of pid)
fill
like "without space, a change of it is an error that says that it was made" "$(ask p 'add 1 100')" \
    'the change was made, but is not stored yet, and is lost if the server ends before it can be: '
is "it is there" "$(ask p 'total 0')" 100
found=$(ask p 'search 0')
like "and found" "$found" '^found '
is "by the shards, too" "$(ask p 'search 1')" "$found"
is "it becomes a shard of others, which needs no space" "$(ask p 'shard 5 0')" ok
is "and is searched by them" "$(ask p 'search 5')" "$found"
if has faiss_IndexIDMap_sub_index; then
    is "a part of an index becomes a shard" "$(ask p 'inner 3 2'; ask p 'shard 4 3')" "$(printf 'done\nok')"
    like "and is changed" "$(ask p 'add 4 100')" 'the change was made, but is not stored yet'
    is "and searched" "$(ask p 'search 4')" "$found"
fi
is "the shards are freed" "$(ask p 'free 4'; ask p 'free 1')" "$(printf 'done\ndone')"
is "all that in the same engine" "$(stat_of pid)" "$engine"
free_space
is_stored() { grep -q 'event=snapshot entry=1 ' "$SERVER_LOG"; }
ok "the change is stored by itself when there is space" wait_for is_stored
kill_engine
is "and is there after a crash" "$(client 'read 0 faissx://shard' 'total 0' | tail -n 1)" "total 0: 100"
ok "the server stops" stop_server

# Indexes of a program that frees them while the disk is full.
start_server --data-dir "$disk/sessions" --keep sessions
stored() { find "$disk/sessions" -name '*.faiss' | wc -l; }
none_stored() { [ "$(stored)" = 0 ]; }
talk s
for fx_i in 0 1 2 3 4 5; do ask s "new $fx_i Flat" >/dev/null; done
is "indexes of a session are on disk" "$(stored)" 6
fill
for fx_i in 0 1 2 3 4 5; do ask s "free $fx_i" >/dev/null; done
sleep 1
ok "without space they cannot be removed from it" [ "$(stored)" -gt 0 ]
fill 1024
ok "with a little space they are" wait_for none_stored
free_space
ok "the server stops" stop_server

# Acknowledged changes that only memory has are not given up for one that cannot be stored.
start_server --data-dir "$disk/memory" --durability snapshot --snapshot-interval 0 \
    --library "$BUILD/tests/torture/crashing.so"
talk m
for fx_what in 'new 0 IVF4,Flat' 'learn 0 200' 'write 0 faissx://memory' 'new 1 IVF4,Flat' 'learn 1 200' 'add 1 10'; do
    ask m "$fx_what" >/dev/null
done
is "vectors are added, and are on disk with the next snapshot" "$(ask m 'add 0 1000')" ok
fill
is "without space for that, another index is merged into this one" "$(ask m 'merge 0 1')" ok
is "it has all of them" "$(ask m 'total 0')" 1010
free_space
like "the log says what waits" "$(cat "$SERVER_LOG")" 'event=not-stored-yet '
snapshot_taken() { grep -q 'event=snapshot ' "$SERVER_LOG"; }
ok "it is stored by itself when there is space" wait_for snapshot_taken
kill_engine
is "and is there after a crash" "$(client 'read 0 faissx://memory' 'total 0' | tail -n 1)" "total 0: 1010"
aside() { remote "$BUILD/tests/torture/aside" "$@"; }
is "nor for one that fails halfway" "$(aside faissx://half new add 5 search halfway total |
    sed 's/^\(halfway: -4\).*/\1/')" "$(printf 'add: ok\nsearch: ok\nhalfway: -4\ntotal: 6')"
ok "the server stops" stop_server

# A change that waits for space keeps nobody from another index.
start_server --data-dir "$disk/stuck" --durability interval=100
client 'new 0 Flat' 'add 0 100' 'write 0 faissx://one' 'new 1 Flat' 'add 1 200' 'write 1 faissx://two' 'add 1 20' >/dev/null
ok "the server stops" stop_server
start_server --again --data-dir "$disk/stuck" --durability interval=100
talk w
is "one of two indexes is used" "$(ask w 'read 0 faissx://one' >/dev/null; ask w 'search 0' | sed 's/ .*//')" found
fill
is "a change of it is accepted that cannot be written" "$(ask w 'add 0 1000')" ok
sleep 0.5
like "no other is, then" "$(ask w 'add 0 1000')" 'was not made: the server.s disk is full'
is "the other index can be read" "$(client 'read 0 faissx://two' 'search 0' 'total 0' | sed 's/found .*/found/;s/^.*: //' | tr '\n' ' ')" "ok found 220 "
free_space
accepted() { [ "$(ask w 'add 0 10')" = ok ]; }
ok "changes are accepted when there is space" wait_for accepted
ok "the server stops" stop_server
