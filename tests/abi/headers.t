#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# faiss_c_compat.h compiles by itself, strictly, in C and C++, and before and after the C headers of
# each FAISS release that is available: FAISS_HEADERS (folders that contain c_api/, separated by
# colons), or else those that $FAISS_C was built or installed with and the source that
# `make engine` fetched.
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

echo '#include "faiss_c_compat.h"' >"$work/alone.c"
for std in c11 c17; do
    check "alone, $std" "$cc" -std=$std -Wall -Wextra -Werror -pedantic -I. \
        -fsyntax-only "$work/alone.c"
done
for std in c++11 c++17; do
    check "alone, $std" "$cxx" -std=$std -x c++ -Wall -Wextra -Werror -pedantic -I. \
        -fsyntax-only "$work/alone.c"
done
mkdir "$work/none"
: >"$work/none/faiss_headers.h"
check 'alone, what it promises' "$cc" -std=gnu11 -I. -I"$work/none" -fsyntax-only tests/abi/conflict.c

# The folder above the c_api/ of a library: its source, or where it was installed.
beside() {
    dir=$(dirname "$1")
    while [ "$dir" != / ] && [ "$dir" != . ]; do
        for d in "$dir/include/faiss" \
            "$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$dir/CMakeCache.txt" 2>/dev/null)"; do
            if [ -f "$d/c_api/Index_c.h" ]; then
                echo "$d"
                return
            fi
        done
        dir=$(dirname "$dir")
    done
}

releases=${FAISS_HEADERS-}
if [ -z "$releases" ]; then
    releases=$(beside "${FAISS_C:-/}")
    for dir in "${FAISSX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/faissx}"/faiss-*/c_api; do
        [ -d "$dir" ] && releases=$releases${releases:+:}${dir%/c_api}
    done
fi

# Each header of $headers by itself, before faiss_c_compat.h and after it.
one_by_one() {
    for header in $headers; do
        printf '#include "%s"\n#include "faiss_c_compat.h"\n' "$header" >"$work/before.c"
        printf '#include "faiss_c_compat.h"\n#include "%s"\n' "$header" >"$work/after.c"
        "$@" -fsyntax-only "$work/before.c" && "$@" -fsyntax-only "$work/after.c" || return 1
    done
}

IFS=:
for dir in $releases; do
    unset IFS
    name="FAISS $(sed -n 's/^#define FAISS_VERSION_[MP][A-Z]* //p' "$dir/faiss/Index.h" \
        "$dir/Index.h" 2>/dev/null | paste -sd .)"
    headers=$(cd "$dir" && ls c_api/*.h c_api/impl/*_c.h c_api/utils/*.h c_api/gpu/*.h 2>/dev/null |
        grep -v -e macros_impl -e error_impl)
    printf '#include "%s"\n' $headers >"$work/faiss_headers.h"
    check "$name has C headers" test -n "$headers"
    # FAISS's headers include each other with c_api/ or the folder above as base.
    flags="-I. -I$work -isystem $dir -isystem $dir/c_api -isystem tests/abi/cuda"
    for lang in "$cc -std=gnu11" "$cxx -std=c++17 -x c++"; do
        case $lang in *c++) in='in C++' ;; *) in='in C' ;; esac
        check "$name, then ours, $in" $lang -Wall -Werror $flags -fsyntax-only tests/abi/conflict.c
        check "ours, then $name, $in" $lang -Wall -Werror $flags -DOURS_FIRST -fsyntax-only \
            tests/abi/conflict.c
        check "each header of $name alone, $in" one_by_one $lang -Wall -Werror $flags
    done
done
[ -n "$releases" ] || echo '# no FAISS headers at hand: set FAISS_HEADERS'
echo "1..$count"
exit $failed
