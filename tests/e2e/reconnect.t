#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A program whose connection breaks goes on: reads are repeated, changes are made once, and what is
# lost is named.  Nothing waits longer than FAISSX_TIMEOUT.
. tests/e2e/lib.sh
. tests/e2e/proxy.sh

ASAN_OPTIONS=handle_segv=0:handle_abort=0:${ASAN_OPTIONS:-}
export ASAN_OPTIONS

reconnect() { remote timeout 120 "$BUILD/tests/e2e/reconnect" "$1" "$TMP/control" 2>&1; }

RECONNECT_FILE=$TMP/file
FAISSX_TIMEOUT=60
export RECONNECT_FILE FAISSX_TIMEOUT

start_server
behind_proxy

# --- a connection that is cut, at every byte ---

while read -r what name; do
    is "$name" "$(reconnect "$what")" "ok, cut"
done <<'END'
search a search goes on
range so does a search whose result has any size
add an add is made once
create making and freeing an index happen once
joined adds that are sent together are made once
save an index is written
load an index is read once
upload a large array arrives, and is added once
again a large array that is not sent again is added once
queries a search for many queries goes on
download a large index is written
threads several threads go on
END
# If the library finds the connection closed before it has sent more of the index, it goes on.
like "an index that is read from a stream is not read twice" "$(reconnect stream)" \
    '^-4 faissx: .*; an index that is read from a stream cannot be sent again$|^0 '
is "those that broke off do not keep others from being read" "$(FAISSX_RETRIES=0 reconnect streams | head -n 1)" \
    "enough failed, 0 "
is "events come in order, until they are not wanted any more" "$(reconnect events | sed 's/:.*//')" \
    "event 1!
event 2!
event 1!
event 2!
event 1!
event 2!
ok, not cut"
objects() { [ "$(directly stat_of objects)" = "$1" ]; }
ok "no object is left of all that" wait_for objects 0

# --- the client's side of a connection that stays open is closed ---

talk half
is "a client has an index" "$(ask half 'new 0 Flat'; ask half 'add 0 3')" "ok
ok"
proxy half
is "a half-closed connection is replaced" "$(ask half 'add 0 3'; ask half 'total 0')" "ok
6"

# --- what is made twice would not be seen by who makes it ---

talk maker
made=0
for way in 'up 0' 'up 90' 'up 300' 'down 0' 'down 1' 'down 20'; do
    ask maker "new 1 Flat" >/dev/null # so that the next call is the one that is cut
    proxy "$way"
    is "an index is made although its connection is cut ($way)" "$(ask maker 'new 0 Flat')" ok
    proxy 'up -1' 'down -1'
    made=$((made + 2))
    ok "there is one" objects $((made + 1))
done
is "an index is published" "$(ask maker 'publish 0 once')" ok
now=$(directly stat_of objects)
proxy 'down 0'
is "it is opened although the reply is cut" "$(ask maker 'open 2 once')" ok
is "there is one handle of it more" "$(directly stat_of objects)" $((now + 1))
proxy 'down 0'
is "it is freed although the reply is cut" "$(ask maker 'free 2')" "done"
is "the handle is gone" "$(directly stat_of objects)" "$now"

# --- what arrives twice ---

talk doubled
is "a client has an index" "$(ask doubled 'new 0 Flat'; ask doubled 'add 0 3')" "ok
ok"
found=$(ask doubled 'search 0')
for n in 1 2 3 4; do
    proxy 'twice 1'
    is "an add that arrives twice succeeds ($n)" "$(ask doubled 'add 0 3')" ok
    is "and is made once ($n)" "$(ask doubled 'total 0')" $((3 + 3 * n))
done
is "a new index" "$(ask doubled 'new 1 Flat'; ask doubled 'add 1 3')" "ok
ok"
proxy 'twice 1'
is "a search that arrives twice has its results" "$(ask doubled 'search 1')" "$found"
is "and the next call has its own" "$(ask doubled 'total 1')" 3

# --- waiting and giving up ---

proxy 'drop 4' cut
is "several connections may fail in a row" "$(ask half 'add 0 3'; ask half 'total 0')" "ok
9"
FAISSX_RETRIES=0 talk never
is "a client that may not reconnect" "$(ask never 'new 0 Flat'; ask never 'add 0 3')" "ok
ok"
proxy 'up 10'
is "gets an error" "$(ask never 'add 0 3')" \
    "-4 faissx: the server closed the connection; the change may have been made"
is "and its next call connects" "$(ask never 'total 0')" 3
proxy 'drop 1000' 'up 10'
FAISSX_RETRIES=2 talk twice
like "a program's first connection is not tried again" "$(ask twice 'new 0 Flat')" \
    "^-4 faissx: $SERVER: the server closed the connection\$|^-4 faissx: cannot connect to $SERVER: "
proxy 'drop 0' 'up -1'
is "it connects when the server is there" "$(ask twice 'new 0 Flat')" "ok"
proxy 'drop 1000' cut
like "after FAISSX_RETRIES there is an error" "$(ask twice 'add 0 3')" \
    '^-4 faissx: .*the server closed the connection; the change was not made$'
proxy 'drop 0' 'drop 1000' 'up 200'
proxy 'drop 0'
is "and the program goes on later" "$(ask twice 'add 0 3'; ask twice 'total 0')" "ok
3"
FAISSX_TIMEOUT=2 FAISSX_RETRIES=100000 talk late
is "a client with little time" "$(ask late 'new 0 Flat')" ok
proxy 'drop 100000' cut
like "gives up when the time is over" "$(ask late 'add 0 3')" '^-4 faissx: .*; the change was not made$'
proxy 'drop 0' hold
like "also if nothing answers" "$(ask late 'search 0')" \
    '^-4 faissx: .*timed out waiting for a ZeroMQ handshake'
proxy go
is "and goes on when it does" "$(ask late 'total 0')" 0
FAISSX_TIMEOUT=1.5 talk brief
is "a client keeps an add, to send it with others" "$(ask brief 'new 0 Flat'; ask brief 'add 0 3'
    ask brief 'add 0 3'; ask brief 'add 0 3')" "ok
ok
ok
ok"
proxy 'delay 450'
like "what a call sends has the time of one call, in all" "$(ask brief 'search 0')" \
    '^-4 faissx: .*within FAISSX_TIMEOUT, 1.5 seconds'
proxy 'delay 0'
FAISSX_CONNECT_TIMEOUT=0.2 FAISSX_RETRIES=3 talk quick
is "a client that connects quickly" "$(ask quick 'new 0 Flat')" ok
proxy cut hold
like "gives up connecting after FAISSX_CONNECT_TIMEOUT" "$(ask quick 'add 0 3')" \
    '^-4 faissx: .*timed out waiting for a ZeroMQ handshake; the change was not made$'
proxy go

# --- the session ends ---

ok "the server stops" stop_server
start_server --lease 1
behind_proxy
talk away
ask away events >/dev/null
is "a client has an index" "$(ask away 'new 0 Flat')" ok
proxy 'drop 100000' cut
no_session() { [ "$(directly stat_of sessions)" = 0 ]; }
ok "it is away until its session has ended" wait_for no_session
proxy 'drop 0'
is "a call says what is gone, and why" "$(ask away 'add 0 3')" \
    "-4 faissx: faiss_Index_add: index is gone: its session has ended: this process was not connected for longer than the server's lease; it was the Index made by faiss_index_factory"
like "the events say so, too" "$(cat "$TMP/away.err")" \
    '^event 3: its session has ended: .*; objects of this process that are gone: 1; indexes that will be opened again by their names: 0$'
is "and nothing else" "$(sed 's/:.*//' "$TMP/away.err")" "event 1
event 3"

# --- the engine dies ---

engine=$(directly stat_of pid)
talk a
talk b
ask b events >/dev/null
is "two clients have indexes, one of them by its name" "$(ask a 'new 0 Flat'; ask a 'new 1 Flat'; ask a 'add 1 20'
    ask a 'publish 1 name'; ask b 'open 0 name'; ask b 'total 0')" "ok
ok
ok
ok
ok
20"
found=$(ask b 'search 0')
kill -9 "$engine"
wait_for gone "$engine"
is "an index is gone" "$(ask a 'add 0 3')" \
    "-4 faissx: faiss_Index_add: index is gone: the engine of tenant 'default' died (signal 9, Killed); it was the Index made by faiss_index_factory"
is "a named one cannot be opened until it is published" "$(ask b 'search 0')" \
    "-4 faissx: faiss_Index_search: index is gone: the engine of tenant 'default' died (signal 9, Killed); it was opened by the name 'name': faissx: no index is published as 'name'"
is "the program learns of it" "$(sed 's/; .*//' "$TMP/b.err")" "event 1: the server closed the connection
event 3: the engine of tenant 'default' died (signal 9, Killed)"
is "it is published again" "$(ask a 'new 2 Flat'; ask a 'add 2 20'; ask a 'publish 2 name')" "ok
ok
ok"
is "the handle of who has opened it works again" "$(ask b 'search 0')" "$found"
is "also for changes" "$(ask b 'add 0 3'; ask b 'total 0'; ask a 'total 2')" "ok
23
23"
FAISSX_RETRIES=0 talk still
is "a client that may not reconnect has an index" "$(ask still 'new 0 Flat'; ask still 'add 0 3')" "ok
ok"
tell still 'train 0 1000000000'
ok "it makes a long call" directly wait_for pending 1
kill -9 "$(directly stat_of pid)"
is "it learns why its engine ended, too" "$(hear still)" \
    "-4 faissx: the engine of tenant 'default' died (signal 9, Killed) while running faiss_Clustering_train; its objects are gone; the change may have been made"
is "the name is published once more" "$(ask a 'new 3 Flat'; ask a 'add 3 23'; ask a 'publish 3 name'; ask b 'total 0')" "ok
ok
ok
23"
engine=$(directly stat_of pid)
proxy hold
tell b 'add 0 3'
kill -9 "$engine"
wait_for gone "$engine"
proxy go
like "a change that nobody can know of is not made again" "$(hear b)" \
    "^-4 faissx: .*(the change may have been made, but the engine that had it is gone|no index is published as 'name')"
is "an index with other vectors is published" "$(remote "$BUILD/tests/e2e/named" publish faissx://name)" ""
like "a handle does not become an index with other vectors" "$(ask b 'search 0')" \
    "^-4 faissx: faiss_Index_search: index is gone: .*the index of this name now has d = [0-9]+ and metric type 1; it had d = 16"

# A change was sent, and its engine died before it answered; the name stands for another index then.
talk c
FAISSX_TIMEOUT=600 FAISSX_RETRIES=100000 talk d # until another index has the name, however long that takes
is "an index is published" "$(ask c 'new 0 Flat'; ask c 'publish 0 other'; ask d 'open 0 other'; ask d 'add 0 3')" "ok
ok
ok
ok"
engine=$(directly stat_of pid)
proxy 'down 0' 'drop 100000'
tell d 'add 0 3'
ok "the engine is the same" test "$(directly stat_of pid)" = "$engine"
total_is() { [ "$(directly client 'open 0 other' 'total 0' | sed -n 's/^total 0: //p')" = "$1" ]; }
ok "the change is made, and its reply is lost" wait_for total_is 6
kill -9 "$engine"
wait_for gone "$engine"
THROUGH=$SERVER
SERVER=$DIRECT
talk e
SERVER=$THROUGH
is "another index gets the name" "$(ask e 'new 0 Flat'; ask e 'add 0 7'; ask e 'publish 0 other')" "ok
ok
ok"
proxy 'drop 0'
is "the change is not made on it" "$(hear d)" \
    "-4 faissx: faiss_Index_add: the engine of tenant 'default' died (signal 9, Killed); the change may have been made, but the engine that had it is gone"
is "the next calls are about it" "$(ask d 'total 0'; ask d 'add 0 3'; ask d 'total 0')" "7
ok
10"

# --- the server is stopped, and started again ---

ok "the server stops" stop_server
RECONNECT_UNTIL=$TMP/until
export RECONNECT_UNTIL
start_server --tcp
remote "$BUILD/tests/e2e/reconnect" loop - 0 >"$TMP/loop" 2>&1 &
loop=$!
fx_servers="$fx_servers $loop"
works() { [ "$(stat_of sessions)" -ge 1 ] && [ "$(stat_of requests)" -gt 50 ]; }
for i in 1 2 3; do
    wait_for works
    kill "$SERVER_PID"
    wait "$SERVER_PID"
    start_server --again
done
wait_for works
touch "$TMP/until"
wait "$loop"
is "a program goes on while its server is restarted" "$(cat "$TMP/loop")" ok
