#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Lives of which some calls end FAISS in process (tests/crash): led on a server, they end no
# engine.  One in LIVES of them, for all take hours.  Not a part of make check: calls that never
# end, by chance, hold it up.  BUILD=build tests/run tests/crash/remote.sh does not work, for the
# tests find BUILD by their path: FAISS_C=LIBRARY BUILD=build tests/crash/remote.sh.
. tests/e2e/lib.sh
[ -z "$SANITIZER_RUNTIME" ] || LIVES=${LIVES:-2000}

start_server
stat_of pid >"$TMP/pid"
FAISSX_SERVER=$SERVER LD_PRELOAD=$SANITIZER_RUNTIME ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" \
    "$BUILD/tests/crash/crash" "$STAND_IN" --remote --sample "${LIVES:-300}" >"$TMP/lives" 2>"$TMP/log"
is "lives are led: $(tail -n 1 "$TMP/log")" $? 0 || diag "$(tail "$TMP/log")"
ok "some of them" [ "$(grep -c '^[a-z]*	' "$TMP/lives")" -gt 15 ]
# The fifth field has a D for a step in which the engine died.
is "none ends the engine" "$(awk -F'\t' '$1 != "died" && $5 ~ /D/' "$TMP/lives" | head)" ""
is "it is the same" "$(stat_of pid)" "$(cat "$TMP/pid")"
is "nor does the client die or wait for ever" "$(grep '^died' "$TMP/lives")" ""
ok "the server stops" stop_server
