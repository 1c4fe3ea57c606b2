#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A large array reaches an engine on the same host as a memfd, which must be sealed and have no
# holes.  If no memfd can be made, the array is sent in pieces.
. tests/e2e/lib.sh
[ -z "$SANITIZER_RUNTIME" ] || skip_all "another library has to be preloaded first"

cat >"$TMP/lie.c" <<'END'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int mode(const char *name) { return strcmp(getenv("LIE"), name) == 0; }
static int last = -1;

int memfd_create(const char *name, unsigned flags)
{
    if (mode("none"))
        return errno = EMFILE, -1;
    return last = (int)syscall(SYS_memfd_create, name, flags);
}

ssize_t write(int fd, const void *p, size_t n)
{
    if (fd != last || mode("unsealed"))
        return syscall(SYS_write, fd, p, n);
    if (mode("full"))
        return errno = ENOSPC, -1;
    if (mode("short"))
        return syscall(SYS_write, fd, p, n / 2) < 0 ? -1 : (ssize_t)n;
    return ftruncate(fd, (off_t)n) ? -1 : (ssize_t)n; /* a hole */
}

int fcntl(int fd, int cmd, ...)
{
    va_list ap;
    va_start(ap, cmd);
    long arg = va_arg(ap, long);
    va_end(ap);
    if (cmd == F_ADD_SEALS && mode("unsealed"))
        return 0;
    return (int)syscall(SYS_fcntl, fd, cmd, arg);
}
END
ok "the library that makes bad memfds compiles" ${CC:-gcc} -shared -fPIC "$TMP/lie.c" -o "$TMP/lie.so"

start_server
talk honest
ask honest 'new 0 Flat' >/dev/null
ask honest 'add 0 100000' >/dev/null # 6.4 MB
engine=$(stat_of pid)
found=$(ask honest 'search 0') # meanwhile the engine closes the connection of stat_of
descriptors() { ls "/proc/$engine/fd" | wc -l; }
before=$(descriptors)

# lie MODE: the results, or the error, of a client with that kind of memfd.
lie() {
    LIE=$1 FAISSX_SERVER=$SERVER LD_PRELOAD="$TMP/lie.so $STAND_IN" "$BUILD/tests/e2e/client" \
        'new 0 Flat' 'add 0 100000' 'total 0' 'search 0'
}
is "without memfds the array is sent in pieces" "$(lie none | tail -1)" "search 0: $found"
is "without room for a memfd the array is sent in pieces" "$(lie full | tail -1)" "search 0: $found"
like "a memfd that is not sealed is refused" "$(lie unsealed)" '^add 0 100000: -4 faissx: .* sealed memfd'
like "a memfd with holes is refused" "$(lie hole)" '^add 0 100000: -4 faissx: .* sealed memfd'
like "a memfd that is too short is refused" "$(lie short)" '^add 0 100000: -4 faissx: a piece of 3200000 bytes'
like "nothing was added" "$(lie short)" '^total 0: 0'
is "the engine has not died" "$(stat_of pid)" "$engine"
as_before() { [ "$(descriptors)" = "$before" ]; }
ok "the engine has leaked no descriptor" wait_for as_before
is "another client's index is unchanged" "$(ask honest 'search 0')" "$found"
ok "the server stops" stop_server

start_server --memory 300
like "more than the engine may map is refused" "$(client 'new 0 Flat' 'add 0 6000000' 'total 0')" \
    '^add 0 6000000: -4 faissx: the server has no memory for an array of 384000000 bytes'
like "the engine continues to work" "$(client 'new 0 Flat' 'add 0 10' 'total 0')" '^total 0: 10'
