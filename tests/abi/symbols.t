#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Exported symbols: the shim has all functions of the table and nothing else except faissx_*; a real
# libfaiss_c has no function that the table lacks.
set -u

build=${BUILD:-build}
table=$build/gen/exports.map
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
failed=0

result() { # NAME; ok when $work/wrong is empty
    count=$((count + 1))
    if [ -s "$work/wrong" ]; then
        echo "not ok $count - $1"
        sed 's/^/# /' "$work/wrong"
        failed=1
    else
        echo "ok $count - $1"
    fi
}

exported() {
    nm -D --defined-only "$1" | sed 's/@.*//' | awk '{ print $NF }' | LC_ALL=C sort -u
}

sed -n 's/^ *\(faiss_[A-Za-z0-9_]*\);$/\1/p' "$table" | LC_ALL=C sort -u >"$work/table"
[ -s "$work/table" ] || { echo "Bail out! no names in $table"; exit 1; }

# A sanitizer adds symbols of its own to what it builds.
for shim in "$build/libfaissx_c.so.0" "$build/faissx/libfaiss_c.so"; do
    if [ ! -f "$shim" ]; then
        count=$((count + 1))
        echo "ok $count # skip $shim is not built"
        continue
    fi
    exported "$shim" >"$work/shim"
    LC_ALL=C comm -13 "$work/shim" "$work/table" >"$work/wrong"
    result "$shim exports the whole table"
    LC_ALL=C comm -23 "$work/shim" "$work/table" | grep -v -e '^faissx_' -e '^__asan' \
        -e '^__ubsan' -e '^__tsan' >"$work/wrong"
    result "$shim exports nothing else"
    sed '/^#/d' tests/abi/go-faiss.txt | LC_ALL=C comm -13 "$work/shim" - >"$work/wrong"
    result "$shim has all that the releases of the blevesearch binding call"
done

real=${FAISS_C:-${FAISSX_FAISS_LIBRARY:-}}
if [ -f "$real" ]; then
    # Data and weak symbols are not part of the API.
    nm -D --defined-only "$real" | awk '$2 == "T" && $3 ~ /^faiss_/ { print $3 }' |
        LC_ALL=C sort -u >"$work/real"
    LC_ALL=C comm -23 "$work/real" "$work/table" >"$work/wrong"
    result "$real exports nothing that the table lacks"
    echo "# $(LC_ALL=C comm -12 "$work/real" "$work/table" | wc -l) of its functions;" \
        "of the table it lacks:"
    LC_ALL=C comm -13 "$work/real" "$work/table" | sed 's/^/#   /'
else
    count=$((count + 1))
    echo "ok $count # skip no real libfaiss_c: set FAISS_C"
fi
echo "1..$count"
exit $failed
