#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Remote mode: a program gets the same results as in process, and the server's library gets the same
# calls, except for those that the client answers itself (normalise.awk).
set -u

build=$(realpath "${BUILD:-build}")
here=$(dirname "$(realpath "$0")")
driver=$build/tests/record/driver
recorder=$build/tests/record/libfaiss_c.so
server=$build/faissx-server
shim=$build/faissx/libfaiss_c.so
work=$(mktemp -d)
pid=
count=0
failed=0

stop() {
    [ -n "$pid" ] || return 0
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    pid=
}
trap 'stop; rm -rf "$work"' EXIT

for needed in "$driver" "$recorder" "$server" "$shim"; do
    if [ ! -f "$needed" ]; then
        echo "1..0 # skip $needed is not built"
        exit 0
    fi
done

same() { # NAME FILE FILE
    count=$((count + 1))
    if [ -s "$2" ] && cmp -s "$2" "$3"; then
        echo "ok $count - $1"
    else
        echo "not ok $count - $1"
        diff "$2" "$3" | head -n 20 | sed 's/^/# /'
        failed=1
    fi
}

run() { # NAME LIBRARY OPTION...
    folder=$work/$1
    library=$2
    shift 2
    mkdir -p "$folder"
    (cd "$folder" && timeout 120 "$driver" "$library" --remote "$@" >out 2>err)
    echo "status $?" >>"$folder/out"
    # The client may name the library in its own words.
    grep -v '^faiss_get_version ' "$folder/out" >"$folder/seen"
    sed 's/^/# /' "$folder/err"
}

# The server's library writes the log; it ends with the server.
start() { # FOLDER
    mkdir -p "$1"
    RECORD_LOG=$1/log "$server" run --bind "ipc://$work/sock" --library "$recorder" \
        >"$1/server" 2>&1 &
    pid=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ -S "$work/sock" ] && return
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.25
    done
    if ! [ -S "$work/sock" ]; then
        echo "Bail out! the server did not start"
        sed 's/^/# /' "$1/server"
        exit 1
    fi
}

"$driver" --compared >"$work/compared"
unset FAISSX_SERVER FAISSX_FAISS_LIBRARY RECORD_FAIL RECORD_LOG

for mode in plain fail; do
    option=
    if [ $mode = fail ]; then
        option=--fail
        export RECORD_FAIL='*'
    fi
    mkdir "$work/direct-$mode"
    RECORD_LOG=$work/direct-$mode/log run "direct-$mode" "$recorder" $option
    start "$work/remote-$mode"
    FAISSX_SERVER=ipc://$work/sock run "remote-$mode" "$shim" $option
    stop
    rm -f "$work/sock"
    same "$mode: the program gets the same results" "$work/direct-$mode/seen" "$work/remote-$mode/seen"
    for side in direct remote; do
        awk -f "$here/normalise.awk" "$work/compared" "$work/$side-$mode/log" \
            >"$work/$side-$mode/asked"
    done
    # The server frees what the program has not freed when it ends.
    lines=$(wc -l <"$work/direct-$mode/asked")
    awk -v lines="$lines" 'NR <= lines || !/^free /' "$work/remote-$mode/asked" >"$work/remote-$mode/called"
    same "$mode: the library gets the same calls" "$work/direct-$mode/asked" "$work/remote-$mode/called"
done
echo "1..$count"
exit $failed
