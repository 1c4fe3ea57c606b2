#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The engine keeps a large reply to `save` until the client fetches it, or asks for something else.
. tests/e2e/lib.sh

start_server --lease 300
session=$(value session "$(raw '{"operation":"hello","protocol":1}')")
index=$(handle "$(raw '{"operation":"faiss_index_factory","session":"'"$session"'","args":[true,4096,"Flat",1]}')")
add='{"operation":"faiss_Index_add","session":"'"$session"'","args":['"$index"',512,0],"_frames":["zero 8388608"]}'
is "an index of 32 MiB is made" "$(raw "$add" "$add" "$add" "$add" | grep -c '"status":"ok"')" 4
save() {
    raw '{"operation":"save","session":"'"$session"'","handle":'"$index"',"request_id":'"$1"',
        "caller":"hex:000102030405060708090a0b0c0d0e0f"}'
}
memory() { sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(stat_of pid)/status"; }

first=$(save 1)
download=$(printf '%s\n' "$first" | sed -n 's/.*"big":\[\["download",\("uint:[0-9]*"\),.*/\1/p')
fetch() {
    raw '{"operation":"download","session":"'"$session"'","id":'"$download"',"offset":0,"size":4096}'
}
is "a request that is sent again gets the same answer" "$(save 1)" "$first"
before=$(memory)
for i in 2 3 4 5 6 7 8 9; do save $i >"$TMP/out"; done
like "the last is answered" "$(cat "$TMP/out")" '"status":"ok"'
# A sanitizer keeps what was freed.
less() { [ "$(memory)" -lt $((before + 100000)) ]; }
[ -n "$SANITIZER_RUNTIME" ] || ok "eight that nobody fetches do not add up ($before kB before)" wait_for less
like "what is not wanted any more is gone" "$(fetch)" '"kind":"argument"'

download=$(sed -n 's/.*"big":\[\["download",\("uint:[0-9]*"\),.*/\1/p' "$TMP/out")
like "the last is fetched" "$(fetch)" '"status":"ok"'
save 10 >"$TMP/out"
like "what was begun to be fetched stays" "$(fetch)" '"status":"ok"'
ok "the server stops" stop_server
