# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Functions for the benchmarks: servers, the programs that measure (workers, see bench.h) and
# their turns.  Sourced by bench/run.sh, which sets BUILD, OUT, TMP and CLIENT.

note() { printf '# %s\n' "$*" >&2; }
bail() { note "$*"; exit 1; }

# --- what is started, and ended -----------------------------------------------------

started= servers=0

at_end() {
    trap - EXIT
    RAW=
    stop_workers
    for pid in $started; do kill -CONT "$pid" 2>/dev/null; kill "$pid" 2>/dev/null; done
    wait
    remove_hosts
    rm -rf "$TMP"
}
trap at_end EXIT
trap 'exit 130' INT TERM HUP
trap : PIPE # a worker that has died does not read

# start_server [OPTION...]: on the server's host.  Sets SERVER_PID, and the endpoints: TCP and
# IPC for clients of the same host, FAR for those of the other one.  PIN may be a command that
# runs the server, such as taskset.
start_server() {
    local tries=0 log
    servers=$((servers + 1))
    log=$TMP/server$servers.log
    IPC=ipc://$TMP/server$servers
    : >"$log"
    # shellcheck disable=SC2086 # PIN is a command and its arguments
    "${SERVER_HOST[@]}" ${PIN:-} "$BUILD/faissx-server" run --bind "$IPC" --bind 'tcp://127.0.0.1:*' \
        ${SERVER_ADDRESS:+--bind "tcp://$SERVER_ADDRESS:*"} "$@" >"$log" 2>&1 &
    SERVER_PID=$!
    started="$started $SERVER_PID"
    until TCP=$(endpoint "$log" 127.0.0.1) && [ -n "$TCP" ] &&
        FAR=$(endpoint "$log" "${SERVER_ADDRESS:-127.0.0.1}") && [ -n "$FAR" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then cat "$log" >&2; bail "faissx-server does not start"; fi
        sleep 0.05
    done
}

endpoint() { sed -n "s|.*event=listening endpoint=\(tcp://$2:[0-9]*\).*|\1|p" "$1"; }

# stop_server [PID]: the workers, too.
stop_server() {
    local pid=${1:-$SERVER_PID}
    stop_workers
    kill "$pid"
    wait "$pid"
    started=${started/ $pid/}
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

# The environment that redirects a program to the server FAISSX_SERVER.
STAND_IN=(env LD_PRELOAD="$BUILD/faissx/libfaiss_c.so" FAISSX_FAISS_LIBRARY=/nonexistent)

# remote NAME ENDPOINT ARGUMENT...: the client, on the server's host.
remote() {
    worker "$1" "${SERVER_HOST[@]}" "${STAND_IN[@]}" FAISSX_SERVER="$2" "$CLIENT" "${@:3}" -p "$SERVER_PID"
}

# elsewhere NAME ARGUMENT...: the same on the other host, if there is one.  NAME has to begin
# with "elsewhere": by_network looks for that.  FIRST may be a command that runs it.
elsewhere() {
    # shellcheck disable=SC2086
    [ -z "$NETNS" ] ||
        worker "$1" ${FIRST:-} "${OTHER_HOST[@]}" "${STAND_IN[@]}" FAISSX_SERVER="$FAR" "$CLIENT" "${@:2}" -p "$SERVER_PID"
}

# Checks that the queries of clients on the other host crossed the network.  Each takes 512 bytes,
# which nothing else can have sent, because the workers take turns.
by_network() {
    awk -F '\t' '$2 ~ /^elsewhere/ && $3 == "network" && $4 < 512 { print $2 ": " $4; exit 1 }' "$RAW" ||
        bail "$BENCH: these bytes for each call crossed the network; the client found another way to the server"
}

# need_other_host: fails, with a message, if there is none.
need_other_host() {
    [ -n "$NETNS" ] || { note "$BENCH is left out: there is no second host"; return 1; }
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

# one NAME: gives it one turn.
one() {
    echo >&"${to[$1]}"
    answer "$1" "$RAW"
}

# turns N: N rounds, in each of which every worker has one turn.
turns() {
    local name
    for ROUND in $(seq $((ROUND + 1)) $((ROUND + $1))); do
        for name in $order; do one "$name"; done
    done
}

stop_workers() {
    local name in out
    for name in $order; do
        in=${to[$name]} out=${from[$name]}
        echo q 2>/dev/null >&"$in" # workers started later have this pipe, too: it does not end
        wait "${pids[$name]}"
        exec {in}>&- {out}<&-
    done
    order=
    [ -z "${RAW:-}" ] || by_network
}

# begin NAME: writes what is measured from now on to build/bench/NAME.tsv.
begin() {
    BENCH=$1 RAW=$OUT/$1.tsv ROUND=0
    : >"$RAW"
    note "$1 (load $(cut -d ' ' -f 1 /proc/loadavg))"
}

# together NAME...: all at once.
together() {
    local name
    for name; do echo >&"${to[$name]}"; done
    for name; do answer "$name" "$RAW"; done
}

# index KEY VECTORS [DIMENSION]: sets INDEX to the file of such an index; builds it only once.
index() {
    INDEX=$OUT/$1-$2${3:+-$3}.index
    if [ ! -f "$INDEX" ] || [ "$CLIENT" -nt "$INDEX" ]; then
        note "building $1, $2 vectors"
        "$CLIENT" build -k "$1" -v "$2" -d "${3:-128}" -i "$INDEX.new" >"$INDEX.txt" || bail "cannot build $1"
        mv "$INDEX.new" "$INDEX"
    fi
}

# rounds QUICK FULL: the number of rounds.
rounds() { if [ -n "$FULL" ]; then echo "$2"; else echo "$1"; fi; }

