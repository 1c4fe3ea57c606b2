#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Clients, engines and servers are killed at random: what was acknowledged is there, once, and what
# was seen stays.  TORTURE_SECONDS and TORTURE_SEED make it longer, or another one.
. tests/e2e/lib.sh

need_index IDMap2,Flat
seconds=${TORTURE_SECONDS:-25}
seed=${TORTURE_SEED:-14}

# torture NAME SHARE DURABILITY [OPTION OF THE SERVER...]: for SHARE tenths of the time.
torture() {
    fx_dir=$TMP/$1
    fx_share=$2
    fx_mode=$3
    shift 3
    mkdir "$fx_dir"
    ASAN_OPTIONS="detect_leaks=0:$ASAN_OPTIONS" "$BUILD/tests/torture/torture" --dir "$fx_dir" --build "$BUILD" \
        --preload "${SANITIZER_RUNTIME:+$SANITIZER_RUNTIME }$STAND_IN" --seed "$seed" \
        --seconds $((seconds * fx_share / 10)) --durability "$fx_mode" -- "$@" >"$fx_dir.out" 2>&1
    is "--durability $fx_mode${1:+ $*}: nothing acknowledged is lost, doubled, or vanishes" "$?" 0
    diag "$(cat "$fx_dir.out")"
    cp "$fx_dir/server.log" "$TMP/server-${fx_dir##*/}.log" # is looked through at the end
}

torture always 4 always
torture sessions 2 always --keep sessions
torture interval 2 interval=50
torture snapshot 2 snapshot
