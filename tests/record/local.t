#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Local mode passes every call on unchanged: with and without the shim, the driver gets the same
# results, and the recording library gets the same calls.
set -u

build=$(realpath "${BUILD:-build}")
driver=$build/tests/record/driver
recorder=$build/tests/record/libfaiss_c.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
failed=0

skip_all() {
    echo "1..0 # skip $1"
    exit 0
}

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

# run NAME LIBRARY OPTION...: in a folder of its own, as it reads and writes files
run() {
    name=$1
    library=$2
    shift 2
    mkdir "$work/$name"
    (cd "$work/$name" && RECORD_LOG=log timeout 120 "$driver" "$library" "$@" >out 2>err)
    echo "status $?" >>"$work/$name/out"
    sed "s/^/# $name: /" "$work/$name/err"
    # A library may ask the other for its version at any time.
    grep -v '^faiss_get_version ' "$work/$name/log" >"$work/$name/calls"
}

[ -x "$driver" ] || skip_all "$driver is not built"
unset FAISSX_SERVER RECORD_FAIL
export FAISSX_FAISS_LIBRARY="$recorder"

run direct "$recorder"
export RECORD_FAIL='*'
run direct-fail "$recorder" --fail

count=$((count + 1))
if grep -q '^status 0$' "$work/direct/out" && grep -q '^status 0$' "$work/direct-fail/out"; then
    echo "ok $count - every function was called, and failed where it was to fail"
else
    echo "not ok $count - the driver and the recording library alone"
    tail -n 3 "$work"/direct*/out | sed 's/^/# /'
    failed=1
fi

for shim in "$build/libfaissx_c.so.0" "$build/faissx/libfaiss_c.so"; do
    which=${shim##*/}
    if [ ! -f "$shim" ]; then
        count=$((count + 1))
        echo "ok $count # skip $which is not built"
        continue
    fi
    unset RECORD_FAIL
    run "$which" "$shim"
    same "$which: the program gets the same results" "$work/direct/out" "$work/$which/out"
    same "$which: the library gets the same calls" "$work/direct/calls" "$work/$which/calls"
    export RECORD_FAIL='*'
    run "$which-fail" "$shim" --fail
    same "$which, all calls fail: the program gets the same results" "$work/direct-fail/out" "$work/$which-fail/out"
    same "$which, all calls fail: the library gets the same calls" "$work/direct-fail/calls" \
        "$work/$which-fail/calls"
done
echo "1..$count"
exit $failed
