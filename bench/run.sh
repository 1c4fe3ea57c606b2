#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run the benchmarks: bench/run.sh [--full] [NAME...].  Each measures what it compares
# in turns (see bench.h) and leaves a table in build/bench/NAME.csv; summary.tsv has
# the ratios.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
OUT=$BUILD/bench
FAISS_C=${FAISS_C:-$(packaging/find-faiss.sh)} || exit 1
export FAISS_C FAISSX_FAISS_LIBRARY=$FAISS_C
unset FAISSX_SERVER FAISSX_API_KEY FAISSX_TENANT_ID FAISSX_PATH_MAP OMP_NUM_THREADS
TMP=$(mktemp -d "${TMPDIR:-/tmp}/faissx-bench.XXXXXX") || exit 1
FULL=
CLIENT=$OUT/client
ANSWER=${ANSWER:-600} # seconds that a turn may take

note() { printf '# %s\n' "$*" >&2; }
bail() { note "$*"; exit 1; }

# --- what is started, and ended -----------------------------------------------------

started=

at_end() {
    trap - EXIT
    stop_workers
    for pid in $started; do kill -CONT "$pid" 2>/dev/null; kill "$pid" 2>/dev/null; done
    wait
    rm -rf "$TMP"
}
trap at_end EXIT
trap 'exit 130' INT TERM HUP

# start_server [OPTION...]: sets SERVER_PID, and TCP and IPC, its endpoints.
start_server() {
    local tries=0
    IPC=ipc://$TMP/server
    rm -f "$TMP/server" "$TMP/server.log"
    touch "$TMP/server.log"
    "$BUILD/faissx-server" run --bind "$IPC" --bind 'tcp://127.0.0.1:*' "$@" >"$TMP/server.log" 2>&1 &
    SERVER_PID=$!
    started="$started $SERVER_PID"
    until TCP=$(sed -n 's/.*endpoint=\(tcp:.*\)/\1/p' "$TMP/server.log") && [ -n "$TCP" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then cat "$TMP/server.log" >&2; bail "faissx-server does not start"; fi
        sleep 0.05
    done
}

stop_server() {
    stop_workers
    kill "$SERVER_PID"
    wait "$SERVER_PID"
    started=${started/ $SERVER_PID/}
}

# --- workers ------------------------------------------------------------------------

declare -A to from pids
order=

# worker NAME COMMAND...: start it and wait until it is ready.
worker() {
    local name=$1 in out
    shift
    mkfifo "$TMP/$name.in" "$TMP/$name.out"
    "$@" <"$TMP/$name.in" >"$TMP/$name.out" &
    pids[$name]=$!
    exec {in}>"$TMP/$name.in" {out}<"$TMP/$name.out"
    rm "$TMP/$name.in" "$TMP/$name.out"
    to[$name]=$in from[$name]=$out
    order="$order $name"
    answer "$name" /dev/null
}

in_process() { worker "$1" "$CLIENT" "${@:2}"; }

# remote NAME ENDPOINT ARGUMENT...: the client on the server.
remote() {
    worker "$1" env LD_PRELOAD="$BUILD/faissx/libfaiss_c.so" FAISSX_SERVER="$2" \
        FAISSX_FAISS_LIBRARY=/nonexistent "$CLIENT" "${@:3}" -p "$SERVER_PID"
}

# answer NAME FILE: what a worker prints, up to its ".", goes to the end of the file.
answer() {
    local line
    while read -r -t "$ANSWER" -u "${from[$1]}" line; do
        [ "$line" = . ] && return
        printf '%s\t%s\t%s\t%s\n' "$ROUND" "$1" "${line%%$'\t'*}" "${line#*$'\t'}" >>"$2"
    done
    bail "$BENCH: $1 does not answer"
}

# one NAME: its turn.
one() {
    echo >&"${to[$1]}"
    answer "$1" "$RAW"
}

# turns N: so many rounds, in which each worker has one turn.
turns() {
    local i name
    for ((i = 0; i < $1; i++)); do
        ROUND=$((ROUND + 1))
        for name in $order; do one "$name"; done
    done
}

stop_workers() {
    local name in out
    for name in $order; do
        in=${to[$name]} out=${from[$name]}
        echo q >&"$in" # workers started later have this pipe, too: it does not end
        wait "${pids[$name]}"
        exec {in}>&- {out}<&-
    done
    order=
}

# begin NAME: what is measured from now on is in build/bench/NAME.tsv.
begin() {
    BENCH=$1 RAW=$OUT/$1.tsv ROUND=0
    : >"$RAW"
    note "$1"
}

# index KEY VECTORS: sets INDEX, the file of such an index, which is kept.
index() {
    INDEX=$OUT/$1-$2.index
    if [ ! -f "$INDEX" ] || [ "$CLIENT" -nt "$INDEX" ]; then
        note "building $1, $2 vectors"
        "$CLIENT" build -k "$1" -v "$2" -i "$INDEX.new" >"$INDEX.txt" || bail "cannot build $1"
        mv "$INDEX.new" "$INDEX"
    fi
}

# rounds QUICK FULL: how many.
rounds() { if [ -n "$FULL" ]; then echo "$2"; else echo "$1"; fi; }

# --- the benchmarks -----------------------------------------------------------------

# Instructions, counted by valgrind: N and 2N calls, directly and through the shim.
bench_local() {
    local n=20000 way preload i
    begin local
    command -v valgrind >/dev/null || { note "no valgrind"; return; }
    for way in direct shim; do
        preload=
        [ $way = shim ] && preload=$BUILD/faissx/libfaiss_c.so
        for i in 1 2; do
            OMP_NUM_THREADS=1 LD_PRELOAD=$preload valgrind --tool=callgrind \
                --callgrind-out-file=/dev/null "$CLIENT" calls -n $((n * i)) 2>&1 >/dev/null |
                awk -v way=$way -v i=$i -v n=$n \
                    '/Collected/ { printf "%d\t%s\tinstructions\t%.3f\n", i, way, $NF / n }' >>"$RAW"
        done
    done
}

# One query at a time.
bench_query() {
    begin query
    index Flat 10000
    start_server
    in_process local search -i "$INDEX" -n 100
    remote tcp "$TCP" search -i "$INDEX" -n 100
    remote ipc "$IPC" search -i "$INDEX" -n 100
    worker echo "$OUT/transport" -n 200
    turns "$(rounds 60 400)"
    stop_server
}

# A thousand queries in one call.
bench_batch() {
    local key
    for key in Flat IVF1024,Flat; do
        begin "batch-${key%%,*}"
        index $key 100000
        start_server
        in_process local search -i "$INDEX" -q 1000 -n "$(rounds 2 4)"
        remote tcp "$TCP" search -i "$INDEX" -q 1000 -n "$(rounds 2 4)"
        remote ipc "$IPC" search -i "$INDEX" -q 1000 -n "$(rounds 2 4)"
        turns "$(rounds 7 25)"
        stop_server
    done
}

all="local query batch"
names=
for arg; do
    case $arg in
    --full) FULL=1 ;;
    *) names="$names $arg" ;;
    esac
done
for name in ${names:-$all}; do
    "bench_$name"
done

awk -f bench/summary.awk $(ls "$OUT"/*.tsv | grep -v summary) >"$OUT/summary.new"
mv "$OUT/summary.new" "$OUT/summary.tsv"
awk -F '\t' 'BEGIN { f = "%-26s %10s  %-8s %-4s %s\n"; printf f, "", "value", "target", "met", "quartiles" }
    { printf f, $1, $2, $3, $4, $5 == "" ? "" : "[" $5 " " $6 "]" }' "$OUT/summary.tsv"
