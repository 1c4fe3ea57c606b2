#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# faiss_c_compat.h by itself, strictly, in C and C++; and after the C headers of
# each FAISS release that is at hand: FAISS_HEADERS (folders that contain c_api/,
# separated by colons), or else the source that the engine was built from.
#
# That holds from v1.7.2 on.  Before, some classes had C types of their own and two
# structures were shorter, which one header cannot follow; the binaries are alike.
set -u

cc=${CC:-gcc}
cxx=${CXX:-g++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
failed=0

check() { # NAME COMMAND...
    count=$((count + 1))
    title=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok $count - $title"
    else
        echo "not ok $count - $title"
        sed 's/^/# /' "$work/log"
        failed=1
    fi
}

: >"$work/faiss_headers.h"
echo '#include "faiss_c_compat.h"' >"$work/alone.c"
for std in c11 c17; do
    check "alone, $std" "$cc" -std=$std -Wall -Wextra -Werror -pedantic -I. \
        -fsyntax-only "$work/alone.c"
done
for std in c++11 c++17; do
    check "alone, $std" "$cxx" -std=$std -x c++ -Wall -Wextra -Werror -pedantic -I. \
        -fsyntax-only "$work/alone.c"
done
check 'alone, what it promises' "$cc" -std=gnu11 -I. -I"$work" -fsyntax-only tests/abi/conflict.c

releases=${FAISS_HEADERS-}
if [ -z "$releases" ]; then
    for dir in "${FAISSX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/faissx}"/faiss-*/c_api; do
        [ -d "$dir" ] && releases=$releases${releases:+:}${dir%/c_api}
    done
fi

IFS=:
for dir in $releases; do
    unset IFS
    name=${dir##*/}
    (cd "$dir" && ls c_api/*.h c_api/impl/*_c.h c_api/utils/*.h c_api/gpu/*.h 2>/dev/null) |
        grep -v -e macros_impl -e error_impl | sed 's/.*/#include "&"/' >"$work/faiss_headers.h"
    check "$name has C headers" test -s "$work/faiss_headers.h"
    old=
    sq=$dir/c_api/IndexScalarQuantizer_c.h
    if [ -f "$sq" ] && ! grep -q FaissRangeStat "$sq"; then
        old=-DFAISSX_OLD_SQ_HEADER
    fi
    # FAISS's headers include each other with c_api/ or the folder above as base.
    set -- $old -I. -I"$work" -isystem "$dir" -isystem "$dir/c_api" -isystem tests/abi/cuda
    check "$name and C" "$cc" -std=gnu11 -Wall -Werror "$@" -fsyntax-only tests/abi/conflict.c
    check "$name and C++" "$cxx" -std=c++17 -x c++ -Wall -Werror "$@" -fsyntax-only \
        tests/abi/conflict.c
done
[ -n "$releases" ] || echo '# no FAISS headers at hand: set FAISS_HEADERS'
echo "1..$count"
exit $failed
