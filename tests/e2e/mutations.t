#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Requests that are nearly right, over TCP and a local socket: none crashes the front or the engine
# or makes a sanitizer report an error, and an ordinary client works beside them and after them.
# MUTATIONS is their number for each endpoint, MUTATIONS_SEED the first seed; `make fuzz` sends
# 100,000 to each.
. tests/e2e/attack.sh

n=${MUTATIONS:-3000}
seed=${MUTATIONS_SEED:-1}
start_tenants --threads 2 --memory "${MUTATIONS_MEMORY:-2048}" --max-pending 256
baseline
diag "MUTATIONS=$n MUTATIONS_SEED=$seed"

for AT in "$TCP" "$IPC"; do
    on=${AT%%:*}
    background beta attack victim "$AT" key-b
    said beta working || bail "no victim: $(cat "$TMP/beta.out")"
    timeout "${TEST_SECONDS:-280}" "$BUILD/tests/attack/attack" mutate "$AT" key-a "$n" "$seed" \
        >"$TMP/mutate.out" 2>&1
    is "$on: every request was answered, or its connection closed" $? 0 || sed 's/^/# /' "$TMP/mutate.out"
    like "$on: some requests succeeded, and some failed" "$(cat "$TMP/mutate.out")" \
        'ok=[1-9][0-9]+ errors=[1-9][0-9]+ .* closed=[1-9][0-9]+'
    ended beta
    like "$on: the other tenant's client kept working" "$(grep searches= "$TMP/beta.out")" ' wrong=0 failed=0 ' ||
        diag "$(cat "$TMP/beta.out")"
    ok "$on: the processes are the same" same_processes || grep -E '[0-9]Z (warn|error) ' "$SERVER_LOG" | tail -n 20 | sed 's/^/# /'
    like "$on: an ordinary client of the tenant works" \
        "$(SERVER=$AT FAISSX_API_KEY=key-a client 'new 0 Flat' 'add 0 100' 'search 0')" ': found '
    for pid in $FRONT $ALPHA; do
        eval "fds=\$FDS_$pid"
        ok "$on: no descriptor is leaked" wait_for back "$pid" "$fds"
    done
    diag "$(tail -n 1 "$TMP/mutate.out")"
    seed=$((seed + 1))
done
is "no sanitizer reports an error" "$(grep -E 'Sanitizer|runtime error' "$SERVER_LOG" | head -n 5)" ""
ok "the server stops" stop_server
