#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/examples/client.js prints what FAISS finds in its process, and shows an error.
. tests/e2e/lib.sh
need_index IDMap2,Flat

command -v node >/dev/null && command -v npm >/dev/null || skip_all "node and npm are not installed"
modules=$PWD/build/javascript
if ! NODE_PATH=$modules/node_modules node -e 'require("zeromq"); require("@msgpack/msgpack")' 2>/dev/null; then
    mkdir -p "$modules"
    if ! (cd "$modules" && timeout 300 npm install --no-audit --no-fund --fetch-retries 0 --prefix . zeromq@6.5.0 @msgpack/msgpack@3.1.2) \
        >"$TMP/npm.out" 2>&1; then
        skip_all "zeromq and @msgpack/msgpack cannot be installed by npm: $(tail -n 1 "$TMP/npm.out")"
    fi
fi
NODE_PATH=$modules/node_modules
export NODE_PATH

client=docs/examples/client.js
ok "it has at most 60 lines" test "$(wc -l <$client)" -le 60
"$BUILD/tests/e2e/catalogue" example - >"$TMP/faiss" || bail "FAISS fails in its process"

for options in "" --tcp; do
    # shellcheck disable=SC2086 # nothing, or one option
    start_server $options
    ok "it runs ${options:-on a Unix socket}" sh -c 'node "$1" "$2" >"$3"' - $client "$SERVER" "$TMP/out"
    head -n 3 "$TMP/out" >"$TMP/found"
    same "it finds what FAISS finds" "$TMP/found" "$TMP/faiss"
    is "and shows the error" "$(tail -n +4 "$TMP/out")" \
        "faissx: index_search: x must have 3 vectors of 8 float32, which are 3 * 32 bytes, but 48 bytes were given"
done
(umask 077 && echo '{"key-a": "alpha"}' >"$TMP/keys")
start_server --auth-file "$TMP/keys"
ok "it runs with an API key" sh -c 'node "$1" "$2" key-a >"$3"' - $client "$SERVER" "$TMP/out"
head -n 3 "$TMP/out" >"$TMP/found"
same "it finds the same" "$TMP/found" "$TMP/faiss"
like "and not with another key" "$(node $client "$SERVER" key-b 2>&1)" 'Invalid API key'
