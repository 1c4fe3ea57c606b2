#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# faissx-server backup and restore: what is damaged, missing or cannot be read in a target.
. tests/e2e/lib.sh

admin() { "$BUILD/faissx-server" "$@" 2>&1; }
flip() { perl -e 'open F, "+<", shift or die; my $at = shift; seek F, $at, 0; read F, $_, 1;
    seek F, $at, 0; print F chr(ord ^ 255)' "$1" "$2"; }
# again [OPTION...] TARGET: restores into $TMP/r, from nothing.
again() { rm -rf "$TMP/r" && admin restore "$@" "$TMP/r"; }

data=$TMP/data
start_server --data-dir "$data"
client 'new 0 Flat' 'add 0 3000' 'write 0 faissx://flat' 'add 0 5000' >"$TMP/out"

# --- a snapshot that backups share ---

target=$TMP/shared
ok "a backup" admin backup "$data" "$target"
snapshot=$(ls "$target"/files/default/*.faiss)
cp "$snapshot" "$TMP/whole"
for how in 'rm' 'truncate -s 100' 'truncate -s 0'; do
    $how "$snapshot"
    is "a snapshot is damaged: $how" "$(admin verify "$target" >/dev/null; echo $?)" 1
    ok "the next backup succeeds" admin backup "$data" "$target"
    ok "and mends all that share it" admin verify "$target"
    same "it is in its old place" "$snapshot" "$TMP/whole"
    ok "they can be restored" again "$target"
done
is "nothing is left over" "$(ls "$target"/files/default/*.faiss*)" "$snapshot"

# --- large changes, of which only a manifest that cannot be read knows ---

target=$TMP/grows
client 'new 0 Flat' 'write 0 faissx://second' >"$TMP/out"
ok "a backup with a large change" admin backup "$data" "$target"
client 'read 0 faissx://second' 'add 0 5000' >"$TMP/out"
ok "one with another one's behind it" admin backup "$data" "$target"
newest=$(ls "$target"/*.json | tail -n 1)
cp "$newest" "$TMP/manifest"
flip "$newest" 100
# The store does not need that one any more, but the one before and the one behind it.
client 'new 0 Flat' 'write 0 faissx://second' 'read 1 faissx://flat' 'add 1 5000' >"$TMP/out"
like "a backup beside a damaged manifest" "$(admin backup "$data" "$target")" \
    'the backup is complete, but nothing is removed from .*: a manifest is damaged'
cp "$TMP/manifest" "$newest"
ok "when the manifest is whole again, all backups are" admin verify "$target"
stop_server

# --- a damaged manifest from before the time ---

printf '{"k1": "one", "k2": "two"}' >"$TMP/keys"
chmod 600 "$TMP/keys"
data=$TMP/data2
target=$TMP/times
write() { FAISSX_API_KEY=$1 client 'new 0 Flat' "add 0 $2" 'write 0 faissx://flat' >"$TMP/out"; }
start_server --data-dir "$data" --auth-file "$TMP/keys"
write k1 10
write k2 10
ok "a backup" admin backup "$data" "$target"
first=$(ls "$target"/*.json)
sleep 0.1
time=$(perl -MTime::HiRes=time -e 'printf "@%.3f", time')
sleep 0.1
write k2 20
ok "another one: one tenant has new snapshots only" admin backup "$data" "$target"
stop_server
ok "a time in between" again --time "$time" "$target"
is "both tenants are there" "$(ls "$TMP/r/tenants" | tr '\n' ' ')" "one two "
flip "$first" 100
said=$(again --time "$time" "$target")
is "without the manifest of the first backup, it fails" $? 1
like "it names the manifest, and the tenant" "$said" \
    "the manifest of a backup that may have tenant 'two', $first, is damaged: "
ok "the newest state needs no other backup" again "$target"
flip "$first" 100

# --- one tenant's files are damaged ---

totals() { # KEY...: of tenants in $TMP/r
    start_server --data-dir "$TMP/r" --auth-file "$TMP/keys"
    for key in "$@"; do
        FAISSX_API_KEY=$key client 'read 0 faissx://flat' 'total 0' | sed -n 's/^total 0: //p'
    done | tr '\n' ' '
    stop_server
}
snapshot=$(ls -t "$target"/files/two/*.faiss | head -n 1)
flip "$snapshot" 100
said=$(again "$target")
is "a restore of all fails" $? 1
like "it says which tenant it is" "$said" "tenant 'two' cannot be restored; --tenant restores the others, each"
said=$(admin restore --tenant one "$target" "$TMP/r")
is "what it has left is not added to" $? 1
like "it says so" "$said" "$TMP/r is not empty"
ok "the other tenant alone" again --tenant one "$target"
is "a tenant that no backup has" "$(admin restore --tenant none "$target" "$TMP/r")" \
    "faissx-server restore: no backup has tenant 'none'"
said=$(admin restore --tenant two "$target" "$TMP/r")
is "the damaged one" $? 1
like "it says what is to be removed" "$said" "$TMP/r/restoring-tenant is not complete: remove it before you try again"
is "what is there stays" "$(ls "$TMP/r/tenants")" one
is "and can be used" "$(totals k1)" "10 "
said=$(admin restore --time "$time" --tenant two "$target" "$TMP/r")
is "it has to be removed" $? 1
rm -rf "$TMP/r/restoring-tenant"
ok "the damaged tenant from an older backup" admin restore --tenant two --time "$time" "$target" "$TMP/r"
is "nothing else is there" "$(ls "$TMP/r" "$TMP/r/tenants" | tr '\n' ' ')" "$TMP/r: lock tenants  $TMP/r/tenants: one two "
ok "all that was restored is good" admin verify "$TMP/r"
is "both can be used" "$(totals k1 k2)" "10 10 "
said=$(admin restore --tenant one "$target" "$TMP/r")
is "a tenant that is there" $? 1
like "is not replaced" "$said" "$TMP/r has tenant 'one' already: move $TMP/r/tenants/one away first"
rm -rf "$TMP/r/tenants/one"
start_server --data-dir "$TMP/r" --auth-file "$TMP/keys"
like "nor is one added while a server runs" "$(admin restore --tenant one "$target" "$TMP/r")" 'is in use by process .*: stop it first'
stop_server
flip "$snapshot" 100

# --- a tenant whose folder has vanished ---

rm -rf "$TMP/lost"
cp -a "$data" "$TMP/lost"
target=$TMP/keep
ok "a backup of two tenants" admin backup --keep 1 "$TMP/lost" "$target"
both=$(ls "$target"/*.json)
rm -rf "$TMP/lost/tenants/two"
for i in 1 2; do
    ok "a backup without one of them" admin backup --keep 1 "$TMP/lost" "$target"
    is "the one that has it is kept, and one of the other" "$(ls "$target"/*.json | wc -l) $(ls "$both")" "2 $both"
done
ok "it can be restored" again --tenant two "$target"
rm "$both"
ok "its manifest is removed, and another backup made" admin backup --keep 1 "$TMP/lost" "$target"
is "then its files are removed" "$(ls "$target/files")" one
rm -rf "$TMP/lost/tenants/one"
for i in 1 2 3; do admin backup --keep 2 "$TMP/lost" "$target" >/dev/null; done
is "of backups without tenants, the newest are kept as well" "$(ls "$target"/*.json | wc -l)" 3

# --- a disk that fails ---

[ -z "$SANITIZER_RUNTIME" ] || exit 0 # another library has to be preloaded first

cat >"$TMP/fail.c" <<'END'
/* With FAIL="CALL PATTERN", this call fails for files whose path matches. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(const char *call, int fd)
{
    char link[64], path[4096];
    const char *fail = getenv("FAIL");
    size_t n = strlen(call);
    if (!fail || strncmp(fail, call, n) != 0 || fail[n] != ' ')
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(link, path, sizeof path - 1);
    path[got > 0 ? got : 0] = 0;
    if (fnmatch(fail + n + 1, path, 0) != 0)
        return 0;
    errno = EIO;
    return 1;
}
ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    return fails("pread", fd) ? -1 : real(fd, p, n, at);
}
ssize_t pread64(int fd, void *p, size_t n, off64_t at) { return pread(fd, p, n, at); }
int fsync(int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    return fails("fsync", fd) ? -1 : real(fd);
}
struct dirent *readdir(DIR *d)
{
    struct dirent *(*real)(DIR *) = dlsym(RTLD_NEXT, "readdir");
    return fails("readdir", dirfd(d)) ? NULL : real(d);
}
struct dirent64 *readdir64(DIR *d) { return (struct dirent64 *)readdir(d); }
END
ok "a library that lets calls fail compiles" ${CC:-gcc} -D_GNU_SOURCE -shared -fPIC "$TMP/fail.c" -o "$TMP/fail.so"
failing() { # "CALL PATTERN" COMMAND...
    fx_fail=$1
    shift
    FAIL=$fx_fail LD_PRELOAD=$TMP/fail.so "$BUILD/faissx-server" "$@" 2>&1
}
snapshot=$(ls "$data"/tenants/one/*.faiss)
said=$(failing "pread $snapshot" backup "$data" "$TMP/fails")
is "a snapshot of the directory cannot be read" $? 1
like "the message names it" "$said" "tenant one: cannot read $snapshot: Input/output error"
rm -rf "$TMP/r"
said=$(failing "pread $target/files/one/*.faiss" restore --tenant one "$target" "$TMP/r")
is "a snapshot of the target cannot be read" $? 1
like "the message names it" "$said" "cannot read $target/files/one/.*\.faiss: Input/output error"

# No backup counts, and no older one is removed, before all is on disk.
target=$TMP/unsynced
ok "a backup" admin backup "$data" "$target"
before=$(ls "$target"/*.json)
for folder in files/one files 20* .; do
    path=$target/$folder
    said=$(failing "fsync ${path%/.}" backup --keep 1 "$data" "$target")
    is "the folder $folder cannot be synced" $? 1
    like "the message names it" "$said" "cannot sync $target.*: Input/output error"
    is "the backup before is kept, and the only one" "$(ls "$target"/*.json)" "$before"
done
rm -rf "$TMP/r"
said=$(failing "fsync $TMP/r/*" restore "$target" "$TMP/r")
is "a folder that is restored cannot be synced" $? 1
is "it is not put in place" "$(ls "$TMP/r")" restoring

# A list of backups that lacks some would let the files of these be removed.
ls -R "$target/files" >"$TMP/before"
for command in "backup --keep 1 $data $target" "verify $target" "restore $target $TMP/none"; do
    # shellcheck disable=SC2086 # several words
    said=$(failing "readdir $target" $command)
    is "the folder's list cannot be read: ${command%% *}" $? 1
    like "the message says so" "$said" "cannot read $target: Input/output error"
done
ls -R "$target/files" | cmp -s - "$TMP/before"
is "no file is removed" $? 0
is "the backup is there" "$(ls "$target"/*.json)" "$before"
mkdir "$TMP/full"
touch "$TMP/full/x"
said=$(failing "readdir $TMP/full" backup "$data" "$TMP/full")
is "a folder of which nobody knows whether it is empty does not become a target" "$? $(ls "$TMP/full")" "1 x"
said=$(failing "readdir $TMP/full" restore "$target" "$TMP/full")
is "nor a data directory" "$? $(ls "$TMP/full")" "1 x"
