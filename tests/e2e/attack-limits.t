#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What happens at limits (connections without a key, descriptors, memory): connected clients are
# still served, no process spins, and new clients are accepted when there is room again.
. tests/e2e/attack.sh

# --- places ---

# A process and its children.
tree() { for fx_child in "$1" $(pgrep -P "$1"); do
    [ "$fx_child" = "$1" ] && echo "$1" || tree "$fx_child"
done; }
start_tenants --max-unauthenticated 64
for AT in "$TCP" "$IPC"; do
    ok "${AT%%:*}: the oldest connection without a key is closed" attack places "$AT" 64
done
background idle attack idle "$TCP" 1000 1000
said idle holding || bail "no connections"
ok "no more than 64 connections without a key are open" at_most "$(descriptors "$FRONT")" 100
ok "a client with a key is served nevertheless" attack requests "$TCP" key-b 10 </dev/null
ok "each got its place" ended idle
# A connection with a key does not count for --max-unauthenticated.
background idle attack idle "$TCP" 200 200 key-a
said idle holding || bail "no connections"
ok "a connection with a key does not count for the limit" attack requests "$TCP" key-b 10 </dev/null
ok "they are all still connected" ended idle
ok "the server stops" stop_server

# An engine that takes 2 seconds to start: clients that wait for it have shown their keys.
printf '#include <unistd.h>\n__attribute__((constructor)) static void slow(void) { sleep(2); }\n' >"$TMP/slow.c"
ok "a library that loads slowly compiles" ${CC:-gcc} -shared -fPIC "$TMP/slow.c" -o "$TMP/slow.so" \
    -Wl,--no-as-needed "$FAISS_C" -Wl,-rpath,"$(dirname "$FAISS_C")"
start_server --tcp --auth-file "$TMP/keys" --max-unauthenticated 4 --library "$TMP/slow.so"
health() { "$BUILD/bin/faissx" health --server "$SERVER" | sed -n "s/^$1 //p"; }
# The front has accepted that many connections, of which only the one that asks has not shown a key.
only_asking() {
    connections=$((connections + 1))
    [ "$(health '\(accepted\|unauthenticated\)' | tr '\n' ' ')" = "1 $connections " ]
}
connections=$(health accepted)
for i in 1 2 3 4 5 6 7 8; do
    raw '{"operation":"hello","protocol":1,"api_key":"key-a"}' >"$TMP/wait.$i" &
    eval "wait_$i=$!"
    connections=$((connections + 1))
    wait_for only_asking || bail "a client's key is not read"
done
for i in 1 2 3 4 5 6 7 8; do eval "wait \$wait_$i"; done
is "clients with a key that wait for their engine are not closed" \
    "$(cat "$TMP"/wait.[1-8] | grep -c '"status":"ok"')" 8
ok "the server stops" stop_server

# --- descriptors ---

real=$BUILD
mkdir "$TMP/build"
for file in "$BUILD"/*; do ln -s "$file" "$TMP/build/"; done
rm "$TMP/build/faissx-server"
printf '#!/bin/sh\nulimit -n 200\nexec "%s/faissx-server" "$@"\n' "$real" >"$TMP/build/faissx-server"
chmod +x "$TMP/build/faissx-server"

# One tenant's clients that wait for their engine do not take all descriptors.
[ -n "$SANITIZER_RUNTIME" ] || {
    sed 's/sleep(2)/sleep(8)/' "$TMP/slow.c" >"$TMP/slower.c"
    ok "a library that loads more slowly compiles" ${CC:-gcc} -shared -fPIC "$TMP/slower.c" \
        -o "$TMP/slower.so" -Wl,--no-as-needed "$FAISS_C" -Wl,-rpath,"$(dirname "$FAISS_C")"
    BUILD=$TMP/build
    start_server --tcp --auth-file "$TMP/keys" --max-unauthenticated 50 --library "$TMP/slower.so"
    BUILD=$real
    stat_of pid key-b >"$TMP/out"
    waiting=
    for i in $(seq 250); do
        raw '{"operation":"hello","protocol":1,"api_key":"key-a"}' >"$TMP/wait.$i" 2>&1 &
        waiting="$waiting $!"
    done
    too_many() { cat "$TMP"/wait.* | grep -q '"kind":"limit"'; }
    ok "clients of a tenant whose engine does not start soon are refused" wait_for too_many
    ok "another tenant is served meanwhile" \
        timeout 4 "$BUILD/tests/attack/attack" requests "$SERVER" key-b 10 </dev/null
    for pid in $waiting; do wait "$pid"; done
    ok "as many as may wait are served" [ "$(cat "$TMP"/wait.* | grep -c '"status":"ok"')" -ge 50 ]
    ok "the server stops" stop_server
}

BUILD=$TMP/build
start_tenants
BUILD=$real

for AT in "$TCP" "$IPC"; do
    for key in '' key-a; do
        name="${AT%%:*}: descriptors${key:+ of the engine} exhausted"
        baseline
        background beta attack victim "$AT" key-b
        said beta working || bail "no victim"
        kill -STOP $(tree "$PID_beta")
        # Connections without a key are closed after 10 seconds: measure before that.
        background idle attack idle "$AT" 400 100 $key
        said idle holding || bail "no connections"
        used=$(attack cpu 3 "$FRONT" "$ALPHA")
        ok "$name: no process spins" at_most "$used" 500
        kill -CONT $(tree "$PID_beta")
        ok "$name: those that had a place keep it" ended idle
        ok "$name: a client is served when there is room again" attack requests "$AT" key-b 10 </dev/null
        ok "$name: so is another client of the same tenant" attack requests "$AT" key-a 10 </dev/null
        ended beta
        unharmed "$name" beta
        ok "$name: the processes are the same" same_processes
        for pid in $FRONT $ALPHA $BETA; do
            eval "fds=\$FDS_$pid"
            ok "$name: no descriptor is leaked" wait_for back "$pid" "$fds"
        done
        diag "$(sed -n 1p "$TMP/idle.out"), $used ms of processor time in 3 s"
    done
done
ok "the server stops" stop_server

# --- memory ---

# Sanitizers need more memory than any limit.
for AT in tcp ipc; do
    [ -z "$SANITIZER_RUNTIME" ] || break
    start_tenants --memory 600
    [ $AT = tcp ] && AT=$TCP || AT=$IPC
    background idle attack announce "$AT" 250 key-a
    said idle holding || bail "no connections"
    is "${AT%%:*}: announcing 8 MiB does not allocate them" \
        "$(SERVER=$AT FAISSX_API_KEY=key-a client 'new 0 Flat' 'add 0 2000000' 'total 0' | tail -1)" \
        "total 0: 2000000"
    ok "${AT%%:*}: all were announced" ended idle
    # Calls may fail for lack of memory, but they end, the engine goes on, and afterwards as much
    # memory is available as before.
    ok "${AT%%:*}: 32 large searches at once with little memory end" attack strangers "$AT" key-a 32 </dev/null
    ok "${AT%%:*}: the processes are the same" same_processes || tail -n 20 "$SERVER_LOG" | sed 's/^/# /'
    is "${AT%%:*}: the memory is available again" \
        "$(SERVER=$AT FAISSX_API_KEY=key-a client 'new 0 Flat' 'add 0 2000000' 'total 0' | tail -1)" \
        "total 0: 2000000"
    ok "${AT%%:*}: no process spins" at_most "$(attack cpu 2 "$FRONT" "$ALPHA")" 300
    ok "the server stops" stop_server
done

# --- without keys, the first message may be as large as any other ---

start_server --tcp
ok "a first message of 60 KB is accepted without keys" attack first "$SERVER"
upload='"operation":"upload","session":"hex:00112233445566778899aabbccddeeff","id":1,"size":8388608'
like "so is one of 4 MiB" "$(raw "{$upload"',"offset":0,"_frames":["zero 4194304"]}')" '"kind":"session"'
ok "the server stops" stop_server
