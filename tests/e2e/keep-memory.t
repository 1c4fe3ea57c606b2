#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Kept indexes that together need more memory than the engine may have are read and freed in turn, and
# an engine with nothing to lose ends.
. tests/e2e/lib.sh

case $BUILD in *-address | *-thread) skip_all "sanitizers do not limit memory" ;; esac

seen() { client "read 0 faissx://$1" 'total 0' 'search 0' | sed 's/.*: //' | sed 1d; }
unloaded() { grep -c 'event=unloaded' "$SERVER_LOG"; }

start_server --data-dir "$TMP/data" --memory 600
for name in a b c d e; do # 128 MB each
    client 'new 0 Flat' 'add 0 2000000' "write 0 faissx://$name" 'free 0' >"$TMP/out"
    like "index $name is published" "$(cat "$TMP/out")" 'write 0 .*: ok'
done
first=$(seen a)
is "the first one is whole" "$(printf '%s\n' "$first" | head -n 1)" 2000000
for name in b c d e a b; do
    is "index $name can be used" "$(seen $name)" "$first"
done
ok "some were freed for that" [ "$(unloaded)" -ge 2 ]
# A change that is in the log is no reason to keep one in memory.
for name in c d e; do
    client "read 0 faissx://$name" 'add 0 5' >/dev/null
done
before=$(unloaded)
for name in c d e c d; do
    is "index $name has its change" "$(seen $name | head -n 1)" 2000005
done
ok "they were freed, too" [ "$(unloaded)" -ge $((before + 3)) ]
is "no engine has died" "$(grep -c 'event=engine-ended' "$SERVER_LOG")" 0

# A program keeps its handle while the index behind it comes and goes.
talk a
ask a 'read 0 faissx://a' >/dev/null
for name in b c d e; do seen $name >/dev/null; done
before=$(unloaded)
is "a handle outlives the index in memory" "$(ask a 'total 0')" 2000000
is "and finds the same" "$(ask a 'search 0')" "$(printf '%s\n' "$first" | tail -n 1)"
ok "the index had been freed" [ "$before" -ge 4 ]
is "it can be changed, too" "$(ask a 'add 0 10')" ok
is "the change is there" "$(ask a 'total 0')" 2000010
ok "the server stops" stop_server

start_server --data-dir "$TMP/data" --idle 1
engine=$(stat_of pid)
ok "an engine with nothing to lose ends" wait_for gone "$engine"
is "the index is there when it is asked for" "$(seen a | head -n 1)" 2000010
engine=$(stat_of pid)
# A client without a session sends short requests over one connection.
info='{"operation":"index_info","name":"a"}'
RAW_PAUSE=300 raw "$info" "$info" "$info" "$info" "$info" "$info" "$info" "$info" "$info" "$info" >"$TMP/infos"
is "one that gets requests does not end" "$(stat_of pid)" "$engine"
is "they are answered" "$(grep -c '"status":"ok"' "$TMP/infos")" 10
talk b
ask b 'new 0 Flat' >/dev/null
sleep 2.5
is "an engine with a session does not end" "$(stat_of pid)" "$engine"
ok "the server stops again" stop_server

# Changes that are nowhere else stay in memory.
start_server --data-dir "$TMP/other" --memory 600 --durability snapshot
for name in a b c d; do
    client 'new 0 Flat' 'add 0 2000000' "write 0 faissx://$name" 'free 0' >/dev/null
done
client 'read 0 faissx://a' 'add 0 5' >/dev/null
for name in b c d b c d; do seen $name >/dev/null; done
ok "with --durability snapshot, some are freed" [ "$(unloaded)" -ge 2 ]
is "but not the changes of one" "$(seen a | head -n 1)" 2000005
ok "the server stops" stop_server
