#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A recorded change that ends the engine when it is made again is tried once more, with nothing else
# in the engine; then it is set aside, and named in the log, and the index opens without it.
. tests/e2e/lib.sh

aside() { remote "$BUILD/tests/torture/aside" "$@"; }
deaths() { grep -c 'event=engine-ended .*how="signal 6' "$SERVER_LOG"; }

start_server --data-dir "$TMP/data" --library "$BUILD/tests/torture/crashing.so"
is "an index is published, and another one" \
    "$(aside faissx://a new add 10 add 20 2>&1; aside faissx://b new add 5)" "$(printf 'add: ok\nadd: ok\nadd: ok')"

# Killed by the change itself, and again when it is made again.
aside faissx://a always >"$TMP/out" 2>&1
like "a change that ends the engine is an error, which says that it is not made" "$(cat "$TMP/out")" \
    '^always: -4 .*: the change was set aside, and is not made: the engine ended with signal 6, Aborted when this change was made again$'
diag "$(cat "$TMP/out")"
is "the index is as it was before" "$(aside faissx://a total search)" "$(printf 'total: 30\nsearch: ok')"
is "the engine has died with the change, and twice when it was made again" "$(deaths)" 3
like "the log names the change that was set aside" "$(cat "$SERVER_LOG")" \
    'event=change-set-aside entry=1 number=[0-9]* why="the engine ended with signal 6.* when this change was made again"'
is "later changes work" "$(aside faissx://a add 3 total)" "$(printf 'add: ok\ntotal: 33')"
is "the other index is untouched" "$(aside faissx://b total)" "total: 5"

# Made and acknowledged, but it cannot be made again.
is "a change is acknowledged" "$(aside faissx://a search first add 4 total)" \
    "$(printf 'search: ok\nfirst: ok\nadd: ok\ntotal: 38')"
kill -9 "$(stat_of pid)"
before=$(deaths)
aside faissx://a total >"$TMP/out" 2>&1
diag "$(cat "$TMP/out")"
is "the index opens with the changes before and after it" "$(aside faissx://a total search)" \
    "$(printf 'total: 37\nsearch: ok')"
is "the engine has died twice" "$(($(deaths) - before))" 2
is "a second change is named" "$(grep -c event=change-set-aside "$SERVER_LOG")" 2
kill -9 "$(stat_of pid)"
is "after another restart it is the same" "$(aside faissx://a total; deaths)" "$(printf 'total: 37\n%d' "$((before + 2))")"
ok "the server stops" stop_server

# SIGKILL while changes are made again is nobody's fault.
start_server --again --data-dir "$TMP/data" --library "$BUILD/tests/torture/crashing.so"
is "after an orderly stop it is the same" "$(aside faissx://a total)" "total: 37"
is "and nothing more is set aside" "$(grep -c event=change-set-aside "$SERVER_LOG")" 0
ok "the server stops" stop_server

# The engine may end because of another request while a change is being made again.
start_server --data-dir "$TMP/other" --library "$BUILD/tests/torture/crashing.so"
is "a change that takes long is acknowledged, and another index is published" \
    "$(aside faissx://slow new add 2 slow add 3; aside faissx://b new add 5)" \
    "$(printf 'add: ok\nslow: ok\nadd: ok\nadd: ok')"
kill -9 "$(stat_of pid)"
is "after a restart the other one is read first" "$(aside faissx://b total)" "total: 5"
aside faissx://slow total >"$TMP/total" &
reader=$!
sleep 1
aside faissx://b always >"$TMP/out" 2>&1
like "a change of the other index ends the engine meanwhile" "$(cat "$TMP/out")" 'the change was set aside'
wait "$reader"
is "nothing of the first one is set aside" "$(cat "$TMP/total")" "total: 6"
is "only the change that has ended the engine is" \
    "$(sed -n 's/.*event=change-set-aside \(entry=[0-9]*\).*/\1/p' "$SERVER_LOG")" entry=2
is "the other index has the rest" "$(aside faissx://b total)" "total: 5"
ok "the server stops" stop_server
