#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The disk of --data-dir is full while an index is trained that others change: their changes are
# undone, which takes the index out of memory while the training waits for its lock.  In a mount
# namespace of its own, on a small tmpfs.
. tests/e2e/disk.sh

make_disk 64m
op() { raw '{"operation":"index_'"$1"'","name":"'"$2"'"'"${3:+,$3}${4:+,\"_frames\":[$4]}"'}'; }
good() { like "$1" "$2" '"status":"ok"'; }

"$BUILD/tests/e2e/catalogue" numbers 16000 128 5 "$TMP/x"
head -c 5120 "$TMP/x" >"$TMP/few"
start_server --data-dir "$disk/data"
good "an index" "$(op create few '"d":128,"description":"Flat"')"
good "has some vectors" "$(op add few '"n":10' "\"file $TMP/few\"")"
good "one that waits for its training" "$(op create many '"d":128,"training":"auto","training_vectors":16000,"description":"PQ16x10np"')"
engine=$(stat_of pid)
good "gets enough" "$(op add many '"n":16000' "\"file $TMP/x\"")"
cat /dev/zero >"$disk/ballast" 2>/dev/null
merges() { for fx_i in $(seq 15); do op merge many '"from":"few"'; done >"$TMP/merged$1"; }
fx_pids=
for i in 1 2 3; do
    merges $i &
    fx_pids="$fx_pids $!"
done
for pid in $fx_pids; do wait "$pid"; done
like "changes that cannot be stored are undone" "$(cat "$TMP/merged1")" 'index_merge: the (index|change) could not be stored'
rm "$disk/ballast"
like "the index has what it had" "$(op info many)" '"ntotal":16000,'
good "and can be trained when there is space" "$(RAW_SECONDS=600 op train many)"
like "with all of it" "$(op info many)" '"ntotal":16000,.*"trained":1'
is "the engine has not ended" "$(stat_of pid)" "$engine"
