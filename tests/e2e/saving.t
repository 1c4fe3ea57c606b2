#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A large index is sent while FAISS writes it: nobody changes it meanwhile, and nothing of it is left
# if its client goes.
. tests/e2e/lib.sh
saving() { remote "$BUILD/tests/e2e/saving" "$@" 2>&1; }

start_server --lease 1
is "vectors that are added meanwhile come after it" "$(saving adds)" "same, then 1000"
is "the index may be freed meanwhile" "$(saving frees)" "same"
is "a file that becomes full is an error, and no more" "$(saving stops)" "error, then 0"
pid=$(stat_of pid)
memory() { sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status"; }
less() { [ "$(memory)" -lt $((before + 20000)) ]; }
before=$(memory)
(saving dies) >"$TMP/out" 2>&1
is "a client is killed in the midst of it" $? 137
# A sanitizer keeps what was freed.
[ -n "$SANITIZER_RUNTIME" ] || ok "nothing of it is left ($before kB before)" wait_for less
is "the engine is the same" "$(stat_of pid)" "$pid"
is "and serves the next one" "$(saving adds)" "same, then 1000"
ok "it stops" stop_server
