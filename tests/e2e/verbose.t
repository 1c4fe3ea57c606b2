#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What FAISS prints goes to the server's log, and with FAISSX_VERBOSE=1 to the client's stderr as
# well: that of its own calls, and of no others.
. tests/e2e/lib.sh

program() { remote "$BUILD/tests/e2e/verbose" "$@" >"$TMP/stdout" 2>"$TMP/stderr"; }
verbose() { FAISSX_VERBOSE=1 program "$@"; }
warning="WARNING clustering"

start_server
ok "a program that FAISS warns" program warning 100
is "sees nothing of it" "$(cat "$TMP/stdout" "$TMP/stderr")" ""
like "but the log does" "$(cat "$SERVER_LOG")" "^$warning 100 points to 16 centroids"
FAISSX_VERBOSE=0 program warning 101
is "nor with FAISSX_VERBOSE=0" "$(cat "$TMP/stdout" "$TMP/stderr")" ""

verbose warning 102
like "with FAISSX_VERBOSE=1 it does" "$(cat "$TMP/stderr")" "^$warning 102 points to 16 centroids"
is "on stderr" "$(cat "$TMP/stdout")" ""
like "and so does the log" "$(cat "$SERVER_LOG")" "^$warning 102 points to 16 centroids"
if [ -z "$SANITIZER_RUNTIME" ]; then
    preloaded "$BUILD/tests/e2e/verbose" warning 102 2>"$TMP/local"
    same "as in process" "$TMP/stderr" "$TMP/local"
fi

verbose verbose 0
is "a call that fails" "$(cat "$TMP/stdout")" "-2 1"
like "brings what FAISS printed before" "$(cat "$TMP/stderr")" "^Training level-1 quantizer"

verbose verbose 1
is "verbose training" "$(cat "$TMP/stdout")" "trained"
like "reports" "$(tr '\r' '\n' <"$TMP/stderr")" "Iteration 24 .*objective="

verbose verbose 400
is "with more to report than a reply takes" "$(cat "$TMP/stdout")" "trained"
like "the end says where the rest is" "$(tail -n 1 "$TMP/stderr")" \
    "^faissx: [0-9]+ more bytes are in the server's log\$"
ok "not more than that came" test "$(wc -c <"$TMP/stderr")" -lt 33000
ok "the log has all of it" test "$(wc -c <"$SERVER_LOG")" -gt 400000

verbose display
like "what is for printing goes to stdout" "$(cat "$TMP/stdout")" '^ParameterSpace, [0-9]+ parameters'
is "alone" "$(cat "$TMP/stderr")" ""

# --- each its own ---

for n in 1 2 3 4 5 6 7 8; do
    FAISSX_VERBOSE=1 remote "$BUILD/tests/e2e/verbose" warning $((200 + n)) 50 2>"$TMP/stderr$n" &
    pids="${pids:-} $!"
done
# shellcheck disable=SC2086 # a list
wait $pids
for n in 1 2 3 4 5 6 7 8; do
    is "client $n has its own fifty warnings" "$(grep -c "^$warning $((200 + n)) points" "$TMP/stderr$n")" 50
    is "and nobody else's" "$(grep -c "$warning" "$TMP/stderr$n")" 50
done

# --- on the wire ---

session=$(value session "$(raw '{"operation":"hello","protocol":1}')")
like "a client of another kind asks with 'verbose'" \
    "$(raw "$(printf '%s' '{"operation":"faiss_index_factory","session":"'"$session"'","verbose":true,' \
        '"args":[true,8,"Flat",1]}')")" '"status":"ok"'
is "a setting that is neither 0 nor 1" \
    "$(remote env FAISSX_VERBOSE=yes "$BUILD/tests/e2e/client" 'new 0 Flat')" \
    "new 0 Flat: -4 faissx: FAISSX_VERBOSE is 'yes', and must be 0 or 1"
ok "the server stops" stop_server

# --- a log that cannot grow, and what FAISS prints ---

ulimit -S -f 16 # blocks of 512 bytes, or of 1024
start_server
ok "an engine whose log is full" program verbose 100
is "goes on" "$(cat "$TMP/stdout")" "trained"
ok "the log is full" test "$(wc -c <"$SERVER_LOG")" -ge 8192
ok "the server stops" stop_server
