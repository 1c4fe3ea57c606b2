#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Functions that only forks of FAISS have: the server makes them of others.
. tests/e2e/lib.sh

start_server
remote "$BUILD/tests/e2e/extras" >"$TMP/out" 2>&1
is "as what they are made of: $(tail -n 1 "$TMP/out")" $? 0 || diag "$(cat "$TMP/out")"
ok "the server stops" stop_server
