#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# faissx-server backup and restore: what is damaged, missing or cannot be read in a target.
. tests/e2e/lib.sh

admin() { "$BUILD/faissx-server" "$@" 2>&1; }
flip() { perl -e 'open F, "+<", shift or die; my $at = shift; seek F, $at, 0; read F, $_, 1;
    seek F, $at, 0; print F chr(ord ^ 255)' "$1" "$2"; }
# again [OPTION...] TARGET: restores into $TMP/r, from nothing.
again() { rm -rf "$TMP/r" && admin restore "$@" "$TMP/r"; }

data=$TMP/data
start_server --data-dir "$data"
client 'new 0 Flat' 'add 0 3000' 'write 0 faissx://flat' 'add 0 5000' >"$TMP/out"

# --- a snapshot that backups share ---

target=$TMP/shared
ok "a backup" admin backup "$data" "$target"
snapshot=$(ls "$target"/files/default/*.faiss)
cp "$snapshot" "$TMP/whole"
for how in 'rm' 'truncate -s 100' 'truncate -s 0'; do
    $how "$snapshot"
    is "a snapshot is damaged: $how" "$(admin verify "$target" >/dev/null; echo $?)" 1
    ok "the next backup succeeds" admin backup "$data" "$target"
    ok "and mends all that share it" admin verify "$target"
    same "it is in its old place" "$snapshot" "$TMP/whole"
    ok "they can be restored" again "$target"
done
is "nothing is left over" "$(ls "$target"/files/default/*.faiss*)" "$snapshot"
