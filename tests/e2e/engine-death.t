#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Processes that die: an engine costs its own tenant its objects and one clear error, and
# nobody else anything; the server costs its clients a clear error, and leaves no engine.
. tests/e2e/lib.sh

# The engines are to die of the signals that they are sent here.
ASAN_OPTIONS=handle_segv=0:handle_abort=0:${ASAN_OPTIONS:-}
export ASAN_OPTIONS

(umask 077 && echo '{"key-a": "alpha", "key-b": "beta"}' >"$TMP/keys")
start_server --auth-file "$TMP/keys"
export FAISSX_API_KEY
FAISSX_API_KEY=key-b
talk b
FAISSX_API_KEY=key-a
talk a

is "one tenant has an index" "$(ask a 'new 0 Flat'; ask a 'add 0 100')" "ok
ok"
is "another has one" "$(ask b 'new 0 IVF4,Flat'; ask b 'train 0 3'; ask b 'new 1 Flat'; ask b 'add 1 100')" "ok
ok
ok
ok"
found=$(ask b 'search 1')
like "it finds something" "$found" '^found'
b_engine=$(stat_of pid key-b)

dies_of() {
    engine=$(stat_of pid key-a)
    tell a 'train 0 1000000000'
    ok "a long call is under way" wait_for pending 1 key-a
    kill "-$1" "$engine"
    like "$2: the caller is told at once" "$(hear a)" \
        "^-4 faissx: the engine of tenant 'alpha' died \(signal $2\) while running faiss_Clustering_train; its objects are gone"
    ok "the process is gone" wait_for gone "$engine"
    like "what it held is gone" "$(ask a 'search 0')" \
        '^-4 faissx: faiss_Index_search: index is gone: '
    is "a getter of it says 0" "$(ask a 'total 0')" 0
    is "freeing it is harmless" "$(ask a 'free 0')" "done"
    is "a new index can be made" "$(ask a 'new 0 Flat')" ok
    is "and used" "$(ask a 'add 0 100')" ok
    like "by searches too" "$(ask a 'search 0')" '^found'
    is "in a new process" "$([ "$(stat_of pid key-a)" != "$engine" ] && echo yes)" yes
    is "the other tenant has what it had" "$(ask b 'search 1')" "$found"
    is "in the same process" "$(stat_of pid key-b)" "$b_engine"
}
dies_of KILL '9, Killed'
dies_of SEGV '11, Segmentation fault'
dies_of ABRT '6, Aborted'
like "the log tells of each" "$(grep -c 'event=engine-ended tenant=alpha' "$SERVER_LOG")" '^3$'

# An engine that dies while nobody waits for it is noticed by the next call.
engine=$(stat_of pid key-a)
kill -9 "$engine"
wait_for gone "$engine"
like "the call after a silent death" "$(ask a 'search 0')" '^-4 faissx: '
is "the call after that" "$(ask a 'new 0 Flat')" ok

# --- the server ---

a_engine=$(stat_of pid key-a)
tell a 'train 0 1000000000'
wait_for pending 1 key-a
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
like "the server is killed: a waiting caller learns it" "$(hear a)" '^-4 faissx: .*connection'
like "one that was not waiting, too" "$(ask b 'search 1')" '^-4 faissx: .*onnect'
ok "the engine that was busy ends" wait_for gone "$a_engine"
ok "the engine that was idle ends" wait_for gone "$b_engine"

start_server --again --auth-file "$TMP/keys"
is "the server is back: a call without objects works" "$(ask a 'new 1 Flat')" ok
like "an old object does not" "$(ask a 'search 0')" '^-4 faissx: faiss_Index_search: index is gone: the server was restarted'
like "a call with an old object first" "$(ask b 'search 1')" '^-4 faissx: '
is "then a new one" "$(ask b 'new 2 Flat')" ok
is "freeing old ones is harmless" "$(ask a 'free 0'; ask b 'free 0'; ask b 'free 1')" "done
done
done"
is "the new ones work" "$(ask a 'add 1 10'; ask b 'add 2 10'; ask a 'total 1'; ask b 'total 2')" "ok
ok
10
10"
is "nothing on stderr" "$(cat "$TMP/a.err" "$TMP/b.err")" ""
ok "the server stops" stop_server

# An engine all of whose threads compute learns of the server's end, too.
start_server --threads 1
talk c
ask c 'new 0 Flat' >/dev/null
engine=$(stat_of pid)
computed() { [ "$(awk '{ print $14 }' "/proc/$engine/stat")" -ge "$1" ]; }
tell c 'slow 0 200000' # half a minute's work, which begins at once
ok "it computes" wait_for computed $(($(getconf CLK_TCK) * 3 / 2))
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
like "a waiting caller learns it" "$(hear c)" '^-4 faissx: .*connection'
ok "the engine ends" wait_for gone "$engine"
