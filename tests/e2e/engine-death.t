#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# If an engine dies, its tenant loses its objects and gets one clear error, and no other tenant is
# affected.  If the server dies, its clients get a clear error, and no engine is left.
. tests/e2e/lib.sh

# The signals sent here have to kill the engines.
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
like "its search finds something" "$found" '^found'
b_engine=$(stat_of pid key-b)

dies_of() {
    engine=$(stat_of pid key-a)
    tell a 'train 0 1000000000'
    ok "a long call is under way" wait_for pending 1 key-a
    kill "-$1" "$engine"
    like "$2: the caller is told at once" "$(hear a)" \
        "^-4 faissx: the engine of tenant 'alpha' died \(signal $2\) while running faiss_Clustering_train; its objects are gone"
    ok "the engine process is gone" wait_for gone "$engine"
    like "its objects are gone" "$(ask a 'search 0')" \
        '^-4 faissx: faiss_Index_search: index is gone: '
    is "a getter of a lost object returns 0" "$(ask a 'total 0')" 0
    is "freeing a lost object is harmless" "$(ask a 'free 0')" "done"
    is "a new index can be created" "$(ask a 'new 0 Flat')" ok
    is "vectors can be added to it" "$(ask a 'add 0 100')" ok
    like "it can be searched" "$(ask a 'search 0')" '^found'
    is "it is in a new engine process" "$([ "$(stat_of pid key-a)" != "$engine" ] && echo yes)" yes
    is "the other tenant still has its objects" "$(ask b 'search 1')" "$found"
    is "its engine has not died" "$(stat_of pid key-b)" "$b_engine"
}
dies_of KILL '9, Killed'
dies_of SEGV '11, Segmentation fault'
dies_of ABRT '6, Aborted'
like "the log has each death" "$(grep -c 'event=engine-ended tenant=alpha' "$SERVER_LOG")" '^3$'

# The next call notices an engine that died while no call was waiting.
engine=$(stat_of pid key-a)
kill -9 "$engine"
wait_for gone "$engine"
like "the first call after an unnoticed death fails" "$(ask a 'search 0')" '^-4 faissx: '
is "the next call works" "$(ask a 'new 0 Flat')" ok

# --- the server ---

a_engine=$(stat_of pid key-a)
tell a 'train 0 1000000000'
wait_for pending 1 key-a
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
like "when the server is killed, a waiting caller gets an error" "$(hear a)" '^-4 faissx: .*connection'
like "a later call gets an error, too" "$(ask b 'search 1')" '^-4 faissx: .*onnect'
ok "a busy engine ends" wait_for gone "$a_engine"
ok "an idle engine ends" wait_for gone "$b_engine"

start_server --again --auth-file "$TMP/keys"
is "when the server is back, a call without objects works" "$(ask a 'new 1 Flat')" ok
like "an old object is gone" "$(ask a 'search 0')" '^-4 faissx: faiss_Index_search: index is gone: the server was restarted'
like "when a call with an old object comes first, it fails" "$(ask b 'search 1')" '^-4 faissx: '
is "a new object can be created after it" "$(ask b 'new 2 Flat')" ok
is "freeing old objects is harmless" "$(ask a 'free 0'; ask b 'free 0'; ask b 'free 1')" "done
done
done"
is "the new objects work" "$(ask a 'add 1 10'; ask b 'add 2 10'; ask a 'total 1'; ask b 'total 2')" "ok
ok
10
10"
is "nothing on stderr" "$(cat "$TMP/a.err" "$TMP/b.err")" ""
ok "the server stops" stop_server

# An engine whose threads are all computing notices the server's end, too.
start_server --threads 1
talk c
ask c 'new 0 Flat' >/dev/null
engine=$(stat_of pid)
computed() { [ "$(awk '{ print $14 }' "/proc/$engine/stat")" -ge "$1" ]; }
tell c 'slow 0 200000' # half a minute's work, which begins at once
ok "all threads of the engine compute" wait_for computed $(($(getconf CLK_TCK) * 3 / 2))
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
like "a waiting caller gets an error" "$(hear c)" '^-4 faissx: .*connection'
ok "the engine ends" wait_for gone "$engine"
