#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# CURVE from another host (a network namespace): large arrays and files in both directions, with the
# same results as in the clear; and what the server says about endpoints that others can reach.
. tests/e2e/lib.sh
. bench/netns.sh
unset FAISSX_CURVE_SERVER_KEY FAISSX_CURVE_KEY_FILE
two_hosts || skip_all "there is no second host: $NO_NETNS"
trap 'fx_rc=$?; remove_hosts; (exit $fx_rc); fx_end' EXIT

# serve OPTION...: a server on the first host.
serve() {
    fx_nservers=$((${fx_nservers:-0} + 1))
    SERVER=tcp://$SERVER_ADDRESS:45678
    SERVER_LOG=$TMP/server$fx_nservers.log
    "${SERVER_HOST[@]}" "$BUILD/faissx-server" run --bind "$SERVER" "$@" >"$SERVER_LOG" 2>&1 &
    SERVER_PID=$!
    fx_servers="$fx_servers $SERVER_PID"
    wait_for grep -q event=listening "$SERVER_LOG" || bail "the server does not start: $(cat "$SERVER_LOG")"
}
# far COMMAND...: the client, on the other host.
far() {
    "${OTHER_HOST[@]}" env LD_PRELOAD="${SANITIZER_RUNTIME:+$SANITIZER_RUNTIME }$STAND_IN" \
        ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" FAISSX_SERVER="$SERVER" \
        FAISSX_FAISS_LIBRARY=/nonexistent "$BUILD/tests/e2e/client" "$@" 2>&1
}
KEY=$("$BUILD/bin/faissx" keygen --curve "$TMP/server.key")

serve
like "a server without CURVE warns of what others can read" "$(cat "$SERVER_LOG")" \
    'warn front event=not-encrypted endpoint=.* --curve-secret-file, or --insecure'
is "once" "$(grep -c event=not-encrypted "$SERVER_LOG")" 1
ok "it stops" stop_server
serve --insecure
is "not if that is intended" "$(grep -c event=not-encrypted "$SERVER_LOG")" 0
ok "it stops" stop_server

serve --curve-secret-file "$TMP/server.key" --log-level debug
like "a server that offers CURVE warns that clients need not use it" "$(cat "$SERVER_LOG")" 'event=encryption-optional endpoint='
# 300,000 vectors of 16 dimensions: several pieces of an upload, and an index file of several pieces.
set -- 'new 0 Flat' 'add 0 300000' 'search 0'
clear=$(far "$@" "write 0 $TMP/clear.index")
like "a client in the clear works" "$clear" "write 0 $TMP/clear.index: ok"
export FAISSX_CURVE_SERVER_KEY="$KEY"
secret=$(far "$@" "write 0 $TMP/secret.index" "read 1 $TMP/secret.index" 'total 1' 'search 1')
is "under CURVE the results are the same" "$(echo "$secret" | sed -n 1,3p)" "$(echo "$clear" | sed -n 1,3p)"
ok "the index file that was downloaded is the same" cmp "$TMP/clear.index" "$TMP/secret.index"
like "and can be uploaded" "$secret" "read 1 $TMP/secret.index: ok"
is "with the same vectors" "$(echo "$secret" | tail -n 2 | sed 's/ 1:/ 0:/')" "total 0: 300000
$(echo "$clear" | sed -n 3p)"
is "all of that went over one connection under CURVE" \
    "$(grep -c 'event=admitted .*mechanism=CURVE' "$SERVER_LOG")" 1
ok "it stops" stop_server

serve --curve-secret-file "$TMP/server.key" --require-encryption
is "a server that requires CURVE does not warn" "$(grep -c -e event=not-encrypted -e event=encryption-optional "$SERVER_LOG")" 0
is "it serves a client with CURVE" "$(far 'new 0 Flat')" 'new 0 Flat: ok'
unset FAISSX_CURVE_SERVER_KEY
like "and no other" "$(far 'new 0 Flat')" 'this server requires encryption'
ok "it stops" stop_server
