#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The lives of tests/crash, in which some calls crash FAISS in process, must not end a server's
# engine.  One life in LIVES is run, because all of them take hours.  Not part of make check,
# because calls that sometimes never return would block it.  Run it directly, and not with
# tests/run, which derives BUILD from the path of a test:
#
#     FAISS_C=LIBRARY BUILD=build tests/crash/remote.sh
. tests/e2e/lib.sh
[ -z "$SANITIZER_RUNTIME" ] || LIVES=${LIVES:-2000}

start_server
stat_of pid >"$TMP/pid"
FAISSX_SERVER=$SERVER LD_PRELOAD=$SANITIZER_RUNTIME ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" \
    "$BUILD/tests/crash/crash" "$STAND_IN" --remote --sample "${LIVES:-300}" >"$TMP/lives" 2>"$TMP/log"
is "the lives run: $(tail -n 1 "$TMP/log")" $? 0 || diag "$(tail "$TMP/log")"
ok "enough lives run" [ "$(grep -c '^[a-z]*	' "$TMP/lives")" -gt 15 ]
# The fifth field has a D for a step in which the engine died.
is "no life ends the engine" "$(awk -F'\t' '$1 != "died" && $5 ~ /D/' "$TMP/lives" | head)" ""
is "the engine has not died" "$(stat_of pid)" "$(cat "$TMP/pid")"
is "no client dies or waits forever" "$(grep '^died' "$TMP/lives")" ""
ok "the server stops" stop_server
