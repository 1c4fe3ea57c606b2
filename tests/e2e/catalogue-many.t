#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Many clients of the catalogue at once: their searches are done together with the same bits as alone,
# and the parameters of a request are those of no other one.
. tests/e2e/lib.sh

user=$BUILD/tests/e2e/catalogue
op() { raw '{"operation":"index_'"$1"'","name":"'"$2"'"'"${3:+,$3}${4:+,\"_frames\":[$4]}"'}'; }
# searches KEYS REPEAT: the different lines of all replies.
searches() {
    RAW_HEX=1 raw '{"operation":"index_search","n":1,"k":5,'"$1"',"_repeat":'"$2"',"_frames":["file '"$TMP"'/q"]}' |
        grep '^<' | sort -u
}
# crowd N KEYS: N clients at once, each with 60 searches, add what they got to $TMP/crowd.
crowd() {
    for client in $(seq "$1"); do
        searches "$2" 60 >"$TMP/$client.lines" &
        clients="$clients $!"
    done
}

"$user" numbers 20000 16 1 "$TMP/x"
"$user" numbers 1 16 7 "$TMP/q"
start_server --threads 1
op create flat '"d":16,"type":"flat"' >"$TMP/made"
op add flat '"n":20000' '"file '"$TMP"'/x"' >>"$TMP/made"
is "an index is made" "$(grep -c '"status":"ok"' "$TMP/made")" 2

searches '"name":"flat"' 1 >"$TMP/alone"
clients=
crowd 24 '"name":"flat"'
# shellcheck disable=SC2086 # a list of processes
wait $clients
for client in $(seq 24); do cat "$TMP/$client.lines"; done | sort -u >"$TMP/together"
same "together, each gets the bits that one gets alone" "$TMP/together" "$TMP/alone"
# FAISS before 1.7.2 breaks ties in another way, so each search is done alone.
if has faiss_IndexFlat1D_cast; then
    ok "searches were done together" [ "$(stat_of batched_searches)" -gt 0 ]
else
    is "no searches were done together" "$(stat_of batched_searches)" 0
fi

start_server --threads 3
op create lists '"d":16,"type":"ivf_flat","nlist":16' >"$TMP/made"
op train lists '"n":20000' '"file '"$TMP"'/x"' >>"$TMP/made"
op add lists '"n":20000' '"file '"$TMP"'/x"' >>"$TMP/made"
is "inverted lists are made" "$(grep -c '"status":"ok"' "$TMP/made")" 3
clients=
searches '"name":"lists"' 1 >"$TMP/own"
searches '"name":"lists","params":{"nprobe":16}' 1 >"$TMP/wide"
ok "nprobe makes a difference" sh -c '! cmp -s "$1" "$2"' - "$TMP/own" "$TMP/wide"
for kind in own wide; do
    params=
    [ $kind = wide ] && params=',"params":{"nprobe":16}'
    for client in 1 2 3 4 5 6; do
        searches '"name":"lists"'"$params" 60 >"$TMP/$kind.$client" &
        clients="$clients $!"
    done
done
# shellcheck disable=SC2086 # a list of processes
wait $clients
for kind in own wide; do
    for client in 1 2 3 4 5 6; do cat "$TMP/$kind.$client"; done | sort -u >"$TMP/all.$kind"
    same "those with$([ $kind = own ] && echo out) nprobe get what they asked for" "$TMP/all.$kind" "$TMP/$kind"
done
like "and the index has its own" "$(op get_parameter lists '"parameter":"nprobe"')" '"value":1}'
