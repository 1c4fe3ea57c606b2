#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Calls that take longer than --call-limit: their callers get an error, no other call waits for
# them, and an engine that does nothing else is replaced.
. tests/e2e/lib.sh

start_server --lease 1 --call-limit 2
talk a
talk b
ask a 'new 0 Flat' >/dev/null
ask b 'new 0 Flat' >/dev/null
engine=$(stat_of pid)
like "a call beyond the limit ends with an error" "$(ask a 'train 0 1000000000')" \
    '^-4 faissx: faiss_Clustering_train took longer than the server.s --call-limit of 2 seconds'
is "its client can continue" "$(ask a 'new 1 Flat'; ask a 'add 1 10'; ask a 'total 1')" "ok
ok
10"
is "other wide work does not wait for it" "$(ask b 'train 0 2'; ask b 'add 0 1000')" "ok
ok"
is "it is the same engine" "$(stat_of pid)" "$engine"
replaced() { [ "$(stat_of pid)" != "$engine" ]; }
tell a abort
is "the engine stays as long as another client needs it" "$(sleep 3; stat_of pid)" "$engine"
tell b abort
ok "an engine that does nothing else is replaced" wait_for replaced
like "the log says so" "$(cat "$SERVER_LOG")" 'event=replaced why="a call does not end'
ok "the server stops" stop_server

# Without a limit: many endless calls, and a short one beside them.
start_server --lease 1
for name in c d e f; do
    talk $name
    ask $name 'new 0 Flat' >/dev/null
    tell $name 'train 0 1000000000'
done
ok "four endless calls are in progress" wait_for pending 4
talk g
ask g 'new 0 Flat' >/dev/null
is "a short call does not wait for them" "$(ask g 'train 0 2')" ok
engine=$(stat_of pid)
# Each is the child of a shell.
for pid in $PID_c $PID_d $PID_e $PID_f $PID_g; do kill -9 "$(pgrep -P "$pid")"; done
ok "when the leases of their clients are over, the engine is replaced" wait_for replaced
ok "the server stops" stop_server
