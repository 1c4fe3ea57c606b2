#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Processes of all kinds: with many threads, that fork, that are killed, and that load the library
# in other ways than by linking.
. tests/e2e/lib.sh

e2e=$BUILD/tests/e2e
start_server --lease 1

# --- threads ---

is "64 threads find what one thread finds" "$(remote "$e2e/threads")" ok

# --- fork ---

# The order of lines is fixed only within each process: sort them by process.
[ -z "$SANITIZER_RUNTIME" ] || export FORK_WITHOUT_THREADS=1
remote "$e2e/fork" | sort -s -t : -k 1,1 >"$TMP/remote.fork"
cat >"$TMP/wanted.fork" <<'END'
child after use: sees 30
child after use: found 7
child after use: made 40
child after use: found 39
child after use: its child ended with 0
child before use: made 10
child before use: found 9
grandchild: made 50
grandchild: found 49
parent: made 20
parent: found 19
parent: its child ended with 0
parent: its child ended with 0
parent: still has 30
parent: and 5
parent: still has 30
parent that adds: children that did not end well 0
END
[ -z "$SANITIZER_RUNTIME" ] && for i in 1 2 3 4 5 6 7 8 9 10; do
    echo "parent with threads: its child ended with 0" >>"$TMP/wanted.fork"
done
same "parent and child work after fork()" "$TMP/remote.fork" "$TMP/wanted.fork"

# A library that takes a second to load; the child is forked meanwhile.
cat >"$TMP/slow.c" <<'END'
#include <unistd.h>
__attribute__((constructor)) static void slow(void) { sleep(1); }
END
cat >"$TMP/early.c" <<'END'
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "faiss_c_compat.h"

static void *use(void *arg)
{
    FaissIndex *index = NULL;
    *(int *)arg = faiss_index_factory(&index, 4, "Flat", METRIC_L2);
    return NULL;
}

int main(void)
{
    pthread_t t;
    int rc = -1, status = -1;
    pthread_create(&t, NULL, use, &rc);
    usleep(300000);
    if (fork() == 0) {
        alarm(20);
        use(&rc);
        if (fork() == 0) {
            use(&rc);
            _exit(rc ? 1 : 0);
        }
        wait(&status);
        _exit(rc || status ? 1 : 0);
    }
    wait(&status);
    pthread_join(t, NULL);
    printf("%d %d\n", rc, status);
}
END
if [ -z "$SANITIZER_RUNTIME" ]; then
    ok "a library that loads slowly" ${CC:-gcc} -shared -fPIC "$TMP/slow.c" -o "$TMP/slow.so" \
        -Wl,--no-as-needed "$FAISS_C" -Wl,-rpath,"$(dirname "$FAISS_C")"
    ok "and a program that forks compile" ${CC:-gcc} -std=gnu11 -I. "$TMP/early.c" -o "$TMP/early" \
        -L"$BUILD" -lfaissx_c -Wl,-rpath,"$BUILD" -Wl,--allow-shlib-undefined
    is "a child that was forked while FAISS was loaded uses it" \
        "$(FAISSX_FAISS_LIBRARY="$TMP/slow.so" "$TMP/early")" "0 0"
fi

# FAISS's errors alternate between two addresses; the shim's own error came between them.
cat >"$TMP/errors.c" <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include "faiss_c_compat.h"

int main(void)
{
    int (*gpus)(int *) = NULL; /* not in this FAISS */
    FaissIndex *index = NULL;
    int n, wrong = 0;
    *(void **)&gpus = dlsym(RTLD_DEFAULT, "faiss_get_num_gpus");
    for (int i = 0; i < 50; i++) {
        faiss_index_factory(&index, 4, "Nonsense", METRIC_L2);
        if (i % 10 == 0)
            wrong += gpus(&n) == 0 || !strstr(faiss_get_last_error(), "faiss_get_num_gpus");
        else
            wrong += !strstr(faiss_get_last_error(), "Nonsense");
    }
    printf("%d\n", wrong);
    return 0;
}
END
ok "a program that makes errors compiles" ${CC:-gcc} -D_GNU_SOURCE -std=gnu11 -I. "$TMP/errors.c" -o "$TMP/errors" \
    "$FAISS_C" -Wl,-rpath,"$(dirname "$FAISS_C")"
is "each error has its own text" "$(preloaded env FAISSX_FAISS_LIBRARY="$FAISS_C" "$TMP/errors")" 0

# --- clients that do not end normally ---

objects() { [ "$(stat_of objects)" = "$1" ]; }
ok "clients that ended leave no objects" wait_for objects 0
talk a
ask a 'new 0 Flat' >/dev/null
ask a 'new 1 IVF4,Flat' >/dev/null
talk b
ask b 'new 0 Flat' >/dev/null
is "the objects of running clients are counted" "$(stat_of objects)" 3
tell a abort
ok "a killed client's objects are freed after its lease" wait_for objects 1
is "a killed client's session ends after its lease" "$(stat_of sessions)" 1
sleep 3
is "a silent client keeps its objects" "$(ask b 'add 0 5'; ask b 'total 0')" "ok
5"
# A stopped client cannot answer, but its connection is open.
stopped=$(pgrep -P "$PID_b" || echo "$PID_b") # not the shell that started it
kill -STOP "$stopped"
sleep 3
is "it is stopped" "$(sed -n 's/^State:[[:space:]]*\([A-Za-z]\).*/\1/p' "/proc/$stopped/status") $(cat "/proc/$stopped/comm")" "T client"
kill -CONT "$stopped"
is "a stopped client keeps its objects" "$(ask b 'total 0')" 5

# --- ways to load the library ---

libraries() { client 'maps faiss' 'maps blas' 'maps libgomp'; }
# The preloaded library replaces libfaiss_c.so, not a variant of another name.
if [ "$(basename "$FAISS_C")" = libfaiss_c.so ]; then
    is "a client maps the stand-in and no FAISS" "$(libraries)" "maps faiss: $STAND_IN .
maps blas: .
maps libgomp: ."
fi

wanted="2
-2 1"
by_name() { env LD_LIBRARY_PATH="$BUILD/faissx" ${SANITIZER_RUNTIME:+LD_PRELOAD=$SANITIZER_RUNTIME} \
    ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" FAISSX_SERVER="$SERVER" \
    FAISSX_FAISS_LIBRARY=/nonexistent "$@"; }
# Built here, so that only dlopen asks for the library.
ok "a program that is not linked with FAISS compiles" ${CC:-gcc} -std=gnu11 -O2 tests/e2e/dl.c -o "$TMP/dl" -ldl
is "dlopen by name, remote" "$(by_name "$TMP/dl")" "$wanted"
# (A sanitizer that was there before the C++ library cannot see its exceptions.)
if [ -z "$SANITIZER_RUNTIME" ]; then
    is "dlopen by name, local" \
        "$(by_name env -u FAISSX_SERVER FAISSX_FAISS_LIBRARY="$FAISS_C" "$TMP/dl")" "$wanted"
fi
is "a linked program is redirected by LD_LIBRARY_PATH" "$(by_name "$e2e/client" 'new 0 Flat' 'add 0 3' 'total 0')" \
    "new 0 Flat: ok
add 0 3: ok
total 0: 3"

cat >"$TMP/program.py" <<'END'
import ctypes
lib = ctypes.CDLL("libfaiss_c.so")
lib.faiss_Index_ntotal.restype = ctypes.c_int64
lib.faiss_get_last_error.restype = ctypes.c_char_p
index, bad = ctypes.c_void_p(), ctypes.c_void_p()
x = (ctypes.c_float * 8)(*range(8))
assert lib.faiss_index_factory(ctypes.byref(index), 4, b"Flat", 1) == 0, lib.faiss_get_last_error()
assert lib.faiss_Index_add(index, ctypes.c_int64(2), x) == 0
print(lib.faiss_Index_ntotal(index))
lib.faiss_Index_free(index)
rc = lib.faiss_index_factory(ctypes.byref(bad), 4, b"Nonsense", 1)
print(rc, int(b"Nonsense" in lib.faiss_get_last_error()))
END
if command -v python3 >/dev/null; then
    is "a Python program" "$(by_name python3 "$TMP/program.py")" "$wanted"
fi

ok "compiles with all symbols bound at start" ${CC:-gcc} -D_GNU_SOURCE -std=gnu11 -O2 -I. \
    tests/e2e/client.c -o "$TMP/now" "$FAISS_C" -Wl,-z,now -Wl,-rpath,"$(dirname "$FAISS_C")"
is "it runs on the server" "$(remote "$TMP/now" 'new 0 Flat' 'add 0 3' 'total 0')" "new 0 Flat: ok
add 0 3: ok
total 0: 3"
ok "compiles against the stand-in itself" ${CC:-gcc} -D_GNU_SOURCE -std=gnu11 -O2 -I. \
    tests/e2e/client.c -o "$TMP/linked" -L"$BUILD" -lfaissx_c -Wl,-rpath,"$BUILD" \
    -Wl,--allow-shlib-undefined
is "it runs on the server" "$(LD_PRELOAD=$SANITIZER_RUNTIME ASAN_OPTIONS="detect_leaks=0" FAISSX_SERVER=$SERVER \
    FAISSX_FAISS_LIBRARY=/nonexistent "$TMP/linked" 'new 0 Flat' 'add 0 3' 'total 0')" "new 0 Flat: ok
add 0 3: ok
total 0: 3"
ok "the server stops" stop_server
