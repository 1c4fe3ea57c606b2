#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# When the disk fails, nobody knows what is on it: the engine ends, and the next one finds out.
. tests/e2e/lib.sh
[ -z "$SANITIZER_RUNTIME" ] || skip_all "it replaces the same functions"

cat >"$TMP/fails.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* Does the disk fail to sync this file? */
static int fails(int fd)
{
    char link[64], path[4096] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0 || access(getenv("DISK_FAILS"), F_OK) != 0)
        return 0;
    errno = EIO;
    return strstr(path, "store.db-wal") || strstr(path, "/records-");
}
int fsync(int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    return fails(fd) ? -1 : real(fd);
}
int fdatasync(int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    return fails(fd) ? -1 : real(fd);
}
END
ok "the library that fails compiles" ${CC:-gcc} -shared -fPIC "$TMP/fails.c" -o "$TMP/fails.so" -ldl
export DISK_FAILS="$TMP/disk-fails"
LD_PRELOAD=$TMP/fails.so
export LD_PRELOAD
start_server --data-dir "$TMP/data"
unset LD_PRELOAD
client 'new 0 Flat' 'write 0 faissx://x' 'add 0 1000' >"$TMP/out"
total=1000
failures() { grep -c 'event=store-failed why=".*Input/output error\|event=store-failed why=".*disk I/O error' "$SERVER_LOG"; }
restored() { client 'read 0 faissx://x' 'total 0' | sed -n 's/^total 0: //p'; }

# end_of_engine N: one client's add of N while the disk fails, until that ends the engine.
end_of_engine() {
    talk "c$1"
    ask "c$1" 'read 0 faissx://x' >/dev/null
    engine=$(stat_of pid)
    before=$(failures)
    touch "$DISK_FAILS"
    tell "c$1" "add 0 $1"
    wait_for gone "$engine"
    ok "add of $1: the log says why the engine ended" [ "$(failures)" -gt "$before" ]
}
starts() { [ -n "$(stat_of pid)" ]; } # not at once after several attempts
changes_work() {
    client 'read 0 faissx://x' 'add 0 7' >"$TMP/out"
    like "changes work again" "$(tail -n 1 "$TMP/out")" ': ok$'
    total=$((total + 7))
    is "they are there" "$(restored)" $total
}

# A small change goes into the database, a large one into a file beside it.
for n in 10 20000; do
    end_of_engine $n
    rm "$DISK_FAILS"
    is "add of $n: the client sends it again" "$(hear "c$n")" ok
    total=$((total + n))
    is "add of $n: it is there, once" "$(restored)" $total
    changes_work
done
end_of_engine 11
like "as long as the disk fails, nobody knows whether it was made" "$(hear c11)" 'may have been made'
rm "$DISK_FAILS"
wait_for starts
now=$(restored)
like "it is there wholly or not at all" "$now" "^($total|$((total + 11)))\$"
total=$now
changes_work
is "nothing is set aside" "$(find "$TMP/data" -name '*aside*' -o -name '*damaged*')" ""
ok "the server stops" stop_server
ok "the store is whole" "$BUILD/faissx-server" verify "$TMP/data"
