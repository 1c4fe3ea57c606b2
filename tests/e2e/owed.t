#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A thread that ends before it has read all replies to its requests: no other thread takes them for
# its own.
. tests/e2e/lib.sh
owed() { remote "$BUILD/tests/e2e/owed" "$@"; }

start_server --library "$BUILD/tests/torture/crashing.so"
# ASan does not survive pthread_exit() in a signal handler.
for how in cancel $([ -n "$SANITIZER_RUNTIME" ] || echo exit); do
    is "$how: the next thread finds its own neighbour" "$(owed $how)" "0, vector 7"
done
ok "the server stops" stop_server
