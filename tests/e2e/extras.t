#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Functions that only forks of FAISS have: the server implements them with others.
. tests/e2e/lib.sh

start_server
remote "$BUILD/tests/e2e/extras" >"$TMP/out" 2>&1
is "they return what the functions they are made of return: $(tail -n 1 "$TMP/out")" $? 0 || diag "$(cat "$TMP/out")"
ok "the server stops" stop_server
