#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A program that ends normally ends its session at once.  If it cannot tell the server, its session
# stays until the lease is over.
. tests/e2e/lib.sh

bye=$BUILD/tests/e2e/bye
sessions() { [ "$(stat_of sessions)" = "$1" ]; }
objects() { [ "$(stat_of objects)" = "$1" ]; }

"$BUILD/bin/faissx" keygen --curve "$TMP/key" >/dev/null
# A server that offers encryption sends its greeting only when it has the client's.
for transport in --tcp '' "--curve-secret-file $TMP/key"; do
    # The leases of this server do not end before the test does.
    # shellcheck disable=SC2086 # nothing, or options
    start_server $transport --lease 3600
    over=${transport:+ with ${transport%% *}}

    while read -r how what; do
        ok "$what$over: the program ends" remote "$bye" "$how"
        ok "$what$over: its session ends" wait_for sessions 0
        ok "$what$over: no object is left" wait_for objects 0
    done <<'END'
return a program that returns from main
exit a program that calls exit() in a thread
spare a program whose thread has ended
idle a program whose other threads do nothing
END

    ok "a program that saves its index when it ends$over: the program ends" remote "$bye" save "$TMP/saved"
    ok "its session ends" wait_for sessions 0
    ok "its index is saved" test "$(wc -c <"$TMP/saved")" -gt 64000
    rm "$TMP/saved"

    for i in 1 2 3 4 5; do
        ok "a program whose other threads make calls$over: the program ends" remote "$bye" calls
        ok "its session ends" wait_for sessions 0
    done
    # The interrupted call may hold a lock that bye needs: then the session stays.
    for i in 1 2 3 4 5; do
        ok "exit() in a signal handler during a call$over: the program ends" remote "$bye" signal
    done
    ok "the server stops" stop_server
done

start_server --lease 3600
ok "a program whose other threads are in long calls ends" remote "$bye" busy
ok "its session ends when these calls end" wait_for sessions 0

is "a child that ends does not end its parent's session" "$(remote "$bye" fork)" "0 1000"
ok "a parent whose child continues ends" remote "$bye" daemon "$TMP/found"
wait_for test -s "$TMP/found"
like "the child keeps the session" "$(cat "$TMP/found")" '^1000 '
n=$(stat_of sessions)
for how in _exit abort kill exec; do
    remote "$bye" $how 2>/dev/null
    n=$((n + 1))
    is "$how: the session stays" "$(stat_of sessions)" "$n"
done
ok "the server stops" stop_server

# --- what it is for ---

start_server --lease 3600 --memory 300
for i in 1 2 3; do
    is "run $i of a program with an index of which the server can hold one" \
        "$(client 'new 0 Flat' 'add 0 2500000' 'total 0')" "new 0 Flat: ok
add 0 2500000: ok
total 0: 2500000"
    wait_for sessions 0
done
ok "the server stops" stop_server
