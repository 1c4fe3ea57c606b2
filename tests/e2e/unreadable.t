#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A disk of which a part cannot be read, and calls of the system that fail for other reasons: nothing
# that is there is taken for missing, and repair saves what can be read.
. tests/e2e/lib.sh
[ -z "$SANITIZER_RUNTIME" ] || skip_all "it replaces the same functions"

cat >"$TMP/fails.c" <<'END'
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static int ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = end ? strlen(end) : 0;
    return m && n >= m && strcmp(path + n - m, end) == 0;
}
static int is_called(int fd, const char *end)
{
    char link[64], path[4096] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof path - 1) > 0 && ends_with(path, end);
}
/* LIST_FAILS=DIR */
struct dirent *readdir(DIR *d)
{
    struct dirent *(*real)(DIR *) = dlsym(RTLD_NEXT, "readdir");
    if (is_called(dirfd(d), getenv("LIST_FAILS"))) {
        errno = EIO;
        return NULL;
    }
    return real(d);
}
/* READ_FAILS=FILE READ_FROM=OFFSET READ_TO=OFFSET */
static int bad(int fd, size_t n, off_t at)
{
    const char *file = getenv("READ_FAILS");
    if (!file || at >= atol(getenv("READ_TO")) || at + (off_t)n <= atol(getenv("READ_FROM")) ||
        !is_called(fd, file))
        return 0;
    errno = EIO;
    return 1;
}
ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    return bad(fd, n, at) ? -1 : real(fd, p, n, at);
}
ssize_t pread64(int fd, void *p, size_t n, off_t at) /* SQLite's */
{
    return pread(fd, p, n, at);
}
/* OPEN_FAILS=FILE OPEN_ERROR=NUMBER */
int openat(int dir, const char *file, int flags, ...)
{
    int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, "openat");
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    if (ends_with(file, getenv("OPEN_FAILS"))) {
        errno = atoi(getenv("OPEN_ERROR"));
        return -1;
    }
    return real(dir, file, flags, mode);
}
/* NO_EXCHANGE=1: as on NFS. */
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    int (*real)(int, const char *, int, const char *, unsigned) = dlsym(RTLD_NEXT, "renameat2");
    if (!getenv("NO_EXCHANGE") || !flags)
        return real(from_dir, from, to_dir, to, flags);
    errno = EINVAL;
    return -1;
}
/* NO_LINKS=1 */
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    int (*real)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
    if (!getenv("NO_LINKS"))
        return real(from_dir, from, to_dir, to, flags);
    errno = EPERM;
    return -1;
}
/* DIE_AT=N: before the rename with this number. */
int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    static int renames;
    if (getenv("DIE_AT") && ++renames == atoi(getenv("DIE_AT")))
        raise(SIGKILL);
    return real(from, to);
}
END
ok "the library that fails compiles" ${CC:-gcc} -shared -fPIC "$TMP/fails.c" -o "$TMP/fails.so" -ldl
admin() { "$BUILD/faissx-server" "$@" 2>&1; }
# broken SETTING... COMMAND ARGUMENT...: with calls that fail.
broken() {
    fx_settings=
    while case $1 in *=*) true ;; *) false ;; esac; do
        fx_settings="$fx_settings $1"
        shift
    done
    # shellcheck disable=SC2086 # a list of words
    env LD_PRELOAD="$TMP/fails.so" $fx_settings "$BUILD/faissx-server" "$@" 2>&1
}
# contents: of all files but those that name a process, and the memory that SQLite's readers share.
contents() {
    find "$TMP/d" -type f ! -name lock ! -name replaying ! -name store.db-shm \
        ! \( -name store.db-wal -size 0 \) -exec cksum {} + | sort -k 3
}
# begin WHAT: a fresh copy of the data directory in $TMP/d.
begin() {
    what=$1
    rm -rf "$TMP/d"
    cp -a "$data" "$TMP/d"
    contents >"$TMP/before"
}
unchanged() {
    contents >"$TMP/after"
    same "$what: nothing is changed" "$TMP/before" "$TMP/after"
}
total() { client "read 0 faissx://$1" 'total 0' | sed -n 's/^total 0: //p'; }
# serves NAME=TOTAL...: a server on the directory has these indexes.
serves() {
    start_server --data-dir "$TMP/d"
    fx_has=$(FAISSX_SERVER=$SERVER "$BUILD/bin/faissx" list | sort | while read -r name; do
        printf '%s=%s ' "$name" "$(total "$name")"
    done)
    is "$what: the server has what is left" "$fx_has" "$*${1:+ }"
    stop_server
}

# Both have a large change, one behind the other in records-1, and a small one.
data=$TMP/data
store=tenants/default
start_server --data-dir "$data"
client 'new 0 Flat' 'add 0 10' 'write 0 faissx://a' 'new 1 Flat' 'add 1 10' 'write 1 faissx://b' \
    'add 0 500' 'add 1 600' 'add 0 3' >"$TMP/out"
is "two indexes are published and changed" "$(sed 's/.*: //' "$TMP/out" | sort -u)" ok
ok "the server stops" stop_server

# --- a directory that cannot be listed ---

begin "a store that cannot be listed"
LD_PRELOAD=$TMP/fails.so LIST_FAILS=/$store
export LD_PRELOAD LIST_FAILS
start_server --data-dir "$TMP/d"
unset LD_PRELOAD LIST_FAILS
like "$what: the client is told that its index cannot be had" "$(FAISSX_TIMEOUT=5 client 'read 0 faissx://a' 2>&1)" \
    'read 0 faissx://a: -'
like "$what: the log says why" "$(cat "$SERVER_LOG")" 'cannot read the directory .*Input/output error'
stop_server
unchanged
serves a=513 b=610

begin "a store that cannot be listed"
rm -f "$TMP/d/$store"/store.db*
contents >"$TMP/before"
said=$(broken LIST_FAILS=/$store repair "$TMP/d")
is "$what: repair fails" $? 1
like "$what: and says why" "$said" '^faissx-server repair: tenant default: cannot read the directory .*Input/output error'
unchanged

# What has a name is not replaced, also where the system cannot see to that.
LD_PRELOAD=$TMP/fails.so NO_EXCHANGE=1
export LD_PRELOAD NO_EXCHANGE
start_server --data-dir "$TMP/new"
unset LD_PRELOAD NO_EXCHANGE
is "a store is made on a file system like NFS" "$(client 'new 0 Flat' 'add 0 10' 'write 0 faissx://a' | sed 's/.*: //' | sort -u)" ok
stop_server
ok "nothing in it is damaged" admin verify "$TMP/new"

begin "a list of tenants that cannot be read"
for command in verify repair backup; do
    # shellcheck disable=SC2046 # backup has a target
    said=$(broken LIST_FAILS=/tenants $command "$TMP/d" $([ $command = backup ] && echo "$TMP/backup"))
    is "$what: $command fails" $? 1
    like "$what: $command says why" "$said" "^faissx-server $command: cannot read $TMP/d/tenants: Input/output error"
done
unchanged

# --- a part of a file that cannot be read ---

begin "a part of a large change"
said=$(broken READ_FAILS=/records-1 READ_FROM=50000 READ_TO=50512 repair "$TMP/d")
is "$what: repair" $? 0
like "$what: what is lost" "$said" "^  lost: 1 changes of index 'b', from change [0-9]+ on: .*Input/output error\$"
is "$what: and nothing else" "$(printf '%s\n' "$said" | grep -c '^  lost:')" 1
ok "$what: then nothing is damaged" admin verify "$TMP/d"
serves a=513 b=10

# The log that SQLite writes before it changes the database: it is there if the server was killed.
start_server --data-dir "$data"
client 'read 0 faissx://a' 'add 0 4' 'read 1 faissx://b' 'add 1 5' >"$TMP/out"
size=$(stat -c %s "$data/$store/store.db-wal")
client 'read 0 faissx://a' 'add 0 6' 'read 1 faissx://b' 'add 1 7' >>"$TMP/out"
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
engine_ended() { ! admin verify "$data" | grep -q 'in use'; }
wait_for engine_ended
begin "a part of the database's log"
said=$(broken READ_FAILS=/store.db-wal READ_FROM=$((size + 4500)) READ_TO=$((size + 5000)) repair "$TMP/d")
is "$what: repair" $? 0
like "$what: it says so" "$said" "^  damaged: .*store.db-wal"
is "$what: no name is lost" "$(printf '%s\n' "$said" | grep -c 'lost: the names')" 0
is "$what: nothing else is left in the store" \
    "$(cd "$TMP/d/$store" && printf '%s ' [!12]*)" "records-1 store.db "
ok "$what: then nothing is damaged" admin verify "$TMP/d"
serves a=517 b=615

begin "a page of the database"
said=$(broken READ_FAILS=/store.db READ_FROM=12300 READ_TO=12400 verify "$TMP/d")
is "$what: verify finds it" $? 1
like "$what: and names it" "$said" "^  damaged: store.db: page 4 cannot be read: Input/output error\$"
flip() { perl -e 'open F, "+<", shift or die; seek F, shift, 0; print F "??"' "$1" "$2"; }
flip "$TMP/d/$store/store.db" 25000
like "$what: and another one behind it" "$(broken READ_FAILS=/store.db READ_FROM=12300 READ_TO=12400 verify "$TMP/d")" \
    "^  damaged: store.db: page 7 has a wrong checksum\$"

# --- a file that cannot be opened now, for a reason that is no damage ---

snapshot=$(cd "$data/$store" && ls 1-*.faiss)
for file in records-1 "$snapshot" store.db-wal; do
    for error in 13 24; do # EACCES, EMFILE
        begin "$file, error $error"
        # If the log has lost rows, repair looks for records in segments.
        [ "$file" = records-1 ] && [ $error = 24 ] && rm "$TMP/d/$store/store.db-wal"
        contents >"$TMP/before"
        for command in verify repair; do
            said=$(broken OPEN_FAILS=$file OPEN_ERROR=$error $command "$TMP/d")
            is "$what: $command fails" $? 1
            like "$what: $command says why" "$said" \
                "^faissx-server $command: tenant default: .*$file.*: (Permission denied|Too many open files)\$"
            is "$what: $command takes it for no damage" "$(printf '%s\n' "$said" | grep -c 'damaged:\|lost:')" 0
        done
        unchanged
        is "$what: nothing is added" "$(cd "$TMP/d" && ls | tr '\n' ' ')" "lock tenants "
    done
done

# --- a file system that cannot exchange two directories ---

for at in none 1 2 3; do
    begin "no exchange, killed before rename $at"
    rm "$TMP/d/$store"/2-*.faiss
    if [ $at = none ]; then
        ok "$what: repair" broken NO_EXCHANGE=1 repair "$TMP/d"
    else
        broken NO_EXCHANGE=1 DIE_AT=$at repair "$TMP/d" >"$TMP/out"
        is "$what: repair was killed" $? 137
        timeout 20 "$BUILD/faissx-server" run --bind "ipc://$TMP/refused" --data-dir "$TMP/d" >"$TMP/out" 2>&1
        is "$what: the server refuses the directory" $? 1
        like "$what: and says what to do" "$(cat "$TMP/out")" 'repair was interrupted.*faissx-server repair'
        for command in verify backup "repair --dry-run"; do
            # shellcheck disable=SC2046,SC2086 # lists of words
            said=$(admin $command "$TMP/d" $([ "$command" = backup ] && echo "$TMP/backup"))
            is "$what: $command, too" "$? $(printf '%s\n' "$said" | grep -c 'repair was interrupted')" "1 1"
        done
        ok "$what: another repair" broken NO_EXCHANGE=1 repair "$TMP/d"
    fi
    ok "$what: then nothing is damaged" admin verify "$TMP/d"
    is "$what: nothing else is there" "$(cd "$TMP/d" && ls | tr '\n' ' ')" "lock lost+found tenants "
    like "$what: the old store is in lost+found" "$(ls -d "$TMP"/d/lost+found/*/records-1)" .
    serves a=523
done

# --- lost+found ---

begin "an empty lost+found that was there before"
rm "$TMP/d/$store"/2-*.faiss
mkdir "$TMP/d/lost+found"
ok "$what: repair --dry-run" admin repair --dry-run "$TMP/d"
is "$what: it stays" "$(cd "$TMP/d" && ls | tr '\n' ' ')" "lock lost+found tenants "
broken NO_LINKS=1 repair "$TMP/d" >"$TMP/out"
is "$what: repair fails" $? 1
is "$what: it stays, too" "$(cd "$TMP/d" && ls | tr '\n' ' ')" "lock lost+found tenants "

begin "a tenant with a long name"
rm "$TMP/d/$store"/2-*.faiss
long=$(printf '%0250d' 0)
mv "$TMP/d/$store" "$TMP/d/tenants/$long"
ok "$what: repair" admin repair "$TMP/d"
ok "$what: then nothing is damaged" admin verify --tenant "$long" "$TMP/d"
