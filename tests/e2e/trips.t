#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How many requests a program makes: none for results that cannot have changed, one for a search or a
# removal with its selector, and one for hundreds of small adds.
. tests/e2e/lib.sh

requests_of() {
    before=$(stat_of requests)
    remote "$BUILD/tests/e2e/trips" "$1" || fail "trips $1"
    polls=0 # until it has said bye
    while reply=$(raw '{"operation":"stats"}') && [ "$(value sessions "$reply")" != 0 ]; do
        polls=$((polls + 1))
    done
    echo $(($(value requests "$reply") - before - polls))
}

start_server
none=$(requests_of 0)
ten=$(requests_of 10)
is "ten rounds of getters, a search and a removal are twenty requests" "$((ten - none))" 20

# Create, train, two adds, then 512 and 486 together, ten searches, free; hello, bye, and the
# request that counts.
is "create, train, a thousand adds, ten searches and free are twenty requests" "$(requests_of pieces)" 20
