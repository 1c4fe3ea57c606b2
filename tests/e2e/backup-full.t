#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# faissx-server backup to a disk that is full of what earlier backups have left that were killed or had
# no space: without it, there is enough.
. tests/e2e/disk.sh

make_disk 2m
admin() { "$BUILD/faissx-server" "$@" 2>&1; }
flip() { perl -e 'open F, "+<", shift or die; my $at = shift; seek F, $at, 0; read F, $_, 1;
    seek F, $at, 0; print F chr(ord ^ 255)' "$1" "$2"; }

data=$TMP/data
target=$disk/backups
start_server --data-dir "$data"
client 'new 0 Flat' 'add 0 3000' 'write 0 faissx://flat' >"$TMP/out"
ok "a backup to a small disk" admin backup "$data" "$target"
client 'read 0 faissx://flat' 'add 0 9000' >"$TMP/out"
mkdir "$target/2001-01-01T00:00:00.000Z"
head -c 200000 /dev/zero >"$target/2001-01-01T00:00:00.000Z/default.db"
head -c 20000000 /dev/zero 2>/dev/null >"$target/files/default/9-0-left.faiss"
is "the disk is full" "$(df --output=avail "$disk" | tail -n 1 | tr -d ' ')" 0
flip "$(ls "$target"/*.json)" 100
is "while a manifest is damaged, nothing is removed" "$(admin backup "$data" "$target" >/dev/null; echo $?)" 1
ok "as it may need it" test -e "$target/files/default/9-0-left.faiss"
flip "$(ls "$target"/*.json)" 100
ok "else, the next backup has the space" admin backup "$data" "$target"
is "and nothing is left over" "$(ls -d "$target"/2001* "$target"/files/default/*left* 2>/dev/null)" ""
ok "the backups are good" admin verify "$target"
