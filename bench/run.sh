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

started= servers=0

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
    local tries=0 log
    servers=$((servers + 1))
    log=$TMP/server$servers.log
    IPC=ipc://$TMP/server$servers
    : >"$log"
    "$BUILD/faissx-server" run --bind "$IPC" --bind 'tcp://127.0.0.1:*' "$@" >"$log" 2>&1 &
    SERVER_PID=$!
    started="$started $SERVER_PID"
    until TCP=$(sed -n 's/.*endpoint=\(tcp:.*\)/\1/p' "$log") && [ -n "$TCP" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then cat "$log" >&2; bail "faissx-server does not start"; fi
        sleep 0.05
    done
}

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
    local name
    for ROUND in $(seq $((ROUND + 1)) $((ROUND + $1))); do
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
    note "$1 (load $(cut -d ' ' -f 1 /proc/loadavg))"
}

# together NAME...: all at once.
together() {
    local name
    for name; do echo >&"${to[$name]}"; done
    for name; do answer "$name" "$RAW"; done
}

# index KEY VECTORS [DIMENSION]: sets INDEX, the file of such an index, which is kept.
index() {
    INDEX=$OUT/$1-$2${3:+-$3}.index
    if [ ! -f "$INDEX" ] || [ "$CLIENT" -nt "$INDEX" ]; then
        note "building $1, $2 vectors"
        "$CLIENT" build -k "$1" -v "$2" -d "${3:-128}" -i "$INDEX.new" >"$INDEX.txt" || bail "cannot build $1"
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

# As remote, but as from another host: in another network namespace the engine's own socket
# cannot be reached, and all goes through the front.  (Not everybody may make one.)
elsewhere() {
    if unshare --net true 2>/dev/null; then
        worker "$1" env LD_PRELOAD="$BUILD/faissx/libfaiss_c.so" FAISSX_SERVER="$IPC" \
            FAISSX_FAISS_LIBRARY=/nonexistent unshare --net "$CLIENT" "${@:2}" -p "$SERVER_PID"
    fi
}

# One query at a time, in an index so small that FAISS's own time, which varies by more than
# the transport takes, does not hide it.
bench_query() {
    begin query
    index Flat 1000
    start_server
    in_process local search -i "$INDEX" -n 100
    LD_PRELOAD=$BUILD/faissx/libfaiss_c.so in_process shim_local search -i "$INDEX" -n 100
    remote tcp "$TCP" search -i "$INDEX" -n 100
    remote ipc "$IPC" search -i "$INDEX" -n 100
    elsewhere front search -i "$INDEX" -n 100
    worker echo "$OUT/transport" -n 200
    turns "$(rounds 60 400)"
    stop_server
}

# A thousand queries in one call.  Idle threads of OpenMP spin by default, which costs a lot
# where other work waits for the core; the server's do not, and those of local_passive.
bench_batch() {
    local key n
    for key in Flat IVF1024,Flat; do
        begin "batch-${key%%,*}"
        index $key 100000
        n=$(if [ $key = Flat ]; then echo 1; else echo 5; fi)
        start_server
        in_process local search -i "$INDEX" -q 1000 -n "$n"
        OMP_WAIT_POLICY=passive OPENBLAS_NUM_THREADS=1 in_process local_passive search -i "$INDEX" \
            -q 1000 -n "$n"
        remote tcp "$TCP" search -i "$INDEX" -q 1000 -n "$n"
        remote ipc "$IPC" search -i "$INDEX" -q 1000 -n "$n"
        turns "$(rounds 9 25)"
        stop_server
    done
}

# 64 clients with one query each, against 64 users in process.
bench_clients_flat() {
    local first
    begin clients-Flat
    index Flat 100000
    start_server
    export OMP_NUM_THREADS=1
    in_process local64 load -i "$INDEX" -t 64
    in_process local2 load -i "$INDEX" -t 2
    OMP_NUM_THREADS=2 in_process local64_omp2 load -i "$INDEX" -t 64
    unset OMP_NUM_THREADS
    remote remote64 "$TCP" load -i "$INDEX" -t 64
    first=$SERVER_PID
    if "$BUILD/faissx-server" run --help | grep -q -e --coalesce; then
        start_server --coalesce=fast
        remote fast64 "$TCP" load -i "$INDEX" -t 64
    fi
    turns "$(rounds 4 20)"
    stop_server
    [ "$first" = "$SERVER_PID" ] || stop_server "$first"
}

# The same where a search costs little, against the CPU time that it has to take.
bench_clients_quick() {
    local key
    for key in IVF1024,Flat HNSW32; do
        begin "clients-${key%%,*}"
        index $key 100000
        start_server
        OMP_NUM_THREADS=1 in_process local load -i "$INDEX" -s 0.5
        remote remote64 "$TCP" load -i "$INDEX" -t 64
        worker echo "$OUT/transport" -n 500
        turns "$(rounds 4 20)"
        stop_server
    done
}

# How long a query takes while 64 clients ask for half of what is possible.
bench_half() {
    begin half
    index IVF1024,Flat 100000
    start_server
    remote remote64 "$TCP" load -i "$INDEX" -t 64 -r 0.5
    OMP_NUM_THREADS=1 in_process local64 load -i "$INDEX" -t 64 -r 0.5
    turns "$(rounds 14 30)" # every second one at half
    stop_server
}

# One query at a time, and a hundred, while another process keeps a core busy.
bench_busy() {
    local spinner when
    begin busy
    index Flat 10000
    start_server
    remote alone "$TCP" search -i "$INDEX"
    remote beside "$TCP" search -i "$INDEX"
    in_process local_alone search -i "$INDEX"
    in_process local_beside search -i "$INDEX"
    for when in alone beside; do
        remote "batch_$when" "$TCP" search -i "$INDEX" -q 100 -n 5
        in_process "local_batch_$when" search -i "$INDEX" -q 100 -n 5
    done
    while :; do :; done &
    spinner=$!
    started="$started $spinner"
    for ROUND in $(seq "$(rounds 15 60)"); do
        kill -STOP $spinner
        for when in alone local_alone batch_alone local_batch_alone; do one $when; done
        kill -CONT $spinner
        for when in beside local_beside batch_beside local_batch_beside; do one $when; done
    done
    kill $spinner
    stop_server
}

# 512 MB in one call.
bench_add() {
    begin add
    start_server
    in_process local add -v 1000000
    remote tcp "$TCP" add -v 1000000
    worker echo "$OUT/transport" -n 64 -u 8000000 -w 8
    turns "$(rounds 5 12)"
    stop_server
}

# One vector a call.
bench_small() {
    begin small
    start_server
    in_process local small -v 20000
    remote tcp "$TCP" small -v 20000
    FAISSX_JOIN=0 remote not_joined "$TCP" small -v 20000
    elsewhere front small -v 20000
    FAISSX_JOIN=0 elsewhere front_not_joined small -v 2000
    turns "$(rounds 5 20)"
    stop_server
}

# Searches, and now and then some vectors more.
bench_mixed() {
    begin mixed
    index IVF1024,Flat 100000
    start_server
    in_process local mixed -i "$INDEX" -n 2000
    remote tcp "$TCP" mixed -i "$INDEX" -n 2000
    turns "$(rounds 5 20)"
    stop_server
}

# Four tenants with 16 clients each, at the same time, and one with 64.
bench_tenants() {
    local i names=
    begin tenants
    index IVF1024,Flat 100000
    echo '{"key0": "t0", "key1": "t1", "key2": "t2", "key3": "t3"}' >"$TMP/keys"
    chmod 600 "$TMP/keys"
    start_server --auth-file "$TMP/keys"
    FAISSX_API_KEY=key0 remote all "$TCP" load -i "$INDEX" -t 64
    for i in 0 1 2 3; do
        FAISSX_API_KEY=key$i remote tenant$i "$TCP" load -i "$INDEX" -t 16
        names="$names tenant$i"
    done
    for ROUND in $(seq "$(rounds 4 15)"); do
        one all
        # shellcheck disable=SC2086
        together $names
    done
    stop_server
}

# Does a call take longer the more indexes there are?  (In process, too: caches miss.)
bench_live() {
    local first
    begin live
    start_server
    first=$SERVER_PID
    remote one "$TCP" many -m 1 -n 500
    start_server
    remote many "$TCP" many -m 10000 -n 500
    in_process local_one many -m 1 -n 500
    in_process local_many many -m 10000 -n 500
    turns "$(rounds 20 100)"
    stop_server "$first"
    stop_server
}

# The same with sessions.
bench_sessions() {
    local first
    begin sessions
    start_server
    first=$SERVER_PID
    remote one "$TCP" many -m 1 -n 500
    start_server
    worker others "$OUT/sessions" "$TCP" 9999
    remote many "$TCP" many -m 1 -n 500
    turns "$(rounds 20 100)"
    stop_server "$first"
    stop_server
}

bench_idle() {
    begin idle
    start_server
    remote idle "$TCP" idle -s "$(rounds 5 30)"
    turns 1
    stop_server
}

# The Python server.
bench_python() {
    local venv=$OUT/venv port=45679
    begin python
    if [ ! -x "$venv/bin/faissx.server" ]; then
        note "installing faissx from PyPI"
        if ! { python3 -m venv "$venv" && timeout 300 "$venv/bin/pip" -q install faissx; } >"$OUT/venv.txt" 2>&1; then
            note "cannot (see $OUT/venv.txt)"
            rm -rf "$venv"
            return
        fi
    fi
    index Flat 10000
    "$venv/bin/faissx.server" run --port $port --bind-address 127.0.0.1 >"$TMP/python.log" 2>&1 &
    started="$started $!"
    PYTHON=$!
    start_server
    worker python "$OUT/pyserver" tcp://127.0.0.1:$port
    remote search "$TCP" search -i "$INDEX"
    remote search100 "$TCP" search -i "$INDEX" -q 100 -n 20
    remote add "$TCP" add -v 10000
    turns "$(rounds 3 10)"
    kill "$PYTHON"
    stop_server
}

# --- plots, with --full ------------------------------------------------------------

# How the time of a call grows with its queries, and throughput with clients.
bench_sweep() {
    local n
    begin sweep
    index IVF1024,Flat 100000
    start_server
    for n in 1 10 100 1000; do
        in_process "local:nq:$n" search -i "$INDEX" -q $n -n $((n < 1000 ? 50 : 5))
        remote "remote:nq:$n" "$TCP" search -i "$INDEX" -q $n -n $((n < 1000 ? 50 : 5))
    done
    turns "$(rounds 5 15)"
    stop_workers
    for n in 1 2 4 8 16 32 64 128 256; do
        OMP_NUM_THREADS=1 in_process "local:clients:$n" load -i "$INDEX" -t $n -s 0.5
        remote "remote:clients:$n" "$TCP" load -i "$INDEX" -t $n -s 0.5
    done
    turns "$(rounds 2 5)"
    stop_server
}

# Dimensions and k.
bench_shapes() {
    local n
    begin shapes
    start_server
    for n in 32 64 128 256 512 1024 1536; do
        index Flat 10000 $n
        in_process "local:d:$n" search -i "$INDEX" -d $n -n 50
        remote "remote:d:$n" "$TCP" search -i "$INDEX" -d $n -n 50
    done
    index Flat 10000
    for n in 1 10 100 1000; do
        in_process "local:k:$n" search -i "$INDEX" -j $n -n 50
        remote "remote:k:$n" "$TCP" search -i "$INDEX" -j $n -n 50
    done
    turns "$(rounds 5 15)"
    stop_server
}

# medians FILE: worker, name, median, quartiles and number of values.
medians() {
    sort -t $'\t' -k2,3 -k4,4g "$1" | awk -F '\t' -v OFS=, '
        function put() { if (n) print key, x[int((n + 1) / 2)], x[1 + int((n - 1) / 4)], x[n - int((n - 1) / 4)], n }
        BEGIN { print "worker,name,median,lower_quartile,upper_quartile,rounds" }
        { k = $2 "," $3; if (k != key) { put(); n = 0; key = k } x[++n] = $4 }
        END { put() }'
}

all="local query batch clients_flat clients_quick half busy add small live sessions idle python"
names=
for arg; do
    if [ "$arg" = --full ]; then FULL=1; else names="$names $arg"; fi
done
[ -n "$FULL" ] && all="$all mixed tenants sweep shapes"
for name in ${names:-$all}; do
    "bench_$name"
done

tables=
for f in "$OUT"/*.tsv; do
    case $f in
    */summary.tsv) ;;
    *)
        tables="$tables $f"
        medians "$f" >"${f%.tsv}.csv"
        ;;
    esac
done
[ -n "$FULL" ] && command -v gnuplot >/dev/null && [ -s "$OUT/sweep.csv" ] && bench/plot.sh "$OUT" docs/performance
awk -f bench/summary.awk $tables >"$OUT/summary.new"
mv "$OUT/summary.new" "$OUT/summary.tsv"
awk -F '\t' 'BEGIN { f = "%-26s %10s  %-8s %-4s %s\n"; printf f, "", "value", "target", "met", "quartiles" }
    { printf f, $1, $2, $3, $4, $5 == "" ? "" : "[" $5 " " $6 "]" }' "$OUT/summary.tsv"
