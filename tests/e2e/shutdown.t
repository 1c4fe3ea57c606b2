#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How a server ends, and what it says if it cannot start.
. tests/e2e/lib.sh

# --- a call that does not end in time: begun first, for the server waits ten seconds ---

start_server
patient=$SERVER patient_pid=$SERVER_PID
talk p
ask p 'new 0 Flat' >/dev/null
patient_engine=$(stat_of pid)
tell p 'train 0 1000000000'
ok "an endless call is in progress" wait_for pending 1
kill "$patient_pid"

# --- a call in flight ---

last_training() { [ "$(stat_of faiss_Clustering_new_with_params)" = 5 ]; }

# nohup ignores SIGHUP, and a shell cannot take that back.
signals="TERM INT HUP"
[ $((0x$(sed -n 's/^SigIgn:[[:space:]]*//p' /proc/self/status) & 1)) = 0 ] || signals="TERM INT"

for signal in $signals; do
    start_server
    talk "c$signal"
    ask "c$signal" 'new 0 Flat' >/dev/null
    engine=$(stat_of pid)
    tell "c$signal" 'busy 0 3'
    # Four short trainings to measure the time, then a long one; a getter is called in between.
    wait_for last_training
    wait_for pending 1
    sleep 0.2
    ok "a long call is in progress" wait_for pending 1
    kill "-$signal" "$SERVER_PID"
    wait_for grep -q 'event=stopping signal=' "$SERVER_LOG"
    like "SIG$signal arrives during the call" "$(cat "$SERVER_LOG")" 'event=stopping signal=[0-9]+'
    like "new requests are refused meanwhile" "$(raw '{"operation":"hello","protocol":1}')" \
        '"kind":"shutdown","message":"faissx: the server is stopping"|no reply'
    is "the client gets its result" "$(hear "c$signal")" ok
    wait "$SERVER_PID"
    is "exit status" $? 0
    ok "no engine is left" gone "$engine"
    is "no socket is left" "$(ls "${SERVER#ipc://}" 2>&1 | grep -c 'No such')" 1
done

# --- SIGHUP ---

case $signals in *HUP)
    start_server --data-dir "$TMP/data" --durability snapshot
    client 'new 0 Flat' 'add 0 10' 'write 0 faissx://kept' 'add 0 5' >/dev/null
    kill -HUP "$SERVER_PID"
    wait "$SERVER_PID"
    is "SIGHUP stops a server that keeps indexes: exit status" $? 0
    start_server --data-dir "$TMP/data"
    is "a change without a snapshot is there again" "$(client 'read 0 faissx://kept' 'total 0' | tail -n 1)" "total 0: 15"
    ok "the server stops" stop_server
    ;;
esac
trap '' HUP
start_server
trap 'exit 143' HUP
client 'new 0 Flat' >/dev/null
kill -HUP "$SERVER_PID" "$(stat_of pid)"
sleep 0.3
is "after nohup the server and its engine go on" "$(client 'new 0 Flat')" "new 0 Flat: ok"
ok "they stop at SIGTERM" stop_server

# --- a second signal ---

start_server
talk d
ask d 'new 0 Flat' >/dev/null
engine=$(stat_of pid)
tell d 'train 0 1000000000'
wait_for pending 1
kill "$SERVER_PID"
wait_for grep -q 'event=stopping signal=15' "$SERVER_LOG"
kill -INT "$SERVER_PID"
wait "$SERVER_PID"
is "a second signal ends the server at once" $? 130
like "the client gets an error" "$(hear d)" '^-4 faissx: '
ok "no engine is left" wait_for gone "$engine"

# --- an idle server ---

start_server
client 'new 0 Flat' >/dev/null
engine=$(stat_of pid)
ok "an idle server stops" stop_server
ok "no engine is left" gone "$engine"
start_server
ok "so does one that was never used" stop_server

# --- the address ---

start_server --tcp
text=$(timeout 20 "$BUILD/faissx-server" run --bind "$SERVER" 2>&1)
is "address in use: exit status" $? 1
like "message" "$text" "event=cannot-listen .*${SERVER#tcp://}.* why=\"address already in use\""
is "the first server continues to work" "$(client 'new 0 Flat')" "new 0 Flat: ok"
start_server
text=$(timeout 20 "$BUILD/faissx-server" run --bind "$SERVER" 2>&1)
is "path in use: exit status" $? 1
like "message" "$text" "${SERVER#ipc://}"
is "the first server continues to work" "$(client 'new 0 Flat')" "new 0 Flat: ok"
text=$(timeout 20 "$BUILD/faissx-server" run --bind ipc:///nonexistent/socket 2>&1)
is "path in a folder that does not exist: exit status" $? 1
like "message" "$text" 'ipc:///nonexistent/socket.*[Nn]o such file'

# A client may use any address of the name; /etc/hosts may have one twice.
printf '%s localhost\n' 127.0.0.1 ::1 127.0.0.1 >"$TMP/hosts"
# They run in subshells, in place of them, so that $! is the server.
in_hosts() { exec unshare --mount sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$TMP/hosts" "$@"; }
(in_hosts true) 2>/dev/null || in_hosts() { exec "$@"; } # not root: the machine's own
in_hosts "$BUILD/faissx-server" run --bind 'tcp://localhost:*' >"$TMP/server-name.log" 2>&1 &
name_pid=$!
fx_servers="$fx_servers $name_pid"
wait_for grep -q 'event=listening endpoint=tcp' "$TMP/server-name.log"
sleep 0.2
port=$(sed -n 's/.*event=listening endpoint=tcp.*:\([0-9]*\)$/\1/p' "$TMP/server-name.log" | sort -u)
for address in $(in_hosts getent ahosts localhost | sed -n 's/ .*STREAM.*//p' | sed 's/.*:.*/[&]/' | sort -u); do
    like "a server on localhost answers on $address" \
        "$("$BUILD/bin/faissx" health --server "tcp://$address:$port" 2>&1)" '^uptime '
done
stop_server "$name_pid"

# --- no FAISS ---

text=$(FAISSX_FAISS_LIBRARY=/nonexistent timeout 20 "$BUILD/faissx-server" run --bind "ipc://$TMP/none" 2>&1)
is "no FAISS: exit status" $? 1
like "message" "$text" 'no real libfaiss_c at ./nonexistent'
echo "no library" >"$TMP/libtext.so"
text=$(timeout 20 "$BUILD/faissx-server" run --library "$TMP/libtext.so" --bind "ipc://$TMP/none" 2>&1)
is "a library that cannot be loaded: exit status" $? 1
like "message" "$text" ' error front event=cannot-load-library path=.*libtext.so why=".*(invalid|too short)'
text=$(env -u FAISSX_FAISS_LIBRARY timeout 20 "$BUILD/faissx-server" run --library "$STAND_IN" --bind "ipc://$TMP/none" 2>&1)
is "the stand-in as --library: exit status" $? 1
like "message" "$text" "$STAND_IN is this shim itself"
like "FAISSX_FAISS_LIBRARY cannot be the stand-in for a program without a server" \
    "$(preloaded env FAISSX_FAISS_LIBRARY=/nonexistent "$BUILD/tests/e2e/client" 'new 0 Flat')" \
    ': -2 faissx: .*/nonexistent'

# --- a client that does not read ---

start_server
(remote "$BUILD/tests/e2e/saving" stalls >"$TMP/unread" 2>&1) &
reader=$!
objects() { [ "$(stat_of objects)" -ge 1 ]; }
ok "a client has an index" wait_for objects
sleep 3 # it fetches the index, and does not read on
ok "the server stops" stop_server
is "and has not waited for the client until its engines were killed" "$(grep -c event=killing-engines "$SERVER_LOG")" 0
kill "$(pgrep -P $reader)" "$reader" 2>/dev/null
wait $reader 2>/dev/null

# --- killed ---

# The socket for clients of this host that connect over TCP has a folder of its own.
mkdir -m 700 "$TMP/run"
near() { XDG_RUNTIME_DIR=$TMP/run start_server --tcp; }
folders() { ls "$TMP/run" | wc -l; }
near
lives=$SERVER_PID living=$SERVER
near
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
near
is "a killed server leaves a folder" "$(folders)" 3
ok "it stops" stop_server
mkdir -m 711 "$TMP/run/faissx-backup" "$TMP/run/faissx-export"
echo kept >"$TMP/run/faissx-backup/file"
touch -d '-5 minutes' "$TMP"/run/faissx-*
near
is "nothing of others is removed" "$(cat "$TMP/run/faissx-backup/file"; ls -d "$TMP/run/faissx-export")" "kept
$TMP/run/faissx-export"
rm -r "$TMP/run/faissx-backup" "$TMP/run/faissx-export"
is "a later one removes it, and not that of a server that lives" "$(folders)" 2
is "which still answers" "$(SERVER=$living client 'new 0 Flat')" "new 0 Flat: ok"
ok "it stops" stop_server
ok "and the other one" stop_server "$lives"
is "nothing is left" "$(folders)" 0

# --- the patient one ---

SERVER=$patient SERVER_PID=$patient_pid
like "a call that does not end is given up" "$(hear p)" \
    '^-4 faissx: the server (stopped before faiss_Clustering_train was finished|closed the connection)'
wait "$patient_pid"
is "exit status" $? 0
ok "no engine is left" wait_for gone "$patient_engine"
