#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Small adds in a row are sent together: nobody can tell, but by the number of requests, and
# an error reaches the program before anything that depends on it.
. tests/e2e/lib.sh

joins=$BUILD/tests/e2e/joins
requests_of() {
    before=$(stat_of requests)
    "$@" >"$TMP/out" || fail "$*"
    echo $(($(stat_of requests) - before))
}

ok "in process" env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$joins" results
mv "$TMP/ok.out" "$TMP/direct"
start_server
together=$(requests_of remote "$joins" results)
same "the same is found" "$TMP/direct" "$TMP/out"
one_by_one=$(FAISSX_JOIN=0 requests_of remote "$joins" results)
same "and without joining" "$TMP/direct" "$TMP/out"
ok "in fewer requests: $together instead of $one_by_one" [ "$together" -lt $((one_by_one / 20)) ]

is "an index with a name has at once what is added" \
    "$(remote "$joins" named faissx://shared)" "50 seen"

[ -z "$SANITIZER_RUNTIME" ] || exit 0 # they need all of the address space
start_server --memory 400
is "no memory: an add is told" "$(remote "$joins" memory)" \
    "error -4, joined, as many as were told, search 0"
is "by the next function that can tell, and once" "$(remote "$joins" memory totals)" \
    "add 0, error -4, joined, as many as were told, search 0"
