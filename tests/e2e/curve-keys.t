#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# CURVE's keys: how they are made and kept, settings that are wrong, and clients that are known by
# their keys.
. tests/e2e/lib.sh
unset FAISSX_CURVE_SERVER_KEY FAISSX_CURVE_KEY_FILE

keygen() { "$BUILD/bin/faissx" keygen --curve "$1" 2>&1; }

# --- making keys ---

KEY=$(keygen "$TMP/server.key")
like "keygen prints the public key" "$KEY" '^[^ ]{40}$'
is "and writes it to FILE.pub" "$(cat "$TMP/server.key.pub")" "$KEY"
is "the secret key can be read by its owner only" "$(stat -c %a "$TMP/server.key")" 600
like "a second keygen refuses to overwrite it" "$(keygen "$TMP/server.key")" 'it exists; a key is never overwritten'
rm "$TMP/server.key"
like "nor does it overwrite the public key" "$(keygen "$TMP/server.key")" 'it exists'
is "and leaves no secret key without one" "$(ls "$TMP")" server.key.pub
rm "$TMP/server.key.pub"
like "keygen wants to know the kind of key" "$("$BUILD/bin/faissx" keygen "$TMP/other" 2>&1)" 'say what kind of key: --curve'
KEY=$(keygen "$TMP/server.key") ALICE=$(keygen "$TMP/alice.key") BOB=$(keygen "$TMP/bob.key")
keygen "$TMP/eve.key" >/dev/null

# --- servers that do not start ---

refused() { timeout 20 "$BUILD/faissx-server" run --bind "ipc://$TMP/none" "$@" 2>&1; }
chmod 604 "$TMP/server.key"
like "a server refuses a secret key that others can read" "$(refused --curve-secret-file "$TMP/server.key")" \
    "^faissx-server: --curve-secret-file: '.*server.key': other users may read or change it \\(mode 604\\)"
chmod 600 "$TMP/server.key"
like "a file that is not there" "$(refused --curve-secret-file "$TMP/no.key")" 'cannot open it'
echo "nothing" >"$TMP/bad" && chmod 600 "$TMP/bad"
like "a file without a key" "$(refused --curve-secret-file "$TMP/bad")" 'does not have a secret key of 40 characters'
like "encryption cannot be required without a key" "$(refused --require-encryption)" \
    'require-encryption: nothing can be encrypted'
like "nor clients be known by keys" "$(refused --curve-clients "$TMP/bad")" 'curve-clients: clients cannot show'
clients() {
    printf '%s\n' "$1" >"$TMP/clients"
    refused --curve-secret-file "$TMP/server.key" --curve-clients "$TMP/clients"
}
like "a list of clients with a bad line" "$(clients "# comment
$ALICE")" "clients', line 2: expected a public key"
like "with a bad key" "$(clients "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~ x")" "line 1: the key is not a CURVE key"
like "with a bad tenant" "$(clients "$ALICE ../x")" "line 1: the tenant "
like "with a key twice" "$(clients "$ALICE a
$ALICE b")" "line 2: the key is already defined"
like "with a line that is too long" "$(clients "$ALICE $(printf '%0600d' 1)")" "line 1: the line is too long"
printf '%s a\n' "$ALICE" >"$TMP/clients" && chmod 666 "$TMP/clients"
like "that other users may write" \
    "$(refused --curve-secret-file "$TMP/server.key" --curve-clients "$TMP/clients")" 'other users may change it'
like "that is a directory" "$(refused --curve-secret-file "$TMP/server.key" --curve-clients "$TMP")" 'cannot read it'

echo '{"key-a": "alpha"}' >"$TMP/keys" && chmod 622 "$TMP/keys"
like "a file of API keys that other users may write" "$(refused --auth-file "$TMP/keys")" \
    "^faissx-server: --auth-file: '.*keys': other users may change it \(mode 622, owner [0-9]+\)"
chmod 600 "$TMP/keys"
if [ "$(id -u)" = 0 ]; then
    chown 1 "$TMP/keys"
    like "or that belongs to another user" "$(refused --auth-file "$TMP/keys")" \
        'other users may change it \(mode 600, owner 1\)'
fi
rm -f "$TMP/keys"

like "an empty key of a server is an error, and not a connection without CURVE" \
    "$("$BUILD/bin/faissx" list --server tcp://127.0.0.1:1 --curve-server-key '' 2>&1)" "a value is missing after '--curve-server-key'"

# --- settings of a client ---

start_server --tcp --curve-secret-file "$TMP/server.key"
# with SETTING: what a client says that has this setting and the server's key.
with() {
    remote env FAISSX_CURVE_SERVER_KEY="$KEY" "$@" "$BUILD/tests/e2e/client" 'new 0 Flat' 2>&1
}
is "a client with the server's key is served" "$(with X=)" 'new 0 Flat: ok'
like "one that expects another server's key is refused" "$(with FAISSX_CURVE_SERVER_KEY="$ALICE")" \
    "cannot connect to tcp.*: the server refused the connection: CURVE's HELLO is not for this server"
like "a server's key that is none" "$(with FAISSX_CURVE_SERVER_KEY=abc)" \
    "-4 faissx: FAISSX_CURVE_SERVER_KEY .3 characters. must be a public CURVE key, which has 40 characters and is in the file FILE.pub that faissx keygen has made"
like "a file without a key" "$(with FAISSX_CURVE_KEY_FILE="$TMP/bad")" "-4 faissx: FAISSX_CURVE_KEY_FILE is '.*bad': it does not"
chmod 644 "$TMP/eve.key"
like "a secret key that others can read" "$(with FAISSX_CURVE_KEY_FILE="$TMP/eve.key")" 'other users may read or change it'
chmod 600 "$TMP/eve.key"
like "an own key without the server's is no reason to go on in the clear" \
    "$(with FAISSX_CURVE_SERVER_KEY= FAISSX_CURVE_KEY_FILE="$TMP/alice.key")" 'but FAISSX_CURVE_SERVER_KEY is not'
like "the command line says the same" \
    "$("$BUILD/bin/faissx" health --server "$SERVER" --curve-key-file "$TMP/alice.key" 2>&1)" 'but FAISSX_CURVE_SERVER_KEY is not'
ok "the server stops" stop_server

# --- clients that are known by their keys ---

cat >"$TMP/clients" <<END
# who is who
$ALICE  alpha

$BOB	beta
END
chmod 644 "$TMP/clients"
(umask 077 && echo '{"key-a": "alpha", "key-c": "gamma"}' >"$TMP/keys")
serve() { start_server --tcp --curve-secret-file "$TMP/server.key" --log-level debug "$@"; }
serve --curve-clients "$TMP/clients" --auth-file "$TMP/keys"
# as NAME [API-KEY [TENANT]]: a client with the secret key of that name.
as() {
    with FAISSX_CURVE_KEY_FILE="$TMP/$1.key" FAISSX_API_KEY="${2:-}" FAISSX_TENANT_ID="${3:-}"
}
for who in alice bob; do
    is "$who's key needs no API key" "$(as $who)" 'new 0 Flat: ok'
done
for tenant in alpha beta; do
    like "an engine of $tenant was started" "$(cat "$SERVER_LOG")" "event=engine-started tenant=$tenant "
done
is "with an API key of its tenant as well" "$(as alice key-a)" 'new 0 Flat: ok'
like "not with one of another tenant" "$(as bob key-a)" 'API key does not belong to tenant'
like "not with one that is none" "$(as bob key-x)" 'Invalid API key'
like "a key that is not in the list needs an API key" "$(as eve)" 'API key required'
is "and may have one" "$(as eve key-c)" 'new 0 Flat: ok'
like "a client without a key of its own needs one, too" "$(with X=)" 'API key required'
like "so does a client without CURVE" "$(client 'new 0 Flat' 2>&1)" 'API key required'
is "a listed client may name its tenant" "$(as bob '' beta)" 'new 0 Flat: ok'
like "but no other" "$(as bob '' alpha)" 'CURVE key does not belong to tenant'
ok "the server stops" stop_server

serve --curve-clients "$TMP/clients"
like "without any API keys, a key that is not in the list is of no use" "$(as eve)" 'API key required'
like "nor is a connection without CURVE" "$(client 'new 0 Flat' 2>&1)" 'API key required'
is "one in the list is" "$(as alice)" 'new 0 Flat: ok'
is "an API key that the server cannot know is ignored then" "$(as alice any)" 'new 0 Flat: ok'
ok "the server stops" stop_server
for secret in alice bob eve server; do
    is "the secret key of $secret is in no log" "$(grep -cF -- "$(tail -n 1 "$TMP/$secret.key")" "$TMP"/server*.log | grep -v ':0$')" ""
done
