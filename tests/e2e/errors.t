#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# When the server is silent, stops or is gone, the error says why, and for a call that changes
# something, whether the change was made.
. tests/e2e/lib.sh

FAISSX_TIMEOUT=2 # real seconds: nothing here depends on how many
export FAISSX_TIMEOUT

# peer STAGE: a server that speaks the protocol up to STAGE.
peer() {
    rm -f "$TMP/peer"
    perl tests/e2e/peer.pl "$TMP/peer" "$1" 2>"$TMP/peer.err" &
    peer_pid=$!
    fx_servers="$fx_servers $peer_pid"
    SERVER=ipc://$TMP/peer
    wait_for test -S "$TMP/peer"
}
peer_ends() {
    kill "$peer_pid"
    wait "$peer_pid" 2>/dev/null
}

# --- no session ---

while read -r stage why; do
    peer "$stage"
    like "$stage: the error says why there is no session" "$(client 'new 0 Flat')" \
        "^new 0 Flat: -4 faissx: (cannot connect to )?$SERVER: $why\$"
    peer_ends
done <<'END'
accept timed out waiting for a ZeroMQ handshake
close-accept the server closed the connection
greeting timed out waiting for a ZeroMQ handshake
close-greeting the server closed the connection
ready no answer to hello within the time allowed
close-ready the server closed the connection
delimiter no answer to hello within the time allowed
close-delimiter the server closed the connection
header timed out within a message from the server
close-header the server closed the connection
END

# --- no answer ---

while IFS='|' read -r stage change look; do
    peer "$stage"
    [ -z "$change" ] || like "$stage: the error says whether the change was made" "$(client 'new 0 Flat' 'add 0 3' | tail -n 1)" "^add 0 3: -4 faissx: $change\$"
    [ -z "$look" ] || like "$stage: the error of a search says why" "$(client 'new 0 Flat' 'search 0' | tail -n 1)" \
        "^search 0: -4 faissx: $look\$"
    peer_ends
done <<'END'
hello|the server did not answer within FAISSX_TIMEOUT, 2 seconds; the change may have been made|the server did not answer within FAISSX_TIMEOUT, 2 seconds
close-hello|the server closed the connection; and then: ipc:.*; the change may have been made|the server closed the connection; and then: ipc:.*: the server closed the connection
reply|timed out within a message from the server; the change may have been made|timed out within a message from the server
close-reply|the server closed the connection; and then: ipc:.*; the change may have been made|the server closed the connection; and then: ipc:.*: the server closed the connection
array||the server began to answer, but its reply was not complete when FAISSX_TIMEOUT was over
close-array||the server closed the connection; and then: ipc:.*: the server closed the connection
made|out of memory; the change was made, but its results are lost|out of memory
END

# --- a real server ---

# stop PID: stops a process and waits for it, since on a busy machine its threads run on for a while.
stop() {
    kill -STOP "$1"
    while grep -h '^State:' /proc/"$1"/task/*/status | grep -qv 'T (stopped)'; do
        sleep 0.01
    done
}

for transport in --tcp ''; do
    # shellcheck disable=SC2086 # nothing, or one option
    start_server $transport
    name=c${transport#--}
    FAISSX_TIMEOUT=60 client 'new 0 Flat' >/dev/null # starts the engine
    talk "$name"
    ask "$name" 'new 0 Flat' >/dev/null
    ask "$name" 'add 0 3' >/dev/null
    engine=$(stat_of pid)
    stop "$engine"
    is "a search on a stopped engine times out" "$(ask "$name" 'search 0')" \
        "-4 faissx: the server did not answer within FAISSX_TIMEOUT, 2 seconds"
    kill -CONT "$engine"
    wait_for pending 0
    is "both continue when the engine does" "$(ask "$name" 'total 0')" 3
    stop "$engine"
    like "a change on a stopped engine may have been made" "$(ask "$name" 'add 0 3')" \
        "^-4 faissx: .*; the change may have been made\$"
    like "a change without a connection was not made" "$(ask "$name" 'add 0 3')" \
        "^-4 faissx: $SERVER: no answer to hello within the time allowed; the change was not made\$"
    kill -CONT "$engine"
    wait_for pending 0
    like "the change was made, or not, completely" "$(ask "$name" 'total 0')" '^[36]$'
    kill -STOP "$SERVER_PID"
    like "a new client of a stopped server times out" "$(client 'new 0 Flat')" \
        "^new 0 Flat: -4 faissx: cannot connect to $SERVER: timed out waiting for a ZeroMQ handshake\$"
    kill -CONT "$SERVER_PID"
    stop "$engine"
    like "a change whose array was not sent completely was not made" "$(ask "$name" 'add 0 400000')" \
        '^-4 faissx: .*; the change was not made$'
    kill -CONT "$engine"
    kill -9 "$SERVER_PID"
    wait "$SERVER_PID" 2>/dev/null
    wait_for gone "$engine"
    like "a change on a server that is gone was not made" "$(ask "$name" 'add 0 3')" \
        "^-4 faissx: cannot connect to $SERVER: .*; the change was not made\$"
done

# --- the server that has the change is gone, and the next one does not know the key ---

unset FAISSX_TIMEOUT
(umask 077 && echo '{"key-a": "default"}' >"$TMP/a" && echo '{"key-b": "default"}' >"$TMP/b")
start_server --tcp --auth-file "$TMP/a"
FAISSX_API_KEY=key-a FAISSX_RETRIES=100000 talk moved
is "a client has an index" "$(ask moved 'new 0 Flat')" ok
engine=$(stat_of pid key-a)
stop "$engine"
tell moved 'add 0 3'
sleep 1
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
start_server --again --auth-file "$TMP/b"
kill -9 "$engine"
like "an error for the key says that the change may have been made" "$(hear moved)" \
    '^-4 faissx: .*key.*; the change may have been made$'
ok "the server stops" stop_server

# --- refused ---

unset FAISSX_TIMEOUT
start_server --memory 300
# (A sanitizer's engine has no limit.)
[ -n "$SANITIZER_RUNTIME" ] || like "a change that exceeds the memory was not made" "$(client 'new 0 Flat' 'add 0 6000000')" \
    '^add 0 6000000: -4 faissx: the server has no memory .*; the change was not made$'
refused=$(client 'new 0 IVF4,Flat' 'add 0 3' | tail -n 1)
like "an error of FAISS has its text" "$refused" "^add 0 3: -2 Error in .*is_trained"
is "nothing is added to it" "$(printf '%s\n' "$refused" | grep -c 'the change')" 0
ok "the server stops" stop_server

# --- files ---

here() { LD_LIBRARY_PATH=${FAISS_C%/*} "$BUILD/tests/e2e/client" "$@"; }
start_server
here 'new 0 Flat' 'add 0 100000' "write 0 $TMP/whole" >/dev/null
for size in 0 10 5000 5000000; do
    head -c "$size" "$TMP/whole" >"$TMP/cut"
    is "the error of a file that ends after $size bytes is FAISS's" "$(client "read 0 $TMP/cut")" "$(here "read 0 $TMP/cut")"
done
like "it names the file" "$(client "read 0 $TMP/cut")" "read error in $TMP/cut: "
ok "the server stops" stop_server
