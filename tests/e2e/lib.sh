# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# Functions that the end-to-end tests share.  A test starts with
#
#     #!/bin/sh
#     . tests/e2e/lib.sh
#
# and runs in the repository, under tests/run or by hand after `make check-e2e`.
# It has $TMP, a folder of its own.  Whatever it starts through these functions is stopped
# when it ends, however it ends.

set -u
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
STAND_IN=$BUILD/faissx/libfaiss_c.so
FAISS_C=${FAISS_C:-$(packaging/find-faiss.sh)} || exit 1
FAISSX_FAISS_LIBRARY=$FAISS_C
export FAISS_C FAISSX_FAISS_LIBRARY
# A failed allocation returns NULL instead of ending the process, as without a sanitizer.
ASAN_OPTIONS=allocator_may_return_null=1:${ASAN_OPTIONS:-}
TSAN_OPTIONS=suppressions=$PWD/tests/tsan.supp:${TSAN_OPTIONS:-}
export ASAN_OPTIONS TSAN_OPTIONS
unset FAISSX_SERVER FAISSX_API_KEY FAISSX_TENANT_ID FAISSX_PATH_MAP
TMP=$(mktemp -d "${TMPDIR:-/tmp}/faissx-test.XXXXXX")
SERVER= # the endpoint of the server started last, SERVER_PID its process
SERVER_PID=

fx_servers=
fx_count=0
fx_failed=0

# A sanitizer's runtime has to be loaded first in a program that was built without it.
SANITIZER_RUNTIME=
case $BUILD in
*-address) SANITIZER_RUNTIME=$(${CC:-gcc} -print-file-name=libasan.so) ;;
*-thread) SANITIZER_RUNTIME=$(${CC:-gcc} -print-file-name=libtsan.so) ;;
esac

# has NAME: the real library exports the function.
has() {
    if [ ! -f "$TMP/names" ]; then
        nm -D --defined-only "$FAISS_C" | sed -n 's/.* [TW] \(faiss_[A-Za-z0-9_]*\)$/\1/p' >"$TMP/names"
        grep -qx faiss_Index_search "$TMP/names" || bail "nm does not show the functions of $FAISS_C"
    fi
    grep -qx "$1" "$TMP/names"
}

# --- results, as TAP ---

pass() { fx_count=$((fx_count + 1)); echo "ok $fx_count - $1"; }
fail() { fx_count=$((fx_count + 1)); fx_failed=$((fx_failed + 1)); echo "not ok $fx_count - $1"; return 1; }
diag() { printf '%s\n' "$*" | sed 's/^/# /'; }

# ok NAME COMMAND...: the command succeeds.  If it fails, its output is shown.
ok() {
    fx_name=$1
    shift
    if "$@" >"$TMP/ok.out" 2>&1; then pass "$fx_name"; else
        fail "$fx_name (status $?)"
        diag "$*"
        sed 's/^/# /' "$TMP/ok.out"
        return 1
    fi
}

# is NAME GOT WANTED: two strings are equal.
is() {
    if [ "$2" = "$3" ]; then pass "$1"; else
        fail "$1"
        diag "got:    $2"
        diag "wanted: $3"
        return 1
    fi
}

# like NAME TEXT PATTERN: the text has a line that matches the extended regular expression.
like() {
    if printf '%s\n' "$2" | grep -Eq -e "$3"; then pass "$1"; else
        fail "$1"
        diag "got:    $2"
        diag "wanted: /$3/"
        return 1
    fi
}

# same NAME FILE FILE: two files are equal, byte for byte.
same() {
    if cmp "$2" "$3" >"$TMP/ok.out" 2>&1; then pass "$1"; else
        fail "$1"
        sed 's/^/# /' "$TMP/ok.out"
        diff "$2" "$3" | head -n 20 | sed 's/^/# /'
        return 1
    fi
}

# need_index DESCRIPTION: ends the test unless this release of FAISS can make such an index.
need_index() {
    fx_made=$(LD_LIBRARY_PATH=${FAISS_C%/*} "$BUILD/tests/e2e/client" "new 0 $1" 2>&1)
    case $fx_made in
    *ok) ;;
    "new 0 $1: -"*) skip_all "this FAISS cannot make $1" ;;
    *) bail "the client does not work: $fx_made" ;;
    esac
}
skip_all() { echo "1..0 # SKIP $*"; fx_count=skip; exit 0; }
bail() { diag "$*"; fail "$*"; exit 1; }

# --- servers ---

free_port() {
    perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1,
        LocalAddr => "127.0.0.1", LocalPort => 0)->sockport'
}

# accepts ENDPOINT: succeeds if something listens there.
accepts() {
    perl -MIO::Socket::INET -MIO::Socket::UNIX -e '
        my $e = shift;
        exit !($e =~ m{^ipc://(.*)} ? IO::Socket::UNIX->new(Peer => $1)
             : $e =~ m{^tcp://(.*)} ? IO::Socket::INET->new(PeerAddr => $1, Timeout => 1) : 0)' "$1"
}

# start_server [--tcp | --again] [OPTION...]: a server on a socket of its own (ipc, or a
# free TCP port), or on that of the last one, until the end of the test.  Sets SERVER,
# SERVER_PID and SERVER_LOG.
start_server() {
    fx_nservers=$((${fx_nservers:-0} + 1))
    case ${1:-} in
    --tcp)
        shift
        SERVER=tcp://127.0.0.1:$(free_port)
        ;;
    --again) shift ;;
    *) SERVER=ipc://$TMP/server$fx_nservers ;;
    esac
    # In $(...) the count starts again from what it was outside.
    SERVER_LOG=$TMP/server$fx_nservers.log
    [ ! -e "$SERVER_LOG" ] || SERVER_LOG=$(mktemp "$TMP/server$fx_nservers-XXXXXX.log")
    "$BUILD/faissx-server" run --bind "$SERVER" "$@" >"$SERVER_LOG" 2>&1 &
    SERVER_PID=$!
    fx_servers="$fx_servers $SERVER_PID"
    fx_tries=0
    until accepts "$SERVER"; do
        fx_tries=$((fx_tries + 1))
        if [ $fx_tries -gt 200 ] || ! kill -0 "$SERVER_PID" 2>/dev/null; then
            sed 's/^/# /' "$SERVER_LOG"
            bail "faissx-server does not start"
        fi
        sleep 0.05
    done
}

# encrypt: makes the server's keys, and has all clients use CURVE from now on.  The server needs
# --curve-secret-file "$TMP/server.key"; raw, which is libzmq, gets keys of its own.
encrypt() {
    FAISSX_CURVE_SERVER_KEY=$("$BUILD/bin/faissx" keygen --curve "$TMP/server.key") || bail "no keys"
    "$BUILD/bin/faissx" keygen --curve "$TMP/raw.key" >/dev/null || bail "no keys"
    RAW_CURVE="$FAISSX_CURVE_SERVER_KEY $(cat "$TMP/raw.key.pub") $(tail -n 1 "$TMP/raw.key")"
    export FAISSX_CURVE_SERVER_KEY RAW_CURVE
}

# stop_server [PID]: stop it with SIGTERM and return its status.
stop_server() {
    fx_pid=${1:-$SERVER_PID}
    kill "$fx_pid" 2>/dev/null
    wait "$fx_pid"
    fx_status=$?
    fx_servers=$(printf '%s\n' $fx_servers | grep -vx "$fx_pid" | tr '\n' ' ')
    return $fx_status
}

# preloaded COMMAND...: run it with the stand-in preloaded and nothing configured.  A sanitizer's
# report goes to a file of its own: what the program prints may not be looked at.
preloaded() {
    env LD_PRELOAD="${SANITIZER_RUNTIME:+$SANITIZER_RUNTIME }$STAND_IN" \
        ASAN_OPTIONS="detect_leaks=0:log_path=$TMP/sanitizer:${ASAN_OPTIONS:-}" \
        TSAN_OPTIONS="log_path=$TMP/sanitizer:$TSAN_OPTIONS" "$@"
}

# remote COMMAND...: run it with the stand-in preloaded, on $SERVER.  It can load no local FAISS.
remote() {
    preloaded env FAISSX_SERVER="$SERVER" FAISSX_FAISS_LIBRARY=/nonexistent "$@"
}

# --- clients ---

# The client that executes commands (client.c), and the one that sends arbitrary messages (raw.c).
client() { remote "$BUILD/tests/e2e/client" "$@"; }
raw() { "$BUILD/tests/e2e/raw" "$SERVER" "$@"; }

# From a reply that raw printed: the value of a key, and the handle that a function returned.
value() { printf '%s\n' "$2" | sed -n 's/.*"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p'; }
handle() { printf '%s\n' "$1" | sed -n 's/.*"out":\[\[*\([0-9][0-9]*\).*/\1/p'; }

# stat_of NAME [KEY]: a counter of the tenant with that API key.
stat_of() { value "$1" "$(raw '{"operation":"stats","api_key":"'"${2:-}"'"}')"; }

# talk NAME: start a client in the background that takes commands from `tell NAME COMMAND`.
# `hear NAME` waits for its answer to the last command.
talk() {
    mkfifo "$TMP/$1.in"
    client <"$TMP/$1.in" >"$TMP/$1.out" 2>"$TMP/$1.err" &
    eval "PID_$1=$!"
    fx_servers="$fx_servers $!"
    sleep 600 >"$TMP/$1.in" & # keeps it open between the commands
    fx_servers="$fx_servers $!"
}
tell() {
    printf '%s\n' "$2" | tee -a "$TMP/$1.told" >"$TMP/$1.in"
}
hear() {
    fx_line=$(wc -l <"$TMP/$1.told")
    wait_for has_lines "$TMP/$1.out" "$fx_line" || cat "$TMP/$1.err"
    sed -n "${fx_line}p" "$TMP/$1.out" | sed 's/^[^:]*: //'
}
ask() {
    tell "$1" "$2"
    hear "$1"
}
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }

# kill_engine: of the tenant without a key.  raw does not reconnect, so the next one has to be there.
kill_engine() {
    fx_engine=$(stat_of pid)
    kill -9 "$fx_engine"
    wait_for gone "$fx_engine"
    sleep 0.2
    wait_for sh -c '"$1" "$2" "{\"operation\":\"stats\"}" | grep -q pid' - "$BUILD/tests/e2e/raw" "$SERVER"
}

# wait_for COMMAND...: until it succeeds; fails after a long time.
wait_for() {
    fx_tries=0
    until "$@" 2>/dev/null; do
        fx_tries=$((fx_tries + 1))
        [ $fx_tries -lt 400 ] || return 1
        sleep 0.05
    done
}

# Is it still the process that this script started?  Its number may have been given to another.
is_child() {
    fx_parent=
    read -r _ _ _ fx_parent _ 2>/dev/null <"/proc/$1/stat"
    [ "$fx_parent" = $$ ]
}

# Succeeds if the process has ended (it may be a zombie).
# A zombie has gone when its other threads have, too: until then its sockets are open.
gone() {
    ! kill -0 "$1" 2>/dev/null || {
        grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null &&
            [ "$(ls "/proc/$1/task" 2>/dev/null | wc -l)" -le 1 ]
    }
}

# pending N [KEY]: succeeds if the engine has N requests in progress.
pending() { [ "$(value pending "$(raw "{\"operation\":\"stats\"${2:+,\"api_key\":\"$2\"}}")")" = "$1" ]; }

# --- the end ---

fx_end() {
    fx_status=$?
    trap - EXIT
    trap '' PIPE
    for fx_pid in $fx_servers; do
        is_child "$fx_pid" && kill "$fx_pid" 2>/dev/null || continue
        fx_tries=0
        while kill -0 "$fx_pid" 2>/dev/null && [ $fx_tries -lt 100 ]; do
            fx_tries=$((fx_tries + 1))
            sleep 0.05
        done
        kill -9 "$fx_pid" 2>/dev/null
    done
    # A sanitizer's report, in a server's log or of a client, fails the test.
    for fx_log in "$TMP"/server*.log "$TMP"/sanitizer.*; do
        # (An allocation that fails, as it may, is a line of its own.)
        if grep -v 'WARNING: AddressSanitizer failed to allocate' "$fx_log" 2>/dev/null |
            grep -Eq '(ERROR|WARNING): (Address|Leak|Thread)Sanitizer|runtime error:'; then
            fail "$fx_log has a sanitizer's report"
            sed 's/^/# /' "$fx_log"
        fi
    done
    [ -z "${disk:-}" ] || umount "$disk" 2>/dev/null
    rm -rf "$TMP"
    [ "$fx_count" = skip ] && exit "$fx_status"
    echo "1..$fx_count"
    [ "$fx_failed" = 0 ] && [ "$fx_count" -gt 0 ] && [ "$fx_status" = 0 ]
    exit $?
}
trap fx_end EXIT
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM HUP
