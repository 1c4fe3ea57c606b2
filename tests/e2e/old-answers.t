#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An answer to a client that does not come back is kept for seven days.
. tests/e2e/lib.sh
[ -z "$SANITIZER_RUNTIME" ] || skip_all "another library has to be preloaded first"

data=$TMP/data
op() { raw '{"operation":"index_'"$1"'","name":"a","d":2,"description":"Flat"'"${2:-}}"; }
# later DAYS: starts the server so many days later, makes a change without a caller, and stops it.
# Prints how many answers are kept then.
later() {
    DAYS=$1
    LD_PRELOAD="${SANITIZER_RUNTIME:+$SANITIZER_RUNTIME }$BUILD/tests/torture/clock.so"
    export DAYS LD_PRELOAD
    start_server --data-dir "$data"
    unset DAYS LD_PRELOAD
    op add ',"n":1,"_frames":["f32 1 1"]' >>"$TMP/out"
    stop_server
    "$BUILD/faissx-server" verify "$data" | sed -n 's/.*, \([0-9]*\) answers,.*/\1/p'
}

start_server --data-dir "$data"
like "an index is made" "$(op create)" '"status":"ok"'
for i in 0 1 2; do
    op add ',"n":1,"request_id":1,"caller":"hex:0'$i'0102030405060708090a0b0c0d0e0f","_frames":["f32 1 1"]' >>"$TMP/out"
done
stop_server
is "all requests succeed, and three of them have answers" "$(later 0)" 3
is "they are kept after six days" "$(later 6)" 3
is "and dropped after eight" "$(later 8)" 0
is "all changes were made" "$(grep -c '"status":"ok"' "$TMP/out")" 6

# The clock is set back a moment after a change was accepted: it is on disk in time all the same.
cat >"$TMP/back.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *t)
{
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(clock, t);
    if (rc == 0 && clock == CLOCK_REALTIME && access(BACK, F_OK) == 0)
        t->tv_sec -= 3600;
    return rc;
}
END
ok "a library that sets the clock back compiles" \
    ${CC:-gcc} -shared -fPIC "-DBACK=\"$TMP/back\"" "$TMP/back.c" -o "$TMP/back.so"
LD_PRELOAD=$TMP/back.so
export LD_PRELOAD
start_server --data-dir "$TMP/interval" --durability interval=1000
unset LD_PRELOAD
op create >/dev/null
op add ',"n":1,"_frames":["f32 1 1"]' >/dev/null
: >"$TMP/back"
sleep 2
kill_engine
like "a change is on disk when the clock was set back" "$(op info)" '"ntotal":1,'
ok "the server stops" stop_server
