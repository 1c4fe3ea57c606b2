#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Calls that crash FAISS in process return an error, or a result, in a program that was started with
# `faissx run`, and its engine survives.
. tests/e2e/lib.sh

stats() { "$BUILD/bin/faissx" stats --server "$SERVER"; }
pid_of_engine() { stats | sed -n 's/^pid //p'; }

# `faissx run` knows its stand-in; a sanitizer has to come before that.
run() {
    env LD_PRELOAD="$SANITIZER_RUNTIME" ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" \
        FAISSX_FAISS_LIBRARY=/nonexistent "$BUILD/bin/faissx" run --server "$SERVER" "$@"
}

start_server --threads 2
stats >/dev/null
engine=$(pid_of_engine)

# With a sanitizer, trying calls in copies of the engine is slow: every fourth kind of index.
[ -z "$SANITIZER_RUNTIME" ] || export CRASH_EVERY=4
run "$BUILD/tests/e2e/crash" >"$TMP/crash.out" 2>&1
is "arguments that crash FAISS: $(tail -n 1 "$TMP/crash.out")" $? 0 || diag "$(cat "$TMP/crash.out")"
is "the engine has not died" "$(pid_of_engine)" "$engine"

nm -D --defined-only "$STAND_IN" | sed -n 's/.* \(faiss_.*\)/\1/p' >"$TMP/names"
run "$BUILD/tests/e2e/lifetime" <"$TMP/names" >"$TMP/lifetime.out" 2>&1
is "objects freed or of another kind: $(tail -n 1 "$TMP/lifetime.out")" $? 0 ||
    diag "$(cat "$TMP/lifetime.out")"
is "the engine has not died" "$(pid_of_engine)" "$engine"
ok "the server stops" stop_server
