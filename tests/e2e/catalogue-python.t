#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/examples/client.py prints what FAISS finds in its process, and shows an error.
. tests/e2e/lib.sh
need_index IDMap2,Flat

# The distribution's Python has the distribution's packages; another one may come first in PATH.
for python in python3 /usr/bin/python3 none; do
    "$python" -c 'import zmq, msgpack, numpy' 2>/dev/null && break
done
[ "$python" != none ] || skip_all "python3-zmq, python3-msgpack and python3-numpy are not installed"

client=docs/examples/client.py
ok "it has at most 60 lines" test "$(wc -l <$client)" -le 60
"$BUILD/tests/e2e/catalogue" example - >"$TMP/faiss" || bail "FAISS fails in its process"

(umask 077 && echo '{"key-a": "alpha"}' >"$TMP/keys")
for options in "" --tcp; do
    # shellcheck disable=SC2086 # nothing, or one option
    start_server $options
    ok "it runs ${options:-on a Unix socket}" sh -c '"$1" "$2" "$3" >"$4"' - "$python" $client "$SERVER" "$TMP/out"
    head -n 3 "$TMP/out" >"$TMP/found"
    same "it finds what FAISS finds" "$TMP/found" "$TMP/faiss"
    is "and shows the error" "$(tail -n +4 "$TMP/out")" \
        "faissx: index_search: x must have 3 vectors of 8 float32, which are 3 * 32 bytes, but 48 bytes were given"
done
start_server --auth-file "$TMP/keys"
ok "it runs with an API key" sh -c '"$1" "$2" "$3" key-a >"$4"' - "$python" $client "$SERVER" "$TMP/out"
head -n 3 "$TMP/out" >"$TMP/found"
same "it finds the same" "$TMP/found" "$TMP/faiss"
like "and not with another key" "$("$python" $client "$SERVER" key-b 2>&1)" 'Invalid API key'
