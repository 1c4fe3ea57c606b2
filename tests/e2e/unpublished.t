#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An index may be unpublished while a change of it is being stored, or waits.
. tests/e2e/lib.sh

start_server --data-dir "$TMP/data"
engine=$(stat_of pid)
store=$TMP/data/tenants/default

# Makes a change that is stored as the state it led to: the whole index is written.  Succeeds if the
# index was unpublished before that ended.
in_time() {
    tell c 'merge 0 1'
    for fx_i in $(seq 50000); do
        set -- "$store"/tmp-*
        [ ! -e "$1" ] || break
    done
    "$BUILD/bin/faissx" rm --server "$SERVER" "$name"
    [ -e "$1" ]
}

# Larger ones take longer to write.
talk c
size=200000
hits=0
while [ $hits -lt 2 ] && [ $size -lt 5000000 ]; do
    name=n$size
    for fx_what in 'new 0 IVF4,Flat' 'learn 0 200' "add 0 $size" 'new 1 IVF4,Flat' 'learn 1 200' \
        'add 1 10' "write 0 faissx://$name"; do
        ask c "$fx_what" >/dev/null
    done
    when=late
    in_time && when="in time" && hits=$((hits + 1))
    is "$size vectors, $when: the change succeeds" "$(hear c)" ok
    is "$size vectors: the index has it" "$(ask c 'total 0')" $((size + 10))
    ask c 'free 0' >/dev/null
    ask c 'free 1' >/dev/null
    [ "$when" = "in time" ] || size=$((size * 3 / 2))
done
ok "it was unpublished while a change was being stored" [ $hits -gt 0 ]
is "no index is published" "$("$BUILD/bin/faissx" list --server "$SERVER")" ""
is "the engine lives" "$(stat_of pid)" "$engine"
ok "no file of an unpublished index is left" \
    wait_for sh -c "! ls '$store' | grep -q 'faiss\|tmp-'"
ok "the server stops" stop_server

# A change waits for another one; meanwhile the index is unpublished, and published under another
# name as the first one has left it.
aside() { remote "$BUILD/tests/torture/aside" "$@"; }
start_server --data-dir "$TMP/again" --library "$BUILD/tests/torture/crashing.so"
aside faissx://x new add 2 >/dev/null
aside faissx://x slow >"$TMP/slow" &
first=$!
sleep 0.5
aside faissx://x add 3 >"$TMP/second" &
second=$!
aside faissx://x pause pause publish faissx://y >"$TMP/publish" &
publisher=$!
sleep 0.5
ok "an index is unpublished while two changes are under way" "$BUILD/bin/faissx" rm --server "$SERVER" x
wait "$publisher" "$first" "$second"
is "both succeed, and it is published again" "$(cat "$TMP/slow" "$TMP/second" "$TMP/publish")" \
    "$(printf 'slow: ok\nadd: ok\npublish: ok')"
kill -9 "$(stat_of pid)"
is "both are there after a restart" "$(aside faissx://y total)" "total: 6"
ok "the server stops" stop_server
