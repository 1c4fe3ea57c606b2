#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The data directory of the FAISSx server in Python is taken over: names, vectors, results.
. tests/e2e/lib.sh

from=$TMP/python data=$TMP/data
mkdir "$from"

# saved FILE ID DIMENSION DESCRIPTION: as that server has it on disk.  Prints what a search finds.
saved() {
    fx_learn='total 0'
    case $4 in IVF*) fx_learn='learn 0 200' ;; esac
    LD_LIBRARY_PATH=${FAISS_C%/*} "$BUILD/tests/e2e/client" "new 0 $4" "$fx_learn" 'add 0 500' \
        "write 0 $from/$1.faiss" 'search 0' | sed -n '$s/.*: //p'
    printf '{"index_id": "%s", "dimension": %d, "base_index_id": null}' "$2" "$3" >"$from/$1.json"
}
import() { "$BUILD/faissx-server" import-faissx "$@" 2>&1; }
found() { client "read 0 faissx://$1" 'search 0' | sed -n '$s/.*: //p'; }

flat=$(saved index-flat index-flat 16 Flat)
ivf=$(saved a_b 'a/b.1' 16 IVF4,Flat)
hnsw=$(saved hnsw 'ünï "x"' 16 HNSW8,Flat)
printf '{"index_id": "%s", "dimension": 16}' 'ünï \"x\"' >"$from/hnsw.json"
ok "there are results to compare" [ -n "$flat" ] && [ -n "$ivf" ] && [ -n "$hnsw" ]

like "a rehearsal" "$(import --dry-run "$from" "$data")" '^can import 3 of 3 indexes$'
is "which makes nothing" "$(ls -d "$data" 2>&1)" "ls: cannot access '$data': No such file or directory"
out=$(import "$from" "$data")
is "all are imported" $? 0
ls -lR --time-style=full-iso "$data" | grep -v store.db-shm >"$TMP/before"
like "a rehearsal of a second time" "$(import --dry-run "$from" "$data")" '^can import 0 of 3 indexes$'
ls -lR --time-style=full-iso "$data" | grep -v store.db-shm >"$TMP/after"
same "it changes nothing" "$TMP/before" "$TMP/after"
like "each is named" "$out" '^a/b.1: 500 vectors of 16 dimensions$'
out=$(import "$from" "$data")
is "a second time is an error" $? 1
like "because they are there" "$out" "index-flat.faiss: there is an index 'index-flat' already; it was left as it is\$"

start_server --data-dir "$data"
is "a server lists them" "$("$BUILD/bin/faissx" list --server "$SERVER" | sort | tr '\n' ' ')" 'a/b.1 index-flat ünï "x" '
like "with their sizes, which it has not read" "$("$BUILD/bin/faissx" list --long --server "$SERVER")" \
    '^Index  *16  *500 .* index-flat$'
is "Flat: a search finds the same" "$(found index-flat)" "$flat"
is "IVF" "$(found a/b.1)" "$ivf"
is "HNSW" "$(found 'ünï "x"')" "$hnsw"
is "they can be changed" "$(client 'read 0 faissx://index-flat' 'add 0 3' 'total 0' | sed -n '$s/.*: //p')" 503
like "the server's directory is its own" "$(import "$from" "$data")" 'is in use by process [0-9]*'
ok "the server stops" stop_server

# What is wrong.
rm -f "$from"/*
saved good good 16 Flat >/dev/null
saved short short 16 Flat >/dev/null
head -c 20 "$from/good.faiss" >"$from/short.faiss"
saved other other 17 Flat >/dev/null
saved text text 16 Flat >/dev/null
echo "this is no index, but a text that is longer than the head of one" >"$from/text.faiss"
saved gone gone 16 Flat >/dev/null
rm "$from/gone.faiss"
echo '{"dimension": 16}' >"$from/nameless.json"
echo '{"index_id"' >"$from/broken.json"
printf '{"index_id": "%0201d", "dimension": 16}' 0 >"$from/long.json"
out=$(import --tenant alice "$from" "$data")
is "an error does not keep the others" $? 1
like "the good one is imported" "$out" '^imported 1 of 8 indexes$'
like "a file that ends early" "$out" 'short.faiss: not a file of an index that FAISS wrote$'
like "another dimension" "$out" 'other.faiss: it has 16 dimensions, but its .json says 17$'
like "a text" "$out" 'text.faiss: not a file of an index that FAISS wrote$'
like "a file that is missing" "$out" 'gone.faiss: No such file'
like "no name" "$out" 'nameless.json: it has no "index_id" and "dimension"$'
like "broken JSON" "$out" 'broken.json: '
like "a long name" "$out" 'long.json: "index_id" cannot be a name here: it must have 1 to 200 bytes$'
like "a directory with nothing" "$(mkdir "$TMP/empty"; import "$TMP/empty" "$data")" 'it has no .json$'
like "no directory" "$(import "$TMP/none" "$data")" 'none is not a directory$'
is "the other tenant has none of these" "$("$BUILD/faissx-server" verify --tenant default "$data" >/dev/null 2>&1; echo $?)" 0

# As root, for a server that is another user.
if [ "$(id -u)" = 0 ]; then
    mkdir "$TMP/theirs"
    chown 65534:65534 "$TMP/theirs"
    import "$from" "$TMP/theirs" >"$TMP/out"
    like "root imports" "$(cat "$TMP/out")" '^imported 1 of 8 indexes$'
    is "the owner of the directory has all" "$(find "$TMP/theirs" ! -user 65534)" ""
fi
