#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Ordinary ZeroMQ peers are served: libzmq's REQ and DEALER over TCP, IPv6 and a local socket,
# with many requests in transit, heartbeats, and reconnects.  Others are refused in the handshake.
. tests/e2e/lib.sh

peers() { timeout 250 "$BUILD/tests/e2e/peers" "$@"; }

(umask 077 && echo '{"key-a": "alpha"}' >"$TMP/keys")
IPC=ipc://$TMP/socket
six=
[ ! -e /proc/net/if_inet6 ] || ! grep -q ' lo$' /proc/net/if_inet6 || six=tcp://[::1]:$(free_port)
start_server --tcp --bind "$IPC" ${six:+--bind "$six"} --auth-file "$TMP/keys" --lease 1
[ -n "$six" ] || diag "no IPv6 here"
stat_of pid key-a >/dev/null

# The server closes a silent connection after ten seconds: the other tests run meanwhile.
name_of() {
    case $1 in tcp://\[*) echo IPv6 ;; tcp:*) echo TCP ;; *) echo "local socket" ;; esac
}
for at in "$SERVER" "$IPC" $six; do
    peers reconnect "$at" key-a >"$TMP/reconnect.$(name_of "$at")" 2>&1 &
    eval "RECONNECT_$(name_of "$at" | tr -d ' ')=$!"
done

for at in "$SERVER" "$IPC" $six; do
    name=$(name_of "$at")
    is "$name: a REQ socket is served" "$(peers req "$at" key-a 200 2>&1)" "200 calls"
    is "$name: a DEALER socket with 1000 requests in transit is served" "$(peers dealer "$at" key-a 1000 2>&1)" \
        "1000 calls in order"
    is "$name: 50 sockets of one process are served" "$(peers several "$at" key-a 50 2>&1)" "50 sockets"
    like "$name: heartbeats are answered during a request" "$(peers heartbeat "$at" key-a 2>&1)" \
        '^a request took [1-9][0-9]* times'
    is "$name: PING between the frames of a message is answered" "$(peers between "$at" key-a 300 2>&1)" \
        "300 requests"
    for type in PUB SUB XPUB XSUB PUSH PULL PAIR REP PLAIN CURVE; do
        is "$name: a $type socket is refused" "$(peers refused "$at" $type 2>&1)" "$type was refused"
    done
done

for at in "$SERVER" "$IPC" $six; do
    name=$(name_of "$at")
    eval "wait \$RECONNECT_$(echo "$name" | tr -d ' ')"
    is "$name: a peer that was closed for being silent reconnects" "$(cat "$TMP/reconnect.$name")" \
        "served after a reconnect"
done

# --- pyzmq, where it is ---

cat >"$TMP/peer.py" <<'END_OF_PYTHON'
import sys, zmq

def pack(text):
    return bytes([0xA0 | len(text)]) + text.encode()

endpoint, key = sys.argv[1:]
for kind in zmq.REQ, zmq.DEALER:
    with zmq.Context() as context, context.socket(kind) as s:
        s.linger, s.rcvtimeo = 0, 60000
        s.connect(endpoint)
        delimiter = [b""] if kind == zmq.DEALER else []
        for operation in "ping", "stats", "health":
            pairs = pack("operation") + pack(operation) + pack("api_key") + pack(key)
            s.send_multipart(delimiter + [b"\x82" + pairs])
            reply = s.recv_multipart()
            assert reply[:-1] == delimiter, reply
            assert pack("status") + pack("ok") in reply[-1], reply
print("served", zmq.zmq_version())
END_OF_PYTHON
if python3 -c 'import zmq' 2>/dev/null; then
    for at in "$SERVER" "$IPC"; do
        like "pyzmq is served on ${at%%:*}" "$(timeout 120 python3 "$TMP/peer.py" "$at" key-a 2>&1)" '^served '
    done
else
    diag "pyzmq is not installed: not tried"
fi

is "the log has no error" "$(grep -E ' error ' "$SERVER_LOG")" ""
ok "the server stops" stop_server
