#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Clients, engines and servers are killed at random: what was acknowledged is there, once, and what
# was seen stays.  TORTURE_SECONDS and TORTURE_SEED make it longer, or another one.
. tests/e2e/lib.sh

seconds=${TORTURE_SECONDS:-10}
seed=${TORTURE_SEED:-14}

torture() {
    mkdir "$TMP/$1"
    ASAN_OPTIONS="detect_leaks=0:$ASAN_OPTIONS" "$BUILD/tests/torture/torture" --dir "$TMP/$1" --build "$BUILD" \
        --preload "${SANITIZER_RUNTIME:+$SANITIZER_RUNTIME }$STAND_IN" --seed "$seed" \
        --seconds "$2" --durability "$3" >"$TMP/$1.out" 2>&1
    is "--durability $3: nothing acknowledged is lost, doubled, or vanishes" "$?" 0
    diag "$(cat "$TMP/$1.out")"
    cp "$TMP/$1/server.log" "$TMP/server-$1.log" # is looked through at the end
}

torture always "$seconds" always
torture interval "$((seconds / 2))" interval=50
torture snapshot "$((seconds / 2))" snapshot
