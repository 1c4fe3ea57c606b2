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

# gdb makes the engine itself call socket() and open(), if gdb is allowed to.
if command -v gdb >/dev/null && [ "$(id -u)" = 0 ] && [ -z "$SANITIZER_RUNTIME" ]; then
    calls() {
        timeout 60 gdb -batch -nx -p "$engine" "$@" 2>"$TMP/gdb.err" | sed -n 's/^\$[0-9]* = //p'
    }
    got=$(calls -ex 'print (int)socket(2, 1, 0)' -ex 'print (int)socket(1, 1, 0)' \
        -ex 'print (int)open("/etc/passwd", 0)' | tr '\n' ' ')
    if [ -n "$got" ]; then
        is "the engine can neither create a socket nor open a file" "$got" "-1 -1 -1 "
    else
        diag "gdb cannot look into it: $(tail -n 1 "$TMP/gdb.err")"
    fi
fi
like "the engine continues to work" "$(FAISSX_API_KEY=key-a client 'new 0 Flat' 'add 0 100' 'search 0')" ': found '
is "the engine has not died" "$(stat_of pid key-a)" "$engine"
ok "the server stops" stop_server
