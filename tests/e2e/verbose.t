#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What FAISS prints goes to the server's log.  With FAISSX_VERBOSE=1, what it prints during a
# client's calls also goes to that client's stderr.
. tests/e2e/lib.sh

program() { remote "$BUILD/tests/e2e/verbose" "$@" >"$TMP/stdout" 2>"$TMP/stderr"; }
verbose() { FAISSX_VERBOSE=1 program "$@"; }
warning="WARNING clustering"
times=50 runs=400
[ -z "$SANITIZER_RUNTIME" ] || times=10 runs=80 # which is slow enough

start_server
ok "a program that FAISS warns ends normally" program warning 100
is "the warning is not in its output" "$(cat "$TMP/stdout" "$TMP/stderr")" ""
like "the warning is in the server's log" "$(cat "$SERVER_LOG")" "^$warning 100 points to 16 centroids"
FAISSX_VERBOSE=0 program warning 101
is "with FAISSX_VERBOSE=0 it is not in its output" "$(cat "$TMP/stdout" "$TMP/stderr")" ""

verbose warning 102
like "with FAISSX_VERBOSE=1 it is on stderr" "$(cat "$TMP/stderr")" "^$warning 102 points to 16 centroids"
is "it is not on stdout" "$(cat "$TMP/stdout")" ""
like "it is in the server's log as well" "$(cat "$SERVER_LOG")" "^$warning 102 points to 16 centroids"
if [ -z "$SANITIZER_RUNTIME" ]; then
    preloaded "$BUILD/tests/e2e/verbose" warning 102 2>"$TMP/local"
    same "stderr is the same as in process" "$TMP/stderr" "$TMP/local"
fi

verbose verbose 0
is "a call fails after FAISS has printed" "$(cat "$TMP/stdout")" "-2 1"
like "what FAISS printed before the failure is on stderr" "$(cat "$TMP/stderr")" "^Training level-1 quantizer"

verbose verbose 1
is "verbose training" "$(cat "$TMP/stdout")" "trained"
like "its progress is on stderr" "$(tr '\r' '\n' <"$TMP/stderr")" "Iteration 24 .*objective="

verbose verbose $runs
is "verbose training that prints more than fits in a reply" "$(cat "$TMP/stdout")" "trained"
like "the last line says where the rest is" "$(tail -n 1 "$TMP/stderr")" \
    "^faissx: [0-9]+ more bytes are in the server's log\$"
ok "at most 32 KiB is on stderr" test "$(wc -c <"$TMP/stderr")" -lt 33000
ok "the log has all of it" test "$(wc -c <"$SERVER_LOG")" -gt $((runs * 1000))

verbose display
like "a function that prints, prints to stdout" "$(cat "$TMP/stdout")" '^ParameterSpace, [0-9]+ parameters'
is "and to nothing else" "$(cat "$TMP/stderr")" ""

# --- each client gets its own ---

for n in 1 2 3 4 5 6 7 8; do
    FAISSX_VERBOSE=1 remote "$BUILD/tests/e2e/verbose" warning $((200 + n)) $times 2>"$TMP/stderr$n" &
    pids="${pids:-} $!"
done
# shellcheck disable=SC2086 # a list
wait $pids
for n in 1 2 3 4 5 6 7 8; do
    is "client $n has its own $times warnings" "$(grep -c "^$warning $((200 + n)) points" "$TMP/stderr$n")" $times
    is "and no warnings of other clients" "$(grep -c "$warning" "$TMP/stderr$n")" $times
done

# --- on the wire ---

session=$(value session "$(raw '{"operation":"hello","protocol":1}')")
like "a request may have 'verbose'" \
    "$(raw "$(printf '%s' '{"operation":"faiss_index_factory","session":"'"$session"'","verbose":true,' \
        '"args":[true,8,"Flat",1]}')")" '"status":"ok"'
is "FAISSX_VERBOSE that is neither 0 nor 1 is refused" \
    "$(remote env FAISSX_VERBOSE=yes "$BUILD/tests/e2e/client" 'new 0 Flat')" \
    "new 0 Flat: -4 faissx: FAISSX_VERBOSE is 'yes', but must be 0 or 1"
ok "the server stops" stop_server

# --- a log that cannot grow ---

ulimit -S -f 16 # blocks of 512 bytes, or of 1024
start_server
ok "a program on a server whose log is full ends" program verbose 40
is "its calls succeed" "$(cat "$TMP/stdout")" "trained"
ok "the log is full" test "$(wc -c <"$SERVER_LOG")" -ge 8192
ok "the server stops" stop_server
