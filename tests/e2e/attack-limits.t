#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Limits that are reached: places for those who have shown no key, descriptors, memory.  Who is
# in goes on, nothing spins, and what was full takes newcomers again when there is room.
. tests/e2e/attack.sh

# --- places ---

# A process and what it has started.
tree() { for fx_child in "$1" $(pgrep -P "$1"); do
    [ "$fx_child" = "$1" ] && echo "$1" || tree "$fx_child"
done; }
start_tenants --max-unauthenticated 64
for AT in "$TCP" "$IPC"; do
    ok "${AT%%:*}: the oldest gives its place up" attack places "$AT" 64
done
background idle attack idle "$TCP" 1000
said idle holding
ok "no more than 64 have a place" at_most "$(descriptors "$FRONT")" 100
ok "a client comes in all the same" attack requests "$TCP" key-b 10 </dev/null
ended idle
# Who has shown a key needs no place.
background idle attack idle "$TCP" 200 key-a
said idle 'idle 200 of 200'
ok "and holds none" attack requests "$TCP" key-b 10 </dev/null
ended idle
ok "the server stops" stop_server

# --- descriptors ---

real=$BUILD
mkdir "$TMP/build"
for file in "$BUILD"/*; do ln -s "$file" "$TMP/build/"; done
rm "$TMP/build/faissx-server"
printf '#!/bin/sh\nulimit -n 200\nexec "%s/faissx-server" "$@"\n' "$real" >"$TMP/build/faissx-server"
chmod +x "$TMP/build/faissx-server"
BUILD=$TMP/build
start_tenants
BUILD=$real

for AT in "$TCP" "$IPC"; do
    for key in '' key-a; do
        name="${AT%%:*}: descriptors${key:+ of the engine} exhausted"
        baseline
        background beta attack victim "$AT" key-b
        said beta working
        kill -STOP $(tree "$PID_beta")
        # Those without a key are sent away after 10 seconds: measured before that.
        background idle attack idle "$AT" 400 $key
        said idle holding
        used=$(attack cpu 3 "$FRONT" "$ALPHA")
        ok "$name: nothing spins" at_most "$used" 500
        kill -CONT $(tree "$PID_beta")
        ended idle
        ok "$name: a client comes in when there is room" attack requests "$AT" key-b 10 </dev/null
        ok "$name: one of the same tenant, too" attack requests "$AT" key-a 10 </dev/null
        ended beta
        unharmed "$name" beta
        ok "$name: the same processes" same_processes
        for pid in $FRONT $ALPHA $BETA; do
            eval "fds=\$FDS_$pid"
            ok "$name: no descriptor is left over" wait_for back "$pid" "$fds"
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
    said idle holding
    is "${AT%%:*}: 8 MiB that are announced are not memory used" \
        "$(SERVER=$AT FAISSX_API_KEY=key-a client 'new 0 Flat' 'add 0 2000000' 'total 0' | tail -1)" \
        "total 0: 2000000"
    ended idle
    # Calls may fail for want of memory, but they end, the engine goes on, and afterwards there is
    # as much as before.
    ok "${AT%%:*}: 32 large searches at once in little memory" attack strangers "$AT" key-a 32 </dev/null
    ok "${AT%%:*}: the same processes" same_processes || tail -n 20 "$SERVER_LOG" | sed 's/^/# /'
    is "${AT%%:*}: there is room again" \
        "$(SERVER=$AT FAISSX_API_KEY=key-a client 'new 0 Flat' 'add 0 2000000' 'total 0' | tail -1)" \
        "total 0: 2000000"
    ok "${AT%%:*}: and nothing spins" at_most "$(attack cpu 2 "$FRONT" "$ALPHA")" 300
    ok "the server stops" stop_server
done

# --- without keys, the first message may be as large as any other ---

start_server --tcp
ok "a first message of 60 KB" attack first "$SERVER"
upload='"operation":"upload","session":"hex:00112233445566778899aabbccddeeff","id":1,"size":8388608'
like "and of 4 MiB" "$(raw "{$upload"',"offset":0,"_frames":["zero 4194304"]}')" '"kind":"session"'
ok "the server stops" stop_server
