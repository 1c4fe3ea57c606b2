#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# With --durability interval, a change that was acknowledged longer ago is there after a kill.
. tests/e2e/lib.sh

start_server --data-dir "$TMP/data" --durability interval=200
{
    echo 'new 0 Flat'
    echo 'write 0 faissx://x'
    until [ -e "$TMP/stop" ]; do echo 'add 0 100'; sleep 0.05; done
} | client >"$TMP/adds" 2>&1 &
adder=$!
acked() { grep -c '^add 0 100: ok' "$TMP/adds"; }
wait_for has_lines "$TMP/adds" 20
engine=$(stat_of pid)
old=$(acked)
sleep 1.2 # the interval, and a second for a busy disk
ok "changes are acknowledged meanwhile" [ "$(acked)" -gt "$old" ]
kill -9 "$engine" "$SERVER_PID" # an engine whose server ends would store everything first
wait "$SERVER_PID" 2>/dev/null
wait_for gone "$engine"
new=$(acked)
touch "$TMP/stop"
start_server --again --data-dir "$TMP/data" --durability interval=200
total=$(client 'read 0 faissx://x' 'total 0' | sed -n 's/^total 0: //p')
ok "what is older than the interval is there: of $new, $old in any case ($total)" [ "$total" -ge $((old * 100)) ]
kill "$adder" 2>/dev/null
ok "the server stops" stop_server
