#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A snapshot that is held up must not replace a newer one, nor the one that is being read, and one
# that is being written when the server stops is given up.
. tests/e2e/lib.sh

# held CLIENT COMMAND: a writer of a snapshot is stopped that the command gave reason for.
held() {
    writer=
    for fx_i in 1 2 3 4 5 6 7 8; do
        fx_engine=$(stat_of pid)
        "$BUILD/tests/torture/hold" "$fx_engine" 3 >"$TMP/writer" &
        fx_holder=$!
        sleep 0.3 # it has begun to look
        ask "$1" "$2"
        wait $fx_holder
        writer=$(cat "$TMP/writer")
        [ -z "$writer" ] || return 0
    done
    return 1
}

start_server --data-dir "$TMP/data" --snapshot-interval 1
talk c
ask c 'new 0 IVF4,Flat' >/dev/null
ask c 'write 0 faissx://ivf' >/dev/null
ok "a snapshot of an untrained index is being written" held c 'probe 0 4'
is "meanwhile it is trained, which is kept as a snapshot" "$(ask c 'learn 0 200')" ok
is "and gets vectors" "$(ask c 'add 0 500')" ok
kill -CONT "$writer"
ok "the first one is complete as well" wait_for gone "$writer"
sleep 0.3
before=$(ask c 'search 0')
kill -9 "$(stat_of pid)"
is "after a restart the index is trained, and has them" \
    "$(client 'read 0 faissx://ivf' 'total 0' 'search 0' | sed 1d | sed 's/^[^:]*: //' | tr '\n' ' ')" "500 $before "

talk d
ask d 'read 0 faissx://ivf' >/dev/null
ok "another snapshot is being written" held d 'add 0 1000'
total=$(client 'read 0 faissx://ivf' 'total 0' | tail -n 1)
ok "the server stops while it is" stop_server
is "and does not have to be killed" "$(grep -c killing-engines "$SERVER_LOG")" 0
ok "the writer has ended" gone "$writer"
start_server --again --data-dir "$TMP/data"
is "all vectors are there" "$(client 'read 0 faissx://ivf' 'total 0' | tail -n 1)" "$total"
is "no file of it is left" "$(find "$TMP/data" -name '*tmp*' | wc -l)" 0
ok "the server stops" stop_server

# A change that fails halfway makes the engine read the index again, which takes some seconds here.
aside() { remote "$BUILD/tests/torture/aside" "$@"; }
start_server --data-dir "$TMP/slow" --library "$BUILD/tests/torture/crashing.so" --snapshot-interval 1
aside faissx://slow new add 20 search >/dev/null
talk e
ask e 'read 0 faissx://slow' >/dev/null
ok "a snapshot is being written" held e 'add 0 10'
total=$(ask e 'total 0')
like "a change fails" "$(aside faissx://slow halfway)" 'halfway: -4'
aside faissx://slow total >"$TMP/total" &
reader=$!
sleep 1
kill -CONT "$writer"
ok "the snapshot is complete while the index is being read" wait_for gone "$writer"
wait "$reader"
is "all vectors are there" "$(cat "$TMP/total")" "total: $total"
wait_for grep -q 'event=snapshot ' "$SERVER_LOG"
kill -9 "$(stat_of pid)"
is "and after a restart" "$(aside faissx://slow total)" "total: $total"
ok "the server stops" stop_server

# An index that is being written in order to be published keeps nobody waiting.
start_server --threads 2 --data-dir "$TMP/names" --library "$BUILD/tests/torture/crashing.so"
talk publishes
ask publishes 'new 0 Flat' >/dev/null
ask publishes 'add 0 4321' >/dev/null
talk other
ask other 'new 0 Flat' >/dev/null
ask other 'new 1 Flat' >/dev/null
ask other 'publish 1 kept' >/dev/null
tell publishes 'publish 0 slow'
sleep 1 # it is being written
lines() { wc -l <"$TMP/publishes.out"; }
is "others are served" "$(ask other 'total 0') $(lines)" "0 2"
is "changes of other kept indexes are made" "$(ask other 'add 1 3') $(lines)" "ok 2"
is "another index is published" "$(ask other 'publish 0 second') $(lines)" "ok 2"
is "a name is removed" "$("$BUILD/bin/faissx" rm --server "$SERVER" kept 2>&1) $(lines)" " 2"
is "the index is published" "$(hear publishes)" ok
is "these are the names" "$("$BUILD/bin/faissx" list --server "$SERVER" | sort | tr '\n' ' ')" "second slow "

# Two threads give it a name each, one of them that of another index: both write it, and one file is
# kept.
session=$(value session "$(raw '{"operation":"hello","protocol":1}')")
index=$(handle "$(raw '{"operation":"faiss_index_factory","session":"'"$session"'","args":[true,16,"Flat",1]}')")
raw '{"operation":"faiss_Index_add","session":"'"$session"'","args":['"$index"',4321,0],"_frames":["zero 276544"]}' >"$TMP/out"
publish() { raw '{"operation":"publish","session":"'"$session"'","handle":'"$index"',"name":"'"$1"'"}'; }
publish slow >"$TMP/first" &
first=$!
publish third >"$TMP/second"
wait $first
is "an index gets two names at once" "$(cat "$TMP/first" "$TMP/second" | grep -c '"status":"ok"')" 2
is "the names are" "$("$BUILD/bin/faissx" list --server "$SERVER" | sort | tr '\n' ' ')" "second slow third "
two() { [ "$(ls "$TMP/names/tenants/default" | grep -c 'faiss\|tmp-')" = 2 ]; }
ok "and one file; the one that had the name before is gone" wait_for two
ok "the server stops" stop_server
