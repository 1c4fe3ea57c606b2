#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The generator: good/*.out has its output for good specs, and the first line of a bad spec has the
# error that it must give, as "#! LINE: MESSAGE".
#
#   UPDATE=1 tests/apigen/apigen.t    take the present output as the expected one
set -u

here=$(dirname "$(realpath "$0")")
cd "$here/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
failed=0

result() { # NAME STATUS, with what to say in $work/why
    count=$((count + 1))
    if [ "$2" = 0 ]; then
        echo "ok $count - $1"
    else
        echo "not ok $count - $1"
        sed 's/^/# /' "$work/why"
        failed=1
    fi
}

apigen=$work/apigen
if ! ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -iquote . -o "$apigen" proto/gen/*.c >"$work/why" 2>&1; then
    echo 'Bail out! apigen does not compile'
    sed 's/^/# /' "$work/why"
    exit 1
fi

for spec in "$here"/good/*.api; do
    name=${spec##*/}
    for what in map stubs api.c handlers python; do
        echo "== $what"
        "$apigen" "$spec" proto/faiss_types.h $what || echo "status $?"
    done >"$work/out" 2>&1
    [ -z "${UPDATE:-}" ] || cp "$work/out" "${spec%.api}.out"
    diff -u "${spec%.api}.out" "$work/out" >"$work/why" 2>&1
    result "${name%.api} gives what it gave" $?
done

for spec in "$here"/bad/*.api; do
    name=${spec##*/}
    (cd "$here/bad" && "$apigen" "$name" ../../../proto/faiss_types.h api.c) \
        >"$work/out" 2>"$work/err"
    status=$?
    printf '%s:%s\n' "$name" "$(sed -n '1s/^#! //p' "$spec")" >"$work/want"
    diff -u "$work/want" "$work/err" >"$work/why"
    same=$?
    [ $status = 1 ] || echo "status $status" >>"$work/why"
    [ -s "$work/out" ] && echo 'and it wrote output' >>"$work/why"
    [ $same = 0 ] && [ $status = 1 ] && ! [ -s "$work/out" ]
    result "bad spec: ${name%.api}" $?
done

"$apigen" proto/faiss.api proto/faiss_types.h nonsense >"$work/out" 2>"$work/why"
[ $? = 2 ]
result 'an output that there is not' $?
echo "1..$count"
exit $failed
