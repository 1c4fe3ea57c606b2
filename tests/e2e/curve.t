#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# CURVE: the shim, the command line and libzmq as clients; connections that are not encrypted; what
# breaks the rules is refused, with a reason in the log, and disturbs nobody.  (curve-keys.t has the
# keys and who may use them.)
. tests/e2e/lib.sh
. tests/e2e/proxy.sh
unset FAISSX_CURVE_SERVER_KEY FAISSX_CURVE_KEY_FILE

faissx() { "$BUILD/bin/faissx" "$@"; }
# curve CASE: a client that speaks CURVE by itself (tests/curve/curve.c).
curve() { timeout 60 "$BUILD/tests/curve/curve" "$SERVER" "$KEY" "$@" 2>&1 | tr '\n' ';'; }
# serve OPTION...: a server with these options and the server's key, over TCP.
serve() { start_server --tcp --curve-secret-file "$TMP/server.key" --log-level debug "$@"; }
KEY=$(faissx keygen --curve "$TMP/server.key")
OWN=$(faissx keygen --curve "$TMP/own.key")

# --- a server that offers CURVE ---

serve
like "the log has the public key" "$(cat "$SERVER_LOG")" "event=curve public-key=.* clients=0 required=0"
is "a client without CURVE is served" "$(client 'new 0 Flat' 'add 0 10' 'total 0')" "new 0 Flat: ok
add 0 10: ok
total 0: 10"
in_the_clear=$(client 'new 0 Flat' 'slow 0 2' 'search 0')
export FAISSX_CURVE_SERVER_KEY="$KEY"
is "under CURVE it gets the same results" "$(client 'new 0 Flat' 'slow 0 2' 'search 0')" "$in_the_clear"
is "also with a key of its own" \
    "$(remote env FAISSX_CURVE_KEY_FILE="$TMP/own.key" "$BUILD/tests/e2e/client" 'new 0 Flat' 'slow 0 2' 'search 0')" \
    "$in_the_clear"
like "the command line uses CURVE" "$(faissx health --server "$SERVER")" 'status ok'
unset FAISSX_CURVE_SERVER_KEY
like "also by its option" "$(faissx health --server "$SERVER" --curve-server-key "$KEY")" 'status ok'
RAW_CURVE="$KEY $OWN $(tail -n 1 "$TMP/own.key")"
export RAW_CURVE
like "libzmq is served" "$(raw '{"operation":"hello","protocol":1}')" '"status":"ok"'
like "the log names the mechanism" "$(cat "$SERVER_LOG")" 'event=admitted .* mechanism=CURVE tenant=default'
unset RAW_CURVE

# A program that does not use CURVE gets no library for it.
is "the client library does not depend on libsodium" "$(readelf -d "$STAND_IN" | grep NEEDED | grep -c sodium)" 0
mapped=$(client 'new 0 Flat' 'maps sodium')
is "nor does a client without CURVE load it" "$(echo "$mapped" | grep -c 'libsodium')" 0
like "one with CURVE does" \
    "$(remote env FAISSX_CURVE_SERVER_KEY="$KEY" "$BUILD/tests/e2e/client" 'new 0 Flat' 'maps sodium')" 'libsodium'

# --- by the rules, and not ---

while read -r name expected; do
    is "$name" "$(curve "$name")" "$expected"
done <<'END'
well-behaved ok;ok;ok;
by-single-bytes ok;ok;
in-one-segment ok;ok;ok;
ping-front a command;ok;
ping-engine ok;a command;ok;
clear-front closed;
clear-engine ok;closed;
clear-ping-front closed;
clear-ping-engine ok;closed;
repeated-front ok;closed;
repeated-engine ok;ok;closed;
swapped-front ok;closed;
swapped-engine ok;ok;closed;
same-nonce-front closed;
same-nonce-engine ok;closed;
changed-front closed;
changed-engine ok;closed;
changed-large ok;closed;
cut-front closed;closed;closed;closed;closed;closed;closed;closed;closed;closed;
reflected-front closed;
reflected-engine ok;closed;
recorded ok;refused: CURVE's INITIATE has the cookie of another connection;ok;
initiate-first refused: expected CURVE's HELLO;
hello-twice refused: expected CURVE's INITIATE;
as-null-after-curve refused: expected CURVE's HELLO;
null ready;
large-first error: faissx: bytes follow the header;
END
for process in front engine; do
    for what in "without CURVE's MESSAGE" 'with a nonce that is not higher' 'that was changed, or was made with another key'; do
        like "the $process logs why: $what" "$(grep " $process event=closed" "$SERVER_LOG")" "mechanism=CURVE why=\".*$what"
    done
done
is "the engine has survived all of it" "$(grep -c event=engine-started "$SERVER_LOG")" 1

# What strangers may hold is bounded: their places are the front's, whatever the mechanism.
front_memory() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$SERVER_PID/status"; }
before=$(front_memory)
mkfifo "$TMP/hold"
"$BUILD/tests/curve/curve" "$SERVER" "$KEY" held <"$TMP/hold" >"$TMP/held" 2>&1 &
holder=$!
exec 9>"$TMP/hold"
wait_for test -s "$TMP/held"
is "266 strangers wait in the middle of their handshakes" "$(cat "$TMP/held")" 266
if [ -z "$SANITIZER_RUNTIME" ]; then
    grew=$(($(front_memory) - before))
    ok "800 strangers take less than 8 MiB of the front ($grew KiB)" test "$grew" -lt 8192
fi
is "and a client is served meanwhile" "$(curve well-behaved)" 'ok;ok;ok;'
exec 9>&-
wait "$holder"
ok "the server stops" stop_server

# --- a file that becomes shorter while it is sent ---

start_server --curve-secret-file "$TMP/server.key"
behind_proxy
# In pieces, and in the request: that of 4 MiB may have been sent whole, and FAISS refuses zeros.
for size in 96 4; do # MiB
    [ $size = 96 ] && error='the file: it has become shorter' || error='^-[0-9] '
    truncate -s ${size}M "$TMP/index"
    FAISSX_CURVE_SERVER_KEY=$KEY talk "reader$size"
    ask "reader$size" 'new 0 Flat' >/dev/null
    proxy hold # what the socket takes is sent, and no more
    tell "reader$size" "read 1 $TMP/index"
    sleep 0.5
    truncate -s 0 "$TMP/index"
    proxy go
    like "an error, and not a signal ($size MiB)" "$(hear "reader$size")" "$error"
    is "the program goes on" "$(ask "reader$size" 'total 0')" 0
done
stop_server

# --- a server that requires it ---

serve --require-encryption --bind "ipc://$TMP/local"
TCP=$SERVER
like "a TCP connection without CURVE is refused" "$(client 'new 0 Flat' 2>&1)" \
    'the server refused the connection: this server requires encryption: the client has to use CURVE'
is "before it can send a key" "$(curve null)" \
    'refused: this server requires encryption: the client has to use CURVE;'
export FAISSX_CURVE_SERVER_KEY="$KEY"
is "one with CURVE is served" "$(client 'new 0 Flat')" 'new 0 Flat: ok'
SERVER=ipc://$TMP/local
is "a Unix socket can be used with CURVE" "$(client 'new 0 Flat' 'slow 0 2' 'search 0')" "$in_the_clear"
is "by the rules" "$(curve well-behaved)" 'ok;ok;ok;'
unset FAISSX_CURVE_SERVER_KEY
is "and without" "$(client 'new 0 Flat')" 'new 0 Flat: ok'
SERVER=$TCP
cat >"$TMP/dialect.py" <<'END'
import sys, zmq, msgpack
s = zmq.Context().socket(zmq.REQ)
s.setsockopt(zmq.LINGER, 0)
s.setsockopt(zmq.RCVTIMEO, 1000)
s.connect(sys.argv[1])
s.send(msgpack.packb({"action": "ping"}))
try:
    print(s.recv())
except zmq.Again:
    print("nothing")
END
if ${PYTHON:-python3} -c 'import zmq, msgpack' 2>/dev/null; then
    is "FAISSx's Python client, which does not encrypt, gets no connection" \
        "$(${PYTHON:-python3} "$TMP/dialect.py" "$SERVER")" nothing
fi
ok "the server stops" stop_server

# A client that asks for CURVE does not go on in the clear.
start_server --tcp
like "a server without CURVE gets nothing from a client with it" \
    "$(remote env FAISSX_CURVE_SERVER_KEY="$KEY" "$BUILD/tests/e2e/client" 'new 0 Flat' 2>&1)" \
    'the peer does not want to encrypt with CURVE'
ok "the server stops" stop_server
