#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# With --data-dir, a published index is there again after any process was killed.
. tests/e2e/lib.sh

data=$TMP/data
serve() { start_server "$@" --data-dir "$data"; }

# again HOW: ends the server in that way and starts it again on the same endpoint.
again() {
    case $1 in
    stop) stop_server ;;
    kill)
        fx_engine=$(stat_of pid)
        kill -9 "$SERVER_PID"
        wait "$SERVER_PID" 2>/dev/null
        wait_for gone "$fx_engine"
        ;;
    esac
    serve --again
}

# seen NAME: how many vectors the index has, and what a search finds.
seen() { client "read 0 faissx://$1" 'total 0' 'search 0' | sed 's/.*: //' | sed 1d; }

# survives WHAT NAME: an index is the same after each kind of end.
survives() {
    fx_before=$(seen "$2")
    like "$1: it has vectors" "$fx_before" '^[1-9]'
    again kill
    is "$1: it is the same when the server was killed" "$(seen "$2")" "$fx_before"
    kill -9 "$(stat_of pid)"
    is "$1: when the engine was killed" "$(seen "$2")" "$fx_before"
    again stop
    is "$1: when the server was stopped" "$(seen "$2")" "$fx_before"
}

serve
like "a server without a data directory says that it keeps nothing" \
    "$("$BUILD/faissx-server" run --port 0 --help >/dev/null; timeout 1 "$BUILD/faissx-server" run --port 0 2>&1)" 'event=keeps-nothing'
refused=$("$BUILD/faissx-server" run --port 0 --data-dir "$data" 2>&1)
is "a second server on the same directory is refused" "$?" 1
like "and is told which process uses it" "$refused" "^faissx-server: --data-dir .*: another server uses it: process $SERVER_PID on "

client 'new 0 Flat' 'add 0 100' 'write 0 faissx://flat' 'add 0 10' >"$TMP/out"
is "an index is published, and changed through the handle that made it" \
    "$(sed 's/.*: //' "$TMP/out" | sort -u)" ok
survives "Flat" flat
is "it has both additions" "$(seen flat | head -n 1)" 110

client 'read 0 faissx://flat' 'drop 0 7' 'add 0 1000' 'drop 0 3' >"$TMP/out"
is "another program changes it" "$(sed 's/.*: //' "$TMP/out" | sort -u)" ok
survives "removed and added" flat
is "the number is right" "$(seen flat | head -n 1)" 1100

client 'new 0 IVF4,Flat' 'write 0 faissx://ivf' 'learn 0 200' 'add 0 500' 'probe 0 2' >"$TMP/out"
is "an index is published before it is trained" "$(sed 's/.*: //' "$TMP/out" | sort -u)" ok
survives "trained, added, nprobe by name" ivf
client 'read 0 faissx://ivf' 'part 0 4' >"$TMP/out"
survives "nprobe by its function" ivf

client 'new 0 HNSW8,Flat' 'write 0 faissx://hnsw' 'add 0 50' >"$TMP/out"
survives "HNSW" hnsw

client 'new 0 IVF4,Flat' 'learn 0 200' 'add 0 20' 'new 1 IVF4,Flat' 'learn 1 200' 'add 1 30' \
    'write 0 faissx://merged' 'merge 0 1' >"$TMP/out"
is "an index is merged into a published one" "$(sed 's/.*: //' "$TMP/out" | sort -u)" ok
survives "merged" merged
is "it has all vectors" "$(seen merged | head -n 1)" 50

client 'read 0 faissx://merged' 'reset 0' >"$TMP/out"
again kill
is "a reset lasts" "$(seen merged | head -n 1)" 0

# A failed call leaves nothing behind.
client 'read 0 faissx://ivf' 'new 1 IVF2,Flat' 'learn 1 100' 'merge 0 1' >"$TMP/out"
like "a merge that fails is an error" "$(tail -n 1 "$TMP/out")" 'merge 0 1: -'
survives "after a failed call" ivf

# Names.
is "all names are there" "$("$BUILD/bin/faissx" list --server "$SERVER" 2>&1 | sort | tr '\n' ' ')" "flat hnsw ivf merged "
ok "one is unpublished" "$BUILD/bin/faissx" rm --server "$SERVER" hnsw
again kill
is "it stays away" "$("$BUILD/bin/faissx" list --server "$SERVER" | sort | tr '\n' ' ')" "flat ivf merged "
client 'new 0 Flat' 'add 0 5' 'write 0 faissx://flat' >"$TMP/out"
again kill
is "an index published over another one replaces it" "$(seen flat | head -n 1)" 5

# Large arrays come as uploads, or as memfds.
client 'new 0 Flat' 'write 0 faissx://big' 'add 0 200000' >"$TMP/out"
survives "a large addition" big
is "it is complete" "$(seen big | head -n 1)" 200000

ok "the server stops" stop_server

# One call moves vectors from one published index to another, and the engine is killed meanwhile: before
# a second file gets its name.
[ -z "$SANITIZER_RUNTIME" ] || exit 0 # it replaces the same function
cat >"$TMP/second.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    int (*real)(int, const char *, int, const char *, unsigned) = dlsym(RTLD_NEXT, "renameat2");
    static int renames;
    if (strstr(to, ".faiss") && access(KILL, F_OK) == 0 && ++renames == 2)
        raise(SIGKILL);
    return real(from_dir, from, to_dir, to, flags);
}
END
ok "a library that kills the engine compiles" \
    ${CC:-gcc} -shared -fPIC "-DKILL=\"$TMP/kill\"" "$TMP/second.c" -o "$TMP/second.so"
LD_PRELOAD=$TMP/second.so
export LD_PRELOAD
start_server --data-dir "$TMP/moved"
unset LD_PRELOAD
talk v
for fx_what in 'new 0 IVF4,Flat' 'learn 0 200' 'add 0 20' 'write 0 faissx://to' \
    'new 1 IVF4,Flat' 'learn 1 200' 'add 1 30' 'write 1 faissx://from'; do
    ask v "$fx_what" >/dev/null
done
: >"$TMP/kill"
like "the engine ends while an index is merged into another" "$(ask v 'merge 0 1')" '^-4'
rm "$TMP/kill"
sums() { # vectors in both
    client 'read 0 faissx://to' 'total 0' 'read 1 faissx://from' 'total 1' | sed -n 's/^total.*: //p' | tr '\n' ' '
}
wait_for sh -c '"$1" "$2" "{\"operation\":\"stats\"}" | grep -q pid' - "$BUILD/tests/e2e/raw" "$SERVER"
is "nothing was moved" "$(sums)" "20 30 "
is "it works the next time" "$(client 'read 0 faissx://to' 'read 1 faissx://from' 'merge 0 1' | tail -n 1)" "merge 0 1: ok"
kill_engine
is "and outlives the engine" "$(sums)" "50 0 "
ok "the server stops" stop_server

# --- many at once ---

start_server --data-dir "$TMP/many"
set -- 'shards 9'
for i in $(seq 40); do set -- "$@" 'new 0 Flat' "publish 0 n$i" 'shard 9 0' 'free 0'; done
is "a call changes forty published indexes" "$(client "$@" 'add 9 400' 'total 9' | tail -n 2)" "add 9 400: ok
total 9: 400"
kill_engine
ntotals() { for i in $(seq 40); do client "open 0 n$i" 'total 0' | tail -n 1; done | sort | uniq -c | sed 's/^ *//'; }
is "all of it is there after the engine was killed" "$(ntotals)" "40 total 0: 10"
ok "the server stops" stop_server
