#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make demo: FAISS's own example program, compiled once, run in process, through the
# shim with nothing configured, and on a server; then compares the three runs.
# Leaves nothing running, and no files outside build/.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD

bold='' dim='' green='' red='' plain=''
if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
line() { printf '  %-10s %s\n' "$1" "$2"; }
command_line() { printf '  %s$ %s%s\n' "$dim" "$*" "$plain"; }
die() { printf '%sdemo: %s%s\n' "$red" "$*" "$plain" >&2; exit 1; }

server_pid=
work=$(mktemp -d "${TMPDIR:-/tmp}/faissx-demo.XXXXXX")
finish() {
    local status=$?
    trap - EXIT
    stop_server
    rm -rf "$work"
    exit "$status"
}
stop_server() {
    [ -n "$server_pid" ] || return 0
    kill "$server_pid" 2>/dev/null || :
    for _ in {1..100}; do
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.05
    done
    kill -9 "$server_pid" 2>/dev/null || :
    wait "$server_pid" 2>/dev/null || :
    server_pid=
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- what is needed ---

packaging/deps.sh build demo
faiss=$(packaging/find-faiss.sh)
source=$(packaging/engine.sh source)
title "Building"
make -s --no-print-directory -j"$(nproc)" all

stand_in=$top/build/faissx/libfaiss_c.so
gcc -w -O2 -I"$source" -I"$source/c_api" "$source/c_api/example_c.c" -o "$work/example_c" \
    "$faiss" -Wl,-rpath,"$(dirname "$faiss")"

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port=45678
while ! port_is_free $port; do port=$((port + 1)); done
endpoint=tcp://127.0.0.1:$port

title "FAISS's own example, compiled once"
line example "c_api/example_c.c of $(basename "$source"): 100,000 vectors, 10,000 searches"
line FAISS "$faiss"

# run NAME VARIABLE=VALUE...: one run of the example in a folder of its own.  Its clock
# stands still, because it makes its data from the time; clocks that measure durations run.
seconds=
run() {
    local name=$1 start
    shift
    mkdir "$work/$name"
    start=$(date +%s%N)
    (cd "$work/$name" && FAKETIME_DONT_FAKE_MONOTONIC=1 LD_DEBUG_OUTPUT=$work/$name/loader \
        env "$@" faketime -f '2026-01-01 00:00:00' env LD_DEBUG=files ../example_c >out 2>err) ||
        { cat "$work/$name/err" >&2; die "the example failed"; }
    seconds=$(awk -v ns=$(($(date +%s%N) - start)) 'BEGIN { printf "%.1f s", ns / 1e9 }')
}

# The libraries that a run of the example loaded, by any means.
loaded() {
    local f
    for f in "$work/$1"/loader.*; do
        if grep -q 'initialize program: .*/example_c$' "$f"; then
            sed -n 's/.*calling init: *//p' "$f"
        fi
    done
}

title "1. In process, without FAISSx"
command_line ./example_c
run direct -u FAISSX_SERVER
line took "$seconds"

title "2. With the shim, nothing configured"
command_line LD_PRELOAD=build/faissx/libfaiss_c.so ./example_c
run local -u FAISSX_SERVER LD_PRELOAD="$stand_in" FAISSX_FAISS_LIBRARY="$faiss"
line took "$seconds"

title "3. On a server"
command_line build/faissx-server run --bind "$endpoint" '&'
FAISSX_FAISS_LIBRARY=$faiss build/faissx-server run --bind "$endpoint" >"$work/server.log" 2>&1 &
server_pid=$!
for _ in {1..200}; do
    build/bin/faissx health --server "$endpoint" >/dev/null 2>&1 && break
    kill -0 $server_pid 2>/dev/null || { cat "$work/server.log" >&2; die "the server did not start"; }
    sleep 0.05
done
command_line FAISSX_SERVER="$endpoint" LD_PRELOAD=build/faissx/libfaiss_c.so ./example_c
run remote FAISSX_SERVER="$endpoint" LD_PRELOAD="$stand_in" FAISSX_FAISS_LIBRARY=/nonexistent
line took "$seconds"
build/bin/faissx stats --server "$endpoint" >"$work/stats" || die "the server does not answer"

# --- what came out ---

title "What each of them printed"
sed 's/^/  /' "$work/remote/out"

failed=0
verdict() { # NAME TEXT COMMAND...
    local name=$1 text=$2
    shift 2
    if "$@" >/dev/null 2>&1; then
        printf '  %-10s %s%s%s\n' "$name" "$green" "$text" "$plain"
    else
        printf '  %-10s %sno: %s%s\n' "$name" "$red" "$text" "$plain"
        failed=1
    fi
}
all_same() { cmp "$work/direct/$1" "$work/local/$1" && cmp "$work/direct/$1" "$work/remote/$1"; }
no_faiss() { [ -n "$(loaded remote)" ] && ! loaded remote | grep -vFx "$stand_in" | grep -E 'libfaiss|blas|gomp'; }
calls() { awk '$1 == "operation" { printf "%s%s %s", (n++ ? ", " : ""), $2, $3 }' "$work/stats"; }
did_work() { grep -Eq 'faiss_Index_search +[1-9]' "$work/stats"; }

title "Compared"
verdict printed "the same three times, to the last digit ($(wc -l <"$work/direct/out") lines)" all_same out
verdict saved "the same example.index three times ($(stat -c %s "$work/direct/example.index") bytes)" \
    all_same example.index
verdict server "did the work: $(calls)" did_work
verdict process "of the third run: no FAISS, no BLAS, only $(loaded remote | sed 's|.*/||' | sort -u | tr '\n' ' ')" no_faiss
[ $failed = 0 ] || { cat "$work/stats" "$work/server.log" >&2; die "the three runs differ"; }

title "The same with your own program"
cat <<END
  On the machine that has FAISS:

      FAISSX_FAISS_LIBRARY=$faiss \\
          $top/build/faissx-server run

  and wherever your program runs (ssh -N -L 45678:127.0.0.1:45678 HOST leads there):

      $top/build/bin/faissx run your-program

  That is short for

      FAISSX_SERVER=tcp://127.0.0.1:45678 LD_PRELOAD=$stand_in \\
          LD_LIBRARY_PATH=$top/build/faissx your-program
END
