#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Attacks by clients without a key, over TCP and the local socket: the front's memory for them is
# bounded, no client gets another's data, and two tenants keep working.
. tests/e2e/attack.sh

FRONT_MIB=16 # 1024 places of 8 KiB, and as much again
start_tenants
baseline

for AT in "$TCP" "$IPC"; do
    on=${AT%%:*}
    under "$on: identities that are another's" $FRONT_MIB 16 attack identity "$AT" key-a 2000
    under "$on: a message without an end" $FRONT_MIB 16 attack flood "$AT" more 64
    for kind in empty messages commands pings; do
        under "$on: 38 MiB of $kind" $FRONT_MIB 16 attack flood "$AT" $kind 38
    done
    under "$on: frames of 2^60 bytes" $FRONT_MIB 16 attack huge "$AT"
    under "$on: 250 times 8 MiB announced" $FRONT_MIB 16 attack announce "$AT" 250
    under "$on: conversations cut off" $FRONT_MIB 16 attack cut "$AT" key-a
    under "$on: 5000 connections that come and go" $FRONT_MIB 16 attack storm "$AT" 5000
    under "$on: first messages without a key" $FRONT_MIB 16 attack keyless "$AT" key-a
    under "$on: first messages that are too large" $FRONT_MIB 16 attack first "$AT" key-a
    under "$on: openings that are refused" $FRONT_MIB 16 attack refused "$AT"
    HOLD=3 under "$on: 20000 that shook hands" $FRONT_MIB 16 attack idle "$AT" 20000 20000
done

# Attacks that end with the front's deadline take ten seconds: run them on both endpoints at once.
both() {
    attack "$1" "$TCP" "$2" &
    attack "$1" "$IPC" "$2" && wait $!
}
AT=$TCP
under "slow openers" $FRONT_MIB 16 both slow key-a
under "2 times 3000 that say nothing" $FRONT_MIB 16 both silent 3000

AT=$IPC
under "descriptors in openings" $FRONT_MIB 32 attack fds "$AT" key-a 120

is "the log has no error" "$(grep -E ' error ' "$SERVER_LOG")" ""
like "the log is not flooded" "$(wc -c <"$SERVER_LOG")" '^[0-9]{1,6}$'
ok "the server stops" stop_server
