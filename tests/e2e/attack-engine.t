#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Attacks by clients with a key, on the engine of their own tenant: memory grows only with what has
# arrived, no client blocks the tenant's others, and the other tenant is not affected.
. tests/e2e/attack.sh

FRONT_MIB=16
start_tenants --memory 4096
baseline

for AT in "$TCP" "$IPC"; do
    on=${AT%%:*}
    under "$on: a message without an end" $FRONT_MIB 160 attack flood "$AT" more 64 key-a
    for kind in empty messages commands pings; do
        under "$on: 38 MiB of $kind" $FRONT_MIB 32 attack flood "$AT" $kind 38 key-a
    done
    under "$on: PING without an end on 8 connections" $FRONT_MIB 32 attack flood "$AT" pings 400 key-a 8
    is "$on: they are ended" "$(grep -c ' closed ' "$TMP/attack.out")" 8
    under "$on: frames of 2^60 bytes" $FRONT_MIB 32 attack huge "$AT" key-a
    under "$on: 250 times 8 MiB announced" $FRONT_MIB 32 attack announce "$AT" 250 key-a
    HOLD=2 under "$on: 5000 idle connections" $FRONT_MIB 80 attack idle "$AT" 5000 5000 key-a
    # Each has one result in transit and one more in its queue; and each lane of wide work has a
    # buffer of OpenBLAS, most of which is never touched.
    ENGINE_DATA=1800 under "$on: 32 strangers that do not read" $FRONT_MIB 400 attack strangers "$AT" key-a 32
    like "$on: clients that read late get their results" "$(cat "$TMP/attack.out")" ' refused=0$'
    under "$on: a thousand requests at once" $FRONT_MIB 300 attack pipeline "$AT" key-a 1000
    under "$on: PING while a request is under way" $FRONT_MIB 64 attack pong "$AT" key-a
    under "$on: sessions of another" $FRONT_MIB 32 attack tokens "$AT" key-a key-b
done

# What an engine serves costs the front nothing.
for AT in "$TCP" "$IPC"; do
    background calls attack requests "$AT" key-a 20000
    said calls holding
    sleep 0.5
    background front attack cpu 3 "$FRONT"
    ended calls
    ended front
    like "${AT%%:*}: the requests were answered" "$(cat "$TMP/calls.out")" '^20000 requests$'
    ok "${AT%%:*}: the front used no CPU time for them" at_most "$(cat "$TMP/front.out")" 20
done

is "the log has no error" "$(grep -E ' error ' "$SERVER_LOG")" ""
like "the log is not flooded" "$(wc -c <"$SERVER_LOG")" '^[0-9]{1,6}$'
ok "the server stops" stop_server
