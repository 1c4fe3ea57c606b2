#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run the benchmarks: bench/run.sh [--full] [NAME...].  Each measures what it compares
# in turns (see bench.h) and leaves a table in build/bench/NAME.csv; summary.tsv has
# the ratios.  Clients of another host are in a network namespace of their own, which only
# root can create; without root, what is measured from there is left out.
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

. bench/harness.sh
. bench/netns.sh
. bench/locks.sh

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

# One query at a time, in an index so small that the variation of FAISS's own time does not hide
# what the transport takes.
bench_query() {
    begin query
    index Flat 1000
    start_server
    in_process local search -i "$INDEX" -n 100
    LD_PRELOAD=$BUILD/faissx/libfaiss_c.so in_process shim_local search -i "$INDEX" -n 100
    remote tcp "$TCP" search -i "$INDEX" -n 100
    remote ipc "$IPC" search -i "$INDEX" -n 100
    elsewhere elsewhere search -i "$INDEX" -n 100
    worker echo "$OUT/transport" -n 200
    [ -z "$NETNS" ] ||
        worker echo_elsewhere "${SERVER_HOST[@]}" "$OUT/transport" -n 200 -a "$SERVER_ADDRESS" -c "$NETNS"
    turns "$(rounds 60 400)"
    stop_server
}

# A thousand queries in one call.  Idle OpenMP threads spin by default, which costs a lot if other
# work waits for the core; those of the server and of local_passive do not.
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
        elsewhere elsewhere search -i "$INDEX" -q 1000 -n "$n"
        turns "$(rounds 9 25)"
        stop_server
    done
}

# 64 clients with one query each, on the server's host and on another, against 64 users in
# process.
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
    elsewhere elsewhere64 load -i "$INDEX" -t 64
    first=$SERVER_PID
    start_server --coalesce=fast
    remote fast64 "$TCP" load -i "$INDEX" -t 64
    elsewhere elsewhere_fast64 load -i "$INDEX" -t 64
    turns "$(rounds 4 20)"
    stop_server
    stop_server "$first"
}

# The same with searches that cost little, compared with the CPU time that they need at least.
bench_clients_quick() {
    local key
    for key in IVF1024,Flat HNSW32; do
        begin "clients-${key%%,*}"
        index $key 100000
        start_server
        OMP_NUM_THREADS=1 in_process local load -i "$INDEX" -s 0.5
        remote remote64 "$TCP" load -i "$INDEX" -t 64
        elsewhere elsewhere64 load -i "$INDEX" -t 64
        worker echo "$OUT/transport" -n 500
        turns "$(rounds 4 20)"
        stop_server
    done
}

# The time of a query while 64 clients together use half of the possible throughput.
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

# Ten queries in one call.
bench_ten() {
    begin ten
    need_other_host || return 0
    index IVF1024,Flat 100000
    start_server
    in_process local search -i "$INDEX" -q 10 -n 200
    elsewhere elsewhere search -i "$INDEX" -q 10 -n 200
    turns "$(rounds 15 60)"
    stop_server
}

# 512 MB from and to another host, beside libzmq's transfer of the bytes.
bench_far() {
    local up="-u 8000000" down="-d 8000000" way
    begin far
    need_other_host || return 0
    index Flat 1000000
    start_server
    in_process local add -v 1000000
    elsewhere elsewhere_add add -v 1000000
    elsewhere elsewhere_train_add train_add -v 1000000
    elsewhere elsewhere_save save -i "$INDEX"
    for way in up down; do
        # shellcheck disable=SC2086 # an option and its argument
        worker echo_$way "${SERVER_HOST[@]}" "$OUT/transport" -n 64 ${!way} -w 8 -a "$SERVER_ADDRESS" -c "$NETNS"
    done
    turns "$(rounds 7 15)"
    stop_server
}

# CURVE: a query, and an upload of 512 MB, beside the same without it and libzmq's own transfer of the
# bytes under CURVE.
bench_curve() {
    local key
    begin curve
    need_other_host || return 0
    index Flat 1000
    rm -f "$TMP/key" "$TMP/key.pub"
    key=$("$BUILD/bin/faissx" keygen --curve "$TMP/key")
    start_server --curve-secret-file "$TMP/key"
    elsewhere elsewhere_plain search -i "$INDEX" -n 100
    FAISSX_CURVE_SERVER_KEY=$key elsewhere elsewhere_curve search -i "$INDEX" -n 100
    turns "$(rounds 60 400)"
    stop_workers
    in_process local add -v 1000000
    elsewhere elsewhere_add_plain add -v 1000000
    FAISSX_CURVE_SERVER_KEY=$key elsewhere elsewhere_add_curve add -v 1000000
    worker echo_plain "${SERVER_HOST[@]}" "$OUT/transport" -n 64 -u 8000000 -w 8 -a "$SERVER_ADDRESS" -c "$NETNS"
    worker echo_curve "${SERVER_HOST[@]}" "$OUT/transport" -n 64 -u 8000000 -w 8 -a "$SERVER_ADDRESS" -c "$NETNS" -e
    turns "$(rounds 5 12)"
    stop_server
}

# One vector per call.
bench_small() {
    begin small
    start_server
    in_process local small -v 20000
    remote tcp "$TCP" small -v 20000
    FAISSX_JOIN=0 remote not_joined "$TCP" small -v 20000
    elsewhere elsewhere small -v 20000
    FAISSX_JOIN=0 elsewhere elsewhere_not_joined small -v 2000
    turns "$(rounds 5 20)"
    stop_server
}

# Searches, with some adds in between.
bench_mixed() {
    begin mixed
    index IVF1024,Flat 100000
    start_server
    in_process local mixed -i "$INDEX" -n 2000
    remote tcp "$TCP" mixed -i "$INDEX" -n 2000
    turns "$(rounds 5 20)"
    stop_server
}

# Four tenants with 16 clients each, at the same time, and one with 64; and four programs in process
# beside one, which shows what the caches and the kernel's scheduler make of it.
bench_tenants() {
    local i names= locals=
    begin tenants
    index IVF1024,Flat 100000
    echo '{"key0": "t0", "key1": "t1", "key2": "t2", "key3": "t3"}' >"$TMP/keys"
    chmod 600 "$TMP/keys"
    start_server --auth-file "$TMP/keys"
    FAISSX_API_KEY=key0 remote all "$TCP" load -i "$INDEX" -t 64 -s 0.5
    OMP_NUM_THREADS=1 in_process local load -i "$INDEX" -t 64 -s 0.5
    for i in 0 1 2 3; do
        FAISSX_API_KEY=key$i remote tenant$i "$TCP" load -i "$INDEX" -t 16 -s 0.5
        OMP_NUM_THREADS=1 in_process local$i load -i "$INDEX" -t 16 -s 0.5
        names="$names tenant$i" locals="$locals local$i"
    done
    for ROUND in $(seq "$(rounds 12 60)"); do
        one all
        # shellcheck disable=SC2086
        together $names
        one local
        # shellcheck disable=SC2086
        together $locals
    done
    stop_server
}

# Whether a call takes longer the more indexes there are.  (It does in process, too: cache misses.)
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

# The same with sessions, which come from the other host if there is one.
bench_sessions() {
    local first files
    begin sessions
    files=$(ulimit -Hn)
    if [ "$files" != unlimited ] && [ "$files" -lt 10500 ]; then
        note "sessions is left out: it needs 10500 files, a process may have $files (ulimit -Hn)"
        return
    fi
    start_server
    first=$SERVER_PID
    worker other "${OTHER_HOST[@]}" "$OUT/sessions" "$FAR" 1 "$SERVER_PID"
    remote one "$TCP" many -m 1 -n 500
    elsewhere elsewhere_one many -m 1 -n 500
    start_server
    worker others "${OTHER_HOST[@]}" "$OUT/sessions" "$FAR" 10000 "$SERVER_PID"
    remote many "$TCP" many -m 1 -n 500
    elsewhere elsewhere_many many -m 1 -n 500
    turns "$(rounds 20 100)"
    stop_server "$first"
    stop_server
}

# Connect, send hello, create an index, send bye; the server has one core, the clients another.
bench_connects() {
    local cores
    begin connects
    need_other_host || return
    cores=$(awk '/^Cpus_allowed_list/ { n = split($2, part, ","); for (i = 1; i <= n; i++) {
        split(part[i] "-" part[i], end, "-"); for (c = end[1]; c <= end[2]; c++) print c } }' /proc/self/status)
    # shellcheck disable=SC2086
    set -- $cores
    [ $# -ge 2 ] || { note "connects is left out: it needs two cores"; return; }
    PIN="taskset -c $1" start_server
    worker elsewhere taskset -c "$2" "${OTHER_HOST[@]}" "$OUT/connects" "$FAR" "$SERVER_PID"
    turns "$(rounds 5 20)"
    stop_server
}

# The p99 of one tenant's client beside another tenant's busy clients, divided by that without.  First
# as if the clients had machines of their own: the busy ones run at the lowest priority and the
# measured one at the highest, so that only the server's processes compete.  Then all at the usual
# priority.  An echo process shows how much of the effect is the kernel's scheduler.
bench_neighbour() {
    local how first="chrt --rr --reset-on-fork 1"
    begin neighbour
    need_other_host || return
    index IVF1024,Flat 100000
    echo '{"key0": "crowd", "key1": "neighbour"}' >"$TMP/keys"
    chmod 600 "$TMP/keys"
    start_server --auth-file "$TMP/keys"
    for how in idle other; do
        FAISSX_API_KEY=key0 worker crowd_$how chrt --$how 0 "${OTHER_HOST[@]}" "${STAND_IN[@]}" \
            FAISSX_SERVER="$FAR" "$OUT/crowd" "$INDEX" 200 8 2 5
    done
    FAISSX_API_KEY=key1 FIRST=$first elsewhere elsewhere_idle load -i "$INDEX" -t 1 -s 2
    FAISSX_API_KEY=key1 elsewhere elsewhere_other load -i "$INDEX" -t 1 -s 2
    # shellcheck disable=SC2086 # a command and its arguments
    worker echo_idle $first "${SERVER_HOST[@]}" "$OUT/transport" -n 300 -a "$SERVER_ADDRESS" -c "$NETNS"
    worker echo_other "${SERVER_HOST[@]}" "$OUT/transport" -n 300 -a "$SERVER_ADDRESS" -c "$NETNS"
    for ROUND in $(seq 2 2 "$(rounds 10 30)"); do
        for how in idle other; do
            ROUND=$((ROUND - 1)) one elsewhere_$how
            ROUND=$((ROUND - 1)) one echo_$how
            echo >&"${to[crowd_$how]}"
            sleep 1
            one elsewhere_$how
            one echo_$how
            answer crowd_$how "$RAW"
        done
    done
    stop_server
}

# A program of FAISS on the server, see bench/durable.c.
durable() { # NAME ARGUMENT...
    worker "$1" "${SERVER_HOST[@]}" "${STAND_IN[@]}" FAISSX_JOIN=0 FAISSX_SERVER="$TCP" "$OUT/durable" "${@:2}"
}
durable_once() { "${SERVER_HOST[@]}" "${STAND_IN[@]}" FAISSX_SERVER="$TCP" "$OUT/durable" "$@"; }

# What the store of the server has done, as values of worker NAME.
store_stats() {
    "${SERVER_HOST[@]}" env FAISSX_SERVER="$TCP" "$BUILD/bin/faissx" stats |
        awk -v round="$ROUND" -v name="$1" '$1 == "records" || $1 == "commits" { print round "\t" name "\t" $1 "\t" $2 }' >>"$RAW"
}

# Changes to published indexes with a data directory, beside the same bytes written by hand; and
# searches beside such changes, with and without a data directory.  All on the disk of the build.
bench_durable() {
    local data=$OUT/data with tcp
    begin durable
    rm -rf "$data"
    index Flat 10000
    start_server --data-dir "$data"
    with=$SERVER_PID tcp=$TCP
    worker disk "$OUT/durable" write "$OUT/durable.raw" 1000 40
    worker added "$OUT/durable" add - 1000 40
    durable batches add batches 1000 40
    durable singles many singles 64 2
    remote search_durable "$TCP" search -i "$INDEX" -n 2000
    durable adds_durable add more 1000 200
    start_server
    remote search_memory "$TCP" search -i "$INDEX" -n 2000
    durable adds_memory add more 1000 200
    for ROUND in $(seq "$(rounds 5 20)"); do
        one disk
        one added
        one batches
        TCP=$tcp store_stats before
        one singles
        TCP=$tcp store_stats after
        echo >&"${to[adds_durable]}"
        one search_durable
        answer adds_durable "$RAW"
        echo >&"${to[adds_memory]}"
        one search_memory
        answer adds_memory "$RAW"
    done
    stop_server
    stop_server "$with"
    rm -rf "$data" "$OUT/durable.raw"
}

# The first search after a restart, beside faiss_read_index of the same index.
bench_restart() {
    local data=$OUT/data key vectors
    begin restart
    for key in Flat HNSW32; do
        vectors=$([ $key = Flat ] && echo 1000000 || echo 200000)
        rm -rf "$data"
        start_server --data-dir "$data"
        note "filling $key, $vectors vectors"
        durable_once fill it $vectors $key >/dev/null
        stop_server
        for ROUND in $(seq "$(rounds 3 10)"); do
            start_server --data-dir "$data"
            # Into the page cache, for both; not through the server, whose first search is measured.
            cat "$data"/tenants/*/*.faiss >/dev/null
            durable_once first it 0 | while read -r name value; do
                printf '%s\t%s\t%s\t%s\n' "$ROUND" "server_$key" "$name" "$value" >>"$RAW"
            done
            "$OUT/durable" first - "$(echo "$data"/tenants/*/*.faiss)" | while read -r name value; do
                printf '%s\t%s\t%s\t%s\n' "$ROUND" "local_$key" "$name" "$value" >>"$RAW"
            done
            stop_server
        done
    done
    rm -rf "$data"
}

# Searches while a snapshot of a million vectors is written.
bench_snapshot() {
    local data=$OUT/data
    begin snapshot
    rm -rf "$data"
    index Flat 10000
    start_server --data-dir "$data" --durability snapshot --snapshot-interval 1
    durable_once fill it 1000000 Flat >/dev/null
    remote quiet "$TCP" search -i "$INDEX" -n 2000
    remote beside "$TCP" search -i "$INDEX" -n 2000
    durable change add it 1 1
    for ROUND in $(seq "$(rounds 5 20)"); do
        one quiet
        one change
        until [ -n "$(find "$data" -name 'tmp-*')" ]; do sleep 0.02; done
        one beside
        while [ -n "$(find "$data" -name 'tmp-*')" ]; do sleep 0.1; done
    done
    stop_server
    rm -rf "$data"
}

# Bytes that are written to disk for a million vectors in batches of a thousand, snapshots included.
bench_written() {
    local data=$OUT/data engine
    begin written
    rm -rf "$data"
    start_server --data-dir "$data"
    durable batches add batches 1000 1000
    engine=$("${SERVER_HOST[@]}" env FAISSX_SERVER="$TCP" "$BUILD/bin/faissx" stats | awk '$1 == "pid" { print $2 }')
    ROUND=1
    one batches
    # The kernel counts what a process and the children it has waited for have caused to be written.
    awk '$1 == "write_bytes:" { print "1\tengine\twritten_ratio\t" $2 / (1000000 * 512) }' "/proc/$engine/io" >>"$RAW"
    stop_server
    rm -rf "$data"
}

# A hundred processes that read the same file of 512 MB, beside one that reads it without a server.
bench_readers() {
    local n
    begin readers
    index Flat 1000000
    sleep 4 # so that the file's times tell if it is changed
    start_server
    worker local "$OUT/readers" "$INDEX" 1
    for n in 1 100; do
        worker "readers$n" "${SERVER_HOST[@]}" "${STAND_IN[@]}" FAISSX_SERVER="$TCP" "$OUT/readers" \
            "$INDEX" $n "$SERVER_PID"
    done
    turns "$(rounds 5 20)"
    stop_server
}

bench_idle() {
    begin idle
    start_server
    remote idle "$TCP" idle -s "$(rounds 5 30)"
    turns 1
    stop_server
}

# FAISSx's client and server in Python, at the version that they are compared with, in $OUT/venv.
faissx_version=0.20260422.2 python_port=45679
need_faissx() {
    [ ! -x "$OUT/venv/bin/faissx.server" ] || return 0
    note "installing faissx from PyPI"
    if ! { python3 -m venv "$OUT/venv" && timeout 300 "$OUT/venv/bin/pip" -q install "faissx==$faissx_version"; } \
        >"$OUT/venv.txt" 2>&1; then
        note "cannot (see $OUT/venv.txt)"
        rm -rf "$OUT/venv"
        return 1
    fi
}

# Starts that server; sets PYTHON, its process.
start_python() {
    "$OUT/venv/bin/faissx.server" run --port $python_port --bind-address 127.0.0.1 >"$TMP/python.log" 2>&1 &
    PYTHON=$!
    started="$started $PYTHON"
}

# The Python server.
bench_python() {
    begin python
    need_faissx || return 0
    index Flat 10000
    start_python
    start_server
    worker python "$OUT/pyserver" tcp://127.0.0.1:$python_port
    worker dialect "${SERVER_HOST[@]}" "$OUT/pyserver" "$TCP"
    remote search "$TCP" search -i "$INDEX"
    remote search100 "$TCP" search -i "$INDEX" -q 100 -n 20
    remote add "$TCP" add -v 10000
    turns "$(rounds 3 10)"
    kill "$PYTHON"
    stop_server
}

# A program of FAISS in Python, beside one in C, on the same server.
module() { # NAME ARGUMENT...
    worker "$1" "${SERVER_HOST[@]}" env FAISSX_SERVER="$TCP" FAISSX_FAISS_LIBRARY=/nonexistent \
        PYTHONPATH="$BUILD/faissx/python/faissx_c/as_faiss" "$PYTHON" bench/module.py "${@:2}"
}
bench_module() {
    begin module
    for PYTHON in python3 /usr/bin/python3 ""; do
        [ -n "$PYTHON" ] || { note "module is left out: python3-numpy is not installed"; return; }
        "$PYTHON" -c 'import numpy' 2>/dev/null && break
    done
    index Flat 1000
    start_server
    remote c1 "$TCP" search -i "$INDEX" -n 500
    module module1 search "$INDEX" 500
    index Flat 10000
    remote c100 "$TCP" search -i "$INDEX" -q 100 -n 20
    module module100 search "$INDEX" 20 100
    remote c_add "$TCP" add -v 100000
    module module_add add 100000
    turns "$(rounds 20 60)"
    stop_server
}

# The same program, FAISSx's own Python client, on both servers.
bench_faissx() {
    begin faissx
    need_faissx || return 0
    start_python
    start_server
    worker theirs "$OUT/venv/bin/python" bench/faissx_client.py tcp://127.0.0.1:$python_port
    worker ours "${SERVER_HOST[@]}" "$OUT/venv/bin/python" bench/faissx_client.py "$TCP"
    turns "$(rounds 3 10)"
    stop_workers
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

# Lists of numbers of the FAISSx dialect.
bench_numbers() {
    begin numbers
    worker numbers "$OUT/numbers"
    turns "$(rounds 30 200)"
}

# medians FILE: worker, name, median, quartiles and number of values.
medians() {
    sort -t $'\t' -k2,3 -k4,4g "$1" | awk -F '\t' -v OFS=, '
        function put() { if (n) print key, x[int((n + 1) / 2)], x[1 + int((n - 1) / 4)], x[n - int((n - 1) / 4)], n }
        BEGIN { print "worker,name,median,lower_quartile,upper_quartile,rounds" }
        { k = $2 "," $3; if (k != key) { put(); n = 0; key = k } x[++n] = $4 }
        END { put() }'
}

all="local query batch clients_flat clients_quick half busy add ten far curve small live sessions connects neighbour idle durable snapshot written restart readers numbers python faissx module"
names=
for arg; do
    if [ "$arg" = --full ]; then FULL=1; else names="$names $arg"; fi
done
[ -n "$FULL" ] && all="$all mixed tenants locks sweep shapes"
two_hosts || note "there is no second host, figures of clients elsewhere are left out: $NO_NETNS"
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
