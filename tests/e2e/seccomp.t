#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An engine runs FAISS on data from clients.  If one of them takes it over, it can still not create
# sockets, connect, open files or start programs.
. tests/e2e/lib.sh

(umask 077 && echo '{"key-a": "alpha"}' >"$TMP/keys")
start_server --tcp --auth-file "$TMP/keys"
like "an engine works" "$(FAISSX_API_KEY=key-a client 'new 0 Flat' 'add 0 100' 'search 0')" ': found '
engine=$(stat_of pid key-a)
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$2/status"; }

# --- what holds on every kernel ---

is "an engine is not the front" "$([ "$engine" != "$SERVER_PID" ] && echo yes)" yes
is "it cannot gain privileges" "$(status NoNewPrivs "$engine")" 1
# Its descriptors: none of a listening socket, and none of the front's.
sockets() { ls -l "/proc/$1/fd" | sed -n 's/.*socket:\[\([0-9]*\)\]/\1/p' | sort; }
# The inodes of sockets that listen: state 0A of TCP, and the flag 00010000 of Unix sockets.
listening() {
    for fx_file in tcp tcp6; do
        [ ! -r "/proc/net/$fx_file" ] || awk '$4 == "0A" { print $10 }' "/proc/net/$fx_file"
    done
    awk '$4 == "00010000" { print $7 }' /proc/net/unix
}
listening | sort -u >"$TMP/listening"
sockets "$SERVER_PID" >"$TMP/front"
sockets "$engine" >"$TMP/engine"
is "the front listens, on TCP and on a local socket" \
    "$(comm -12 "$TMP/listening" "$TMP/front" | wc -l | tr -d ' ')" 2
is "the engine listens on nothing" "$(comm -12 "$TMP/listening" "$TMP/engine")" ""
is "the engine has no socket of the front" "$(comm -12 "$TMP/front" "$TMP/engine")" ""
if command -v ss >/dev/null; then
    is "ss lists no socket of the engine" "$(ss -Hlxtnp 2>/dev/null | grep "pid=$engine,")" ""
fi
like "the engine has started no program" "$(cat "/proc/$engine/task/"*/children 2>/dev/null)" '^$'

# --- what the kernel has to offer ---

if grep -q ' errno ' /proc/sys/kernel/seccomp/actions_avail 2>/dev/null; then
    is "the engine's system calls are filtered" "$(status Seccomp "$engine")" 2
    for task in "/proc/$engine/task/"*; do
        status Seccomp "$engine/task/${task##*/}"
    done | sort -u >"$TMP/threads"
    is "the system calls of all its threads are filtered" "$(cat "$TMP/threads")" 2
else
    like "without seccomp there is a line in the log" "$(cat "$SERVER_LOG")" 'event=sandbox.*seccomp'
fi
is "the front's system calls are not filtered: it starts engines" "$(status Seccomp "$SERVER_PID")" "$(status Seccomp $$)"

# --- what a program in its place gets ---

# A library that is FAISS, but for a vector that begins with MAGIC: the error says how each call ended.
cat >"$TMP/calls.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "faiss_c_compat.h"
#define CALL(name, ...) tell(#name, syscall(SYS_##name, ##__VA_ARGS__))
enum { MAGIC = 7654399 };
static char text[8000];
static void tell(const char *name, long rc)
{
    size_t n = strlen(text);
    const char *how = rc >= 0           ? "done"
                      : errno == EPERM  ? "EPERM"
                      : errno == EACCES ? "EACCES"
                                        : "other";
    snprintf(text + n, sizeof text - n, "%s=%s ", name, how);
}
static void call_all(void)
{
    char paths[4000];
    snprintf(paths, sizeof paths, "%s", getenv("CALLS_OPEN"));
    text[0] = '\0';
    CALL(socket, 1, 1, 0);
    CALL(socketpair, 1, 1, 0, (int[2]){0});
    CALL(connect, -1, NULL, 0);
    CALL(bind, -1, NULL, 0);
    CALL(listen, -1, 0);
    CALL(accept, -1, NULL, NULL);
    CALL(accept4, -1, NULL, NULL, 0);
    CALL(io_uring_setup, 0, NULL);
    CALL(process_vm_readv, getpid(), NULL, 0, NULL, 0, 0);
    CALL(process_vm_writev, getpid(), NULL, 0, NULL, 0, 0);
    CALL(process_madvise, -1, NULL, 0, 0, 0);
    CALL(pidfd_getfd, -1, 0, 0);
    CALL(kcmp, getpid(), getpid(), 0, 0, 0);
    CALL(perf_event_open, NULL, 0, 0, -1, 0);
    CALL(prlimit64, getppid(), 7, NULL, NULL);
    CALL(kill, getppid(), 0);
    CALL(ptrace, 1, -1, NULL, NULL);
    CALL(execve, "", NULL, NULL);
    CALL(execveat, -1, "", NULL, NULL, 0);
    for (char *at = paths, *path; (path = strsep(&at, ":"));)
        tell(path, open(path, O_RDONLY | O_CLOEXEC));
}
int faiss_Index_add(FaissIndex *index, idx_t n, const float *x)
{
    __typeof__(&faiss_Index_add) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "faiss_Index_add");
    if (x[0] != MAGIC)
        return real(index, n, x);
    call_all();
    return -2;
}
const char *faiss_get_last_error(void)
{
    __typeof__(&faiss_get_last_error) real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "faiss_get_last_error");
    return *text ? text : real();
}
END
if [ -z "$SANITIZER_RUNTIME" ]; then # their reports need some of these
    stop_server
    ok "the library that makes the calls compiles" ${CC:-gcc} -I. -shared -fPIC "$TMP/calls.c" -o "$TMP/calls.so" \
        -Wl,--no-as-needed "$FAISS_C" -Wl,-rpath,"$(dirname "$FAISS_C")" -ldl
    (umask 077 && echo '{"key-a": "alpha", "key-b": "beta"}' >"$TMP/keys")
    data=$TMP/data
    own=$data/tenants/alpha/store.db
    others="/etc/passwd:$TMP/keys:$data/lock:$data/tenants/beta/store.db"
    export CALLS_OPEN="$own:$others"
    start_server --auth-file "$TMP/keys" --library "$TMP/calls.so" --data-dir "$data"
    FAISSX_API_KEY=key-b client 'new 0 Flat' 'write 0 faissx://theirs' >/dev/null
    engine=$(stat_of pid key-a)
    RAW_KEY=key-a
    export RAW_KEY
    session=$(value session "$(raw '{"operation":"hello","protocol":1,"api_key":"key-a"}')")
    index=$(handle "$(raw '{"operation":"faiss_index_factory","session":"'"$session"'","args":[true,2,"Flat",1]}')")
    said=$(raw '{"operation":"faiss_Index_add","session":"'"$session"'","args":['"$index"',1,0],"_frames":["f32 7654399 0"]}')
    unset RAW_KEY
    ended() { printf '%s\n' "$said" | sed -n "s|.*[ \"]$1=\\([A-Za-z]*\\) .*|\\1|p"; }
    if grep -q 'event=sandbox sockets=none' "$SERVER_LOG"; then
        for call in socket socketpair connect bind listen accept accept4 io_uring_setup process_vm_readv \
            process_vm_writev process_madvise pidfd_getfd kcmp perf_event_open prlimit64 ptrace execve \
            execveat; do
            is "an engine may not call $call" "$(ended $call)" EPERM
        done
    fi
    if grep -q 'event=sandbox files=.* signals=own' "$SERVER_LOG"; then
        is "an engine may not send a signal to the front" "$(ended kill)" EPERM
    fi
    is "it may open its own store" "$(ended "$own")" done || diag "$said"
    if grep -q 'event=sandbox files=/' "$SERVER_LOG"; then
        for file in $(echo "$others" | tr : ' '); do
            ok "there is ${file#"$TMP/"}" [ -e "$file" ]
            is "it may not open ${file#"$TMP/"}" "$(ended "$file")" EACCES
        done
    fi
fi
like "the engine continues to work" "$(FAISSX_API_KEY=key-a client 'new 0 Flat' 'add 0 100' 'search 0')" ': found '
is "the engine has not died" "$(stat_of pid key-a)" "$engine"
ok "the server stops" stop_server
