#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Ordinary arguments with which FAISS ends the process, or never returns, end as errors or
# as results, and the engine lives on.
. tests/e2e/lib.sh

stats() { "$BUILD/bin/faissx" stats --server "$SERVER"; }
pid_of_engine() { stats | sed -n 's/^pid //p'; }

start_server --threads 2
stats >/dev/null
engine=$(pid_of_engine)
for group in metrics types selectors lattice many descriptions range; do
    remote "$BUILD/tests/e2e/ordinary" $group >"$TMP/$group.out" 2>&1
    is "$group: $(tail -n 1 "$TMP/$group.out")" $? 0 || diag "$(cat "$TMP/$group.out")"
    is "the engine is the same" "$(pid_of_engine)" "$engine"
done
diag "$(grep -h -e 'k=' -e '^range:' -e 'description of' "$TMP"/*.out)"
ok "the server stops" stop_server
