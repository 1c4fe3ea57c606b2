#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An index may be unpublished while a change of it is being stored, or waits.
. tests/e2e/lib.sh

start_server --data-dir "$TMP/data"
engine=$(stat_of pid)
store=$TMP/data/tenants/default

# Makes a change that is stored as the state it led to: the whole index is written.  Succeeds if the
# index was unpublished before that ended.
in_time() {
    tell c 'merge 0 1'
    for fx_i in $(seq 50000); do
        set -- "$store"/tmp-*
        [ ! -e "$1" ] || break
    done
    "$BUILD/bin/faissx" rm --server "$SERVER" "$name"
    [ -e "$1" ]
}

# Larger ones take longer to write.
talk c
size=200000
hits=0
while [ $hits -lt 2 ] && [ $size -lt 5000000 ]; do
    name=n$size
    for fx_what in 'new 0 IVF4,Flat' 'learn 0 200' "add 0 $size" 'new 1 IVF4,Flat' 'learn 1 200' \
        'add 1 10' "write 0 faissx://$name"; do
        ask c "$fx_what" >/dev/null
    done
    when=late
    in_time && when="in time" && hits=$((hits + 1))
    is "$size vectors, $when: the change succeeds" "$(hear c)" ok
    is "$size vectors: the index has it" "$(ask c 'total 0')" $((size + 10))
    ask c 'free 0' >/dev/null
    ask c 'free 1' >/dev/null
    [ "$when" = "in time" ] || size=$((size * 3 / 2))
done
ok "it was unpublished while a change was being stored" [ $hits -gt 0 ]
is "no index is published" "$("$BUILD/bin/faissx" list --server "$SERVER")" ""
is "the engine lives" "$(stat_of pid)" "$engine"
ok "no file of an unpublished index is left" \
    wait_for sh -c "! ls '$store' | grep -q 'faiss\|tmp-'"
ok "the server stops" stop_server

# A change waits for another one; meanwhile the index is unpublished, and published under another
# name as the first one has left it.
aside() { remote "$BUILD/tests/torture/aside" "$@"; }
start_server --data-dir "$TMP/again" --library "$BUILD/tests/torture/crashing.so"
aside faissx://x new add 2 >/dev/null
aside faissx://x slow >"$TMP/slow" &
first=$!
wait_for pending 1
aside faissx://x add 3 >"$TMP/second" &
second=$!
aside faissx://x pause pause publish faissx://y >"$TMP/publish" &
publisher=$!
sleep 0.5
ok "an index is unpublished while two changes are under way" "$BUILD/bin/faissx" rm --server "$SERVER" x
wait "$publisher" "$first" "$second"
is "both succeed, and it is published again" "$(cat "$TMP/slow" "$TMP/second" "$TMP/publish")" \
    "$(printf 'slow: ok\nadd: ok\npublish: ok')"
kill -9 "$(stat_of pid)"
is "both are there after a restart" "$(aside faissx://y total)" "total: 6"
ok "the server stops" stop_server

# And while the engine has not noticed yet that the store has done so.  The snapshot gets its name a
# second late, and then whoever waits for the old file to be removed goes on two seconds late.
[ -z "$SANITIZER_RUNTIME" ] || exit 0 # it replaces the same functions
cat >"$TMP/late.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
static int removed; /* files */
static _Thread_local int late, renames;
static int is_index(const char *name)
{
    return strlen(name) > 6 && strcmp(name + strlen(name) - 6, ".faiss") == 0;
}
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    int (*real)(int, const char *, int, const char *, unsigned) = dlsym(RTLD_NEXT, "renameat2");
    if (is_index(to))
        renames = 1, sleep(1);
    return real(from_dir, from, to_dir, to, flags);
}
int unlinkat(int dir, const char *name, int flags)
{
    int (*real)(int, const char *, int) = dlsym(RTLD_NEXT, "unlinkat");
    if (is_index(name))
        __atomic_add_fetch(&removed, 1, __ATOMIC_SEQ_CST);
    return real(dir, name, flags);
}
int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    int (*real)(pthread_cond_t *, pthread_mutex_t *) = dlsym(RTLD_NEXT, "pthread_cond_wait");
    int before = __atomic_load_n(&removed, __ATOMIC_SEQ_CST), rc = real(cond, mutex);
    late = !renames && before != __atomic_load_n(&removed, __ATOMIC_SEQ_CST);
    renames = 0;
    return rc;
}
int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    int (*real)(pthread_mutex_t *) = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    int rc = real(mutex);
    if (late)
        late = 0, sleep(2);
    return rc;
}
END
ok "the library that comes late compiles" ${CC:-gcc} -shared -fPIC "$TMP/late.c" -o "$TMP/late.so"
LD_PRELOAD=$TMP/late.so
export LD_PRELOAD
start_server --data-dir "$TMP/late"
unset LD_PRELOAD
talk d
for fx_what in 'new 0 IVF4,Flat' 'learn 0 200' 'add 0 100' 'write 0 faissx://late'; do
    ask d "$fx_what" >/dev/null
done
tell d 'learn 0 200'
sleep 0.3
ok "it is unpublished while it is trained" "$BUILD/bin/faissx" rm --server "$SERVER" late
is "the training succeeds" "$(hear d)" ok
is "the handle is that of the index" "$(ask d 'total 0')" 100
ask d 'write 0 faissx://later' >/dev/null
"$BUILD/bin/faissx" rm --server "$SERVER" later &
remover=$!
wait_for sh -c "! ls '$TMP/late/tenants/default' | grep -q 'faiss'"
is "vectors are added while the engine has not noticed" "$(ask d 'add 0 10'; ask d 'total 0')" "$(printf 'ok\n110')"
ok "it is unpublished then" wait "$remover"
ok "the server stops" stop_server
