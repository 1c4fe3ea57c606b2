#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Small adds in a row are sent together: the only difference is the number of requests, and an error
# is reported before any call that depends on the add.
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
same "the results are the same" "$TMP/direct" "$TMP/out"
one_by_one=$(FAISSX_JOIN=0 requests_of remote "$joins" results)
same "without joining the results are the same" "$TMP/direct" "$TMP/out"
ok "joining takes fewer requests: $together instead of $one_by_one" [ "$together" -lt $((one_by_one / 20)) ]

is "adds to a published index are visible at once" \
    "$(remote "$joins" named faissx://shared)" "50 seen"

[ -z "$SANITIZER_RUNTIME" ] || exit 0 # they need all of the address space
start_server --memory 400
is "without memory, an add reports the failure" "$(remote "$joins" memory)" \
    "error -4, joined, as many as were told, search 0"
is "otherwise the next function with an error code reports it, once" "$(remote "$joins" memory totals)" \
    "add 0, error -4, joined, as many as were told, search 0"
