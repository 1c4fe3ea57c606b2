#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# FAISSx's Python client from PyPI, unmodified and at a pinned version: each class of index, and each
# operation, with this server as without one.
. tests/e2e/lib.sh
has faiss_IndexIDMap2_cast || skip_all "indexes with ids need IDMap2, which came with FAISS 1.7.2"

pinned=0.20260422.2
venv=${BUILD%-*}/faissx-client-$pinned
case $BUILD in *-address | *-thread) ;; *) venv=$BUILD/faissx-client-$pinned ;; esac
python=$venv/bin/python
if ! "$python" -c 'import faissx.client, faiss' 2>/dev/null; then
    rm -rf "$venv"
    if ! { python3 -m venv "$venv" && timeout 300 "$venv/bin/pip" -q install "faissx==$pinned"; } >"$TMP/pip.out" 2>&1; then
        rm -rf "$venv"
        skip_all "faissx $pinned cannot be installed from PyPI: $(tail -n 1 "$TMP/pip.out")"
    fi
fi

start_server --tcp --auth-keys 'key:t'
engine() { value pid "$(raw '{"operation":"stats","api_key":"key"}')"; }
first=$(engine)
before=$(stat_of requests key)
timeout 200 "$python" tests/dialect/client.py "$SERVER" key >"$TMP/client.out" 2>"$TMP/client.err"
is "the client ends" $? 0 || sed 's/^/# /' "$TMP/client.err"
grep '^#' "$TMP/client.out"
sed -n 's/^ok [0-9]* - //p' "$TMP/client.out" >"$TMP/good"
sed -n 's/^not ok [0-9]* - //p' "$TMP/client.out" >"$TMP/bad"
while IFS= read -r name; do pass "$name"; done <"$TMP/good"
while IFS= read -r name; do fail "$name"; done <"$TMP/bad"
is "every case was run" "$(cat "$TMP/good" "$TMP/bad" | wc -l)" 16
requests=$(($(stat_of requests key) - before))
ok "the server was asked in every case ($requests requests)" [ $requests -ge 64 ] # four each
is "the engine is the same" "$(engine)" "$first"
