#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# With --data-dir, an index that is only read stays in its snapshot's file, if FAISS can do that (from
# release 1.12 on), and is read into memory before it is changed.  With older releases the same calls
# give the same results.
. tests/e2e/lib.sh

data=$TMP/data
cli() { FAISSX_SERVER=$SERVER "$BUILD/bin/faissx" "$@" 2>&1; }
flip() { perl -e 'open F, "+<", shift or die; my $at = shift; seek F, $at, 0; read F, $_, 1;
    seek F, $at, 0; print F chr(ord ^ 255)' "$1" "$2"; }
# seen NAME: how many vectors the index has, and what a search finds.
seen() { client "read 0 faissx://$1" 'total 0' 'search 0' 'search 0' | sed 's/.*: //' | sed 1d; }
events() { grep -c "event=$1" "$SERVER_LOG"; }
again() {
    ok "the server stops" stop_server
    start_server --again --data-dir "$data" "$@"
}

start_server --data-dir "$data"
for what in Flat:flat:50000 HNSW8:hnsw:2000 IVF4,Flat:ivf:3000 SQ8:sq8:2000 IVF4,SQ8:sq:2000 PCA8,Flat:pca:2000; do
    name=${what#*:}
    count=${name#*:}
    name=${name%%:*}
    client "new 0 ${what%%:*}" 'learn 0 500' "add 0 $count" "write 0 faissx://$name" "write 0 $TMP/$name" >"$TMP/out"
    is "index $name is published" "$(sed 's/.*: //' "$TMP/out" | sort -u)" ok
    seen "$name" >"$TMP/$name.seen"
    like "$name has vectors" "$(head -n 1 "$TMP/$name.seen")" "^$count\$"
done
names="flat hnsw ivf sq8 sq pca"
bits() { remote "$BUILD/tests/e2e/share" "$@" | sed 's/.*: //'; }
n=6
if has faiss_read_index_binary; then
    n=7
    bits "make $TMP/bits 20000 binary" "read 5 $TMP/bits" 'write 5 faissx://bits' 'search 5' >"$TMP/bits.seen"
    like "a binary index is published" "$(sed -n 3p "$TMP/bits.seen")" '^ok$'
fi

again
for name in $names; do
    is "$name is the same after a restart" "$(seen "$name")" "$(cat "$TMP/$name.seen")"
    client "read 0 faissx://$name" "write 0 $TMP/copy" >"$TMP/out"
    same "$name: the file that is written from it is the same" "$TMP/copy" "$TMP/$name"
done
case $(sed -n 's/.*event=start .*faiss=\([0-9.]*\).*/\1/p' "$SERVER_LOG") in
1.[0-9].* | 1.1[01].*) mapped=0 ;;
*) mapped=7 ;;
esac
if [ $n = 7 ]; then
    bits 'read 5 faissx://bits' 'search 5' "write 5 $TMP/copy" >"$TMP/out"
    is "so is a binary index" "$(sed -n 2p "$TMP/out")" "$(sed -n 4p "$TMP/bits.seen")"
    same "and the file that is written from it" "$TMP/copy" "$TMP/bits"
fi
for what in info stats export 'get_vectors "n":1,'; do
    like "the catalogue's ${what%% *} reads it" \
        "$(raw '{"operation":"index_'"${what%% *}"'",'"$(echo "$what" | sed 's/^[^ ]*//')"'"name":"flat"}')" '"status":"ok"'
done
is "they were mapped, if FAISS can" "$(events mapped) $(events loaded)" "$mapped $((n - mapped))"

# Each kind of call that does more than read.
client 'read 0 faissx://flat' 'add 0 10' 'total 0' 'search 0' >"$TMP/out"
like "vectors are added to an index that was mapped" "$(cat "$TMP/out")" '^total 0: 50010$'
client 'new 0 Flat' 'add 0 50000' 'add 0 10' 'search 0' >"$TMP/direct"
is "a search finds the same as in one that was not" "$(tail -n 1 "$TMP/out")" "$(tail -n 1 "$TMP/direct")"
client 'read 0 faissx://ivf' 'part 0 4' 'add 0 5' 'drop 0 2' 'total 0' >"$TMP/out"
like "a setting of a class, adding, removing" "$(cat "$TMP/out")" '^total 0: 3003$'
client 'read 0 faissx://sq' 'probe 0 2' 'search 0' >"$TMP/out"
is "a setting by its name" "$(sed -n 2p "$TMP/out")" "probe 0 2: ok"
client 'read 0 faissx://hnsw' 'add 0 5' 'total 0' >"$TMP/out"
like "HNSW is changed" "$(cat "$TMP/out")" '^total 0: 2005$'
client 'read 0 faissx://sq8' 'add 0 5' 'total 0' >"$TMP/out"
like "so is an index of codes" "$(cat "$TMP/out")" '^total 0: 2005$'
[ $n = 6 ] || is "a binary index is changed" "$(bits 'read 5 faissx://bits' 'add 5 3' 'search 5')" \
    "$(bits "read 5 $TMP/bits" 'add 5 3' 'search 5')"
is "those are in memory now" "$(events mapped)" "$mapped"
talk a
ask a 'read 0 faissx://pca' >/dev/null
ask a 'search 0' >/dev/null
ok "an index is removed while a program has it" cli rm pca
is "the program's handle finds the same" "$(ask a 'search 0')" "$(tail -n 1 "$TMP/pca.seen")"
is "and can be changed" "$(ask a 'add 0 7')" ok
is "it has the change" "$(ask a 'total 0')" 2007
is "no engine has died" "$(events engine-ended)" 0
is "the changes are seen" "$(seen flat | head -n 1) $(seen ivf | head -n 1) $(seen hnsw | head -n 1)" "50010 3003 2005"
again
is "and are there after a restart" "$(seen flat | head -n 1) $(seen ivf | head -n 1) $(seen hnsw | head -n 1)" "50010 3003 2005"

# A change that comes first, and changes that wait in the log.
again
is "an index whose first call is a change" "$(client 'read 0 faissx://flat' 'add 0 3' 'total 0' | tail -n 1)" "total 0: 50013"
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
start_server --data-dir "$data"
is "after a crash it is read with its changes" "$(seen flat | head -n 1)" 50013
is "no engine has died of that" "$(events engine-ended)" 0
ok "the server stops" stop_server

case $BUILD in
*-address | *-thread) ;;
*)
    if [ "$mapped" -gt 0 ]; then
        # 256 and 128 MB, in an engine that may have 200 MB.
        start_server --data-dir "$TMP/large"
        for name in a:4000000 b:2000000; do
            client 'new 0 Flat' "add 0 ${name#*:}" "write 0 faissx://${name%:*}" >"$TMP/out"
            seen "${name%:*}" >"$TMP/${name%:*}.seen"
        done
        ok "the server stops" stop_server
        start_server --data-dir "$TMP/large" --memory 200
        is "an index larger than the memory of its tenant can be searched" "$(seen a)" "$(cat "$TMP/a.seen")"
        is "another one beside it" "$(seen b)" "$(cat "$TMP/b.seen")"
        is "and the first one again" "$(seen a)" "$(cat "$TMP/a.seen")"
        anon=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(stat_of pid)/status")
        ok "the engine has less than a third of them in memory of its own ($anon kB)" [ "$anon" -lt 100000 ]
        client 'read 0 faissx://a' 'add 0 1' 'total 0' >"$TMP/out"
        like "changing it is refused for lack of memory" "$(sed -n 2p "$TMP/out")" 'add 0 1: -[0-9]+ '
        is "it can be searched nevertheless" "$(seen a)" "$(cat "$TMP/a.seen")"
        ok "the server stops" stop_server
        start_server --again --data-dir "$TMP/large" --memory 200
        client 'read 0 faissx://a' 'drop 0 2' 'search 0' >"$TMP/out"
        like "a change that comes first is refused as well" "$(sed -n 2p "$TMP/out")" 'drop 0 2: -[0-9]+ '
        is "and changes nothing" "$(sed -n 3p "$TMP/out" | sed 's/.*: //')" "$(tail -n 1 "$TMP/a.seen")"
        talk c
        ask c 'read 0 faissx://a' >/dev/null
        ask c 'search 0' >/dev/null
        ok "the index is removed while a program has it" cli rm a
        like "for that program, too, it is refused" "$(ask c 'add 0 1')" '^-[0-9]+ '
        is "and can be searched" "$(ask c 'search 0')" "$(tail -n 1 "$TMP/a.seen")"
        is "no engine has died" "$(events engine-ended)" 0
        ok "the server stops" stop_server
    fi
    ;;
esac

if [ "$mapped" -gt 0 ]; then
    start_server --data-dir "$data"
    client 'new 0 Flat' 'add 0 500' 'write 0 faissx://fresh' >"$TMP/out"
    again
    talk d
    ask d 'read 0 faissx://fresh' >/dev/null
    before=$(ask d 'search 0')
    mkdir "$TMP/aside"
    mv "$data/tenants/default/"*.faiss "$TMP/aside"
    like "what the disk has lost cannot be changed" "$(ask d 'add 0 1')" '^-[0-9]+ .*cannot be read'
    is "a program that has it mapped still finds the same" "$(ask d 'search 0')" "$before"
    mv "$TMP/aside/"*.faiss "$data/tenants/default"
    is "it can be changed when the disk has it again" "$(ask d 'add 0 1')" ok
    ok "the server stops" stop_server
fi

snapshot=$(cd "$data/tenants/default" && ls -S -- *.faiss | sed -n 1p)
flip "$data/tenants/default/$snapshot" 100000
start_server --data-dir "$data"
like "damage is found before the index is used" "$(client 'read 0 faissx://flat' 'search 0')" \
    "search 0: -[0-9]+ .*$snapshot has a wrong checksum"
