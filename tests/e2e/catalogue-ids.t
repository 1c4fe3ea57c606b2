#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Ids that are not 0 to n - 1: an IDMap over inverted lists keeps the right ones when vectors are removed
# and replaced, and the vectors of inverted lists are found by any ids.
# They stay right if such a change fails when it has begun.
. tests/e2e/lib.sh
need_index IDMap2,IVF1,Flat
has faiss_IndexIDMap2_cast || skip_all "indexes with ids need IDMap2, which came with FAISS 1.7.2"

user=$BUILD/tests/e2e/catalogue
# op OPERATION NAME [KEYS [FRAMES]]: a request of the catalogue.
op() { raw '{"operation":"index_'"$1"'","name":"'"$2"'"'"${3:+,$3}${4:+,\"_frames\":[$4]}"'}'; }
kept() { (export RAW_SAVE="$TMP/$1"; shift; op "$@"); }
good() { like "$1" "$2" '"status":"ok"'; }
int64() { od -An -v -t d8 -w8 "$1" | xargs; }
floats() { od -An -v -t f4 -w4 "$1" | xargs; }
# add NAME "IDS" "NUMBERS", of which each makes a vector of two; or replace.
rows() { for x in $1; do printf '%s %s ' "$x" "$x"; done; }
add() { op "${4:-add}" "$1" "\"n\":$(echo "$2" | wc -w),\"ids\":1" "\"f32 $(rows "$3")\",\"i64 $2\""; }
replace() { add "$1" "$2" "$3" replace; }
# make NAME DESCRIPTION: dimension 2, trained.
make() {
    op create "$1" "\"d\":2,\"description\":\"$2\"" >/dev/null
    op train "$1" '"n":40' "\"f32 $(perl -e 'print join " ", map { sin($_), cos(3 * $_) } 1 .. 40')\"" >/dev/null
}
# near NAME X K: the ids of the K vectors that are next to X.
near() {
    kept near search "$1" "\"n\":1,\"k\":$3" "\"f32 $2 $2\"" >/dev/null
    int64 "$TMP/near.2"
}
# pairs NAME: each id and its vector's number, sorted by ids.
pairs() {
    kept all get_vectors "$1" >/dev/null
    int64 "$TMP/all.1" | tr ' ' '\n' >"$TMP/ids"
    floats "$TMP/all.2" | tr ' ' '\n' | sed -n 'p;n' | paste -d: "$TMP/ids" - | sort -n | xargs
}

start_server --data-dir "$TMP/data"

# --- an IDMap over inverted lists ---

for inner in IVF1,Flat PCA2,IVF1,Flat; do
    map=map-$inner
    make "$map" "IDMap2,$inner"
    good "$inner: vectors are added" "$(add "$map" "100 101 102" "0 1 2")"
    good "$inner: one is replaced" "$(replace "$map" 100 9)"
    is "$inner: each vector has its id" "$(near "$map" 1.1 3)" "101 102 100"
    good "$inner: one is replaced, another one is new" "$(replace "$map" "7 101" "5 1.5")"
    is "$inner: each has its id" "$(near "$map" 1 4)" "101 102 7 100"
    good "$inner: one is removed" "$(kept wire remove "$map" '"n":2,"ids":0' '"i64 102 55"')"
    is "$inner: one was there" "$(int64 "$TMP/wire.1")" 1
    is "$inner: it is gone, and only it" "$(near "$map" 1 4)" "101 7 100 -1"
    good "$inner: more are added" "$(add "$map" "200 201 202 203" "20 21 22 23")"
    is "$inner: these have theirs" "$(near "$map" 20 4)" "200 201 202 203"
    good "$inner: a range is removed" "$(kept wire remove "$map" '"selector":["range",200,202]')"
    is "$inner: two were there" "$(int64 "$TMP/wire.1")" 2
    is "$inner: the others stay" "$(near "$map" 30 6)" "203 202 100 7 101 -1"
    good "$inner: nothing is removed" "$(kept wire remove "$map" '"selector":["range",1000,1001]')"
    is "$inner: none was there" "$(int64 "$TMP/wire.1")" 0
    good "$inner: it is split" "$(op split "$map" "\"to\":\"part-$inner\",\"selector\":[\"range\",100,203]")"
    is "$inner: the part has its ids" "$(near "part-$inner" 0 4)" "101 100 202 -1"
    good "$inner: an id is there twice" "$(add "$map" "7 300" "6 30")"
    good "$inner: both are replaced" "$(replace "$map" 7 8)"
    is "$inner: by one" "$(near "$map" 8 7)" "7 100 101 202 203 300 -1"
    case $inner in IVF*)
        is "the vectors have their ids" "$(pairs "$map")" \
            "7:8 100:9 101:1.5 202:22 203:23 300:30"
        ;;
    esac
    good "$inner: all are removed" "$(op remove "part-$inner" '"selector":["range",0,1000]')"
    like "$inner: none is left" "$(op info "part-$inner")" '"ntotal":0,'
    good "$inner: some are added" "$(add "part-$inner" "1 2" "1 2")"
    is "$inner: they are found" "$(near "part-$inner" 1 3)" "1 2 -1"
    near "$map" 8 7 >"$TMP/before-$inner"
done
kill -9 $(pgrep -P "$SERVER_PID") "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
start_server --again --data-dir "$TMP/data"
for inner in IVF1,Flat PCA2,IVF1,Flat; do
    is "$inner: the same after kill -9" "$(near "map-$inner" 8 7)" "$(cat "$TMP/before-$inner")"
done
make small IDMap2,IVF1,Flat
least=-9223372036854775808
add small "1 $least -9223372036854775807 -9223372036854775806" "1 2 3 4" >/dev/null
good "the smallest ids, which stand for none while vectors are removed" "$(op remove small '"n":1,"ids":0' '"i64 1"')"
is "have their vectors" "$(pairs small)" "$least:2 -9223372036854775807:3 -9223372036854775806:4"
good "so have others" "$(op remove small '"n":1,"ids":0' '"i64 -9223372036854775808"')"
is "then" "$(pairs small)" "-9223372036854775807:3 -9223372036854775806:4"
make broken IDMap2,IVF1,Flat
add broken "100 101 102" "0 1 2" >/dev/null
is "FAISS's own function removes one" "$(remote "$user" remove faissx://broken 100)" 1
unknown='"kind":"unsupported",.*which vector has which id is not known'
like "then none is removed" "$(op remove broken '"n":1,"ids":0' '"i64 101"')" "$unknown"
like "nor replaced" "$(replace broken 101 5)" "$unknown"
like "nor read" "$(op get_vectors broken)" "$unknown"
like "and nothing is lost" "$(op info broken)" '"ntotal":2,'

# --- an IDMap over an index that removes nothing ---

make graph IDMap2,HNSW8,Flat
good "new ids are added to a graph" "$(replace graph "5 6" "5 6")"
like "one that is there is not replaced" "$(replace graph "6 7" "60 70")" 'remove_ids not implemented'
is "nothing has changed" "$(near graph 6 3)" "6 5 -1"

# --- inverted lists with ids of their own ---

make own IVF1,Flat
good "vectors with large ids" "$(add own "1009 1003 1000000000007 -5" "9 3 7 5")"
is "are read with them" "$(pairs own)" "-5:5 1003:3 1009:9 1000000000007:7"
good "some of them" "$(kept wire get_vectors own '"from":1,"n":2')"
is "are in the order of ids" "$(int64 "$TMP/wire.1") $(floats "$TMP/wire.2")" "1003 1009 3 3 9 9"
good "some by their ids" "$(kept wire get_vectors own '"n":2,"ids":0' '"i64 1009 -5"')"
is "in that order" "$(int64 "$TMP/wire.1") $(floats "$TMP/wire.2")" "1009 -5 9 9 5 5"
like "an id that no vector has" "$(op get_vectors own '"n":2,"ids":0' '"i64 1009 3"')" \
    '"kind":"argument","message":"faissx: index_get_vectors: no vector of the index has the id 3"'
like "either ids or positions" "$(op get_vectors own '"n":1,"from":0,"ids":0' '"i64 1009"')" 'either ids or from'
like "as many as there should be" "$(op get_vectors own '"n":2,"ids":0' '"i64 1009"')" 'ids must have 2 int64'
make flat Flat
good "they are merged into a flat index" "$(op merge flat '"from":"own"')"
is "and are there" "$(pairs flat)" "0:5 1:3 2:9 3:7"
make map IDMap2,Flat
op merge map '"from":"own"' >/dev/null
is "in an IDMap with their ids" "$(pairs map)" "-5:5 1003:3 1009:9 1000000000007:7"
make more IDMap2,Flat
add more "3 4" "3 4" >/dev/null
good "with other ids" "$(op merge more '"from":"map","add_id":100')"
is "which are there" "$(pairs more)" "3:3 4:4 95:5 1103:3 1109:9 1000000000107:7"
make more2 IDMap2,Flat
add more2 "3 4" "3 4" >/dev/null
good "or with ids that no vector has" "$(op merge more2 '"from":"flat","distinct":true')"
is "which are there, too" "$(pairs more2)" "3:3 4:4 5:5 6:3 7:9 8:7"
like "no id is beyond int64" "$(op merge more '"from":"map","add_id":9223372036854775807')" \
    'with 9223372036854775807 added to it, an id of from is no int64'
like "positions cannot be others" "$(op merge flat '"from":"map","add_id":5')" \
    'add_id is given, but the ids of the index are the positions of its vectors'
make behind PCA2,IVF1,Flat
good "inverted lists behind a transform" "$(op merge behind '"from":"own"')"
good "get the ids" "$(kept wire search behind '"n":1,"k":4' '"f32 9 9"')"
is "of the other" "$(int64 "$TMP/wire.2")" "1009 1000000000007 -5 1003"
good "of an IDMap, too, by ids" "$(kept wire get_vectors map '"n":2,"ids":0' '"i64 1009 -5"')"
is "in that order" "$(floats "$TMP/wire.2")" "9 9 5 5"
good "they are found, and reconstructed" "$(kept wire search_and_reconstruct own '"n":1,"k":2' '"f32 9 9"')"
is "with these ids" "$(int64 "$TMP/wire.2") $(floats "$TMP/wire.3")" "1009 1000000000007 9 9 7 7"
add own "1003" "33" >/dev/null
is "an id may be there twice" "$(pairs own)" "-5:5 1003:3 1003:33 1009:9 1000000000007:7"
make gaps IVF1,Flat
op add gaps '"n":6' "\"f32 $(rows "0 1 2 3 4 5")\"" >/dev/null
op remove gaps '"n":2,"ids":0' '"i64 2 4"' >/dev/null
is "after a removal" "$(pairs gaps)" "0:0 1:1 3:3 5:5"
like "an id that is gone" "$(op get_vectors gaps '"n":1,"ids":0' '"i64 2"')" 'no vector of the index has the id 2'
good "they are found, and reconstructed" "$(kept wire search_and_reconstruct gaps '"n":1,"k":2' '"f32 5 5"')"
is "with their ids" "$(int64 "$TMP/wire.2") $(floats "$TMP/wire.3")" "5 3 5 5 3 3"
make pca PCA2,IVF1,Flat
op add pca '"n":3' "\"f32 $(rows "0 1 2")\"" >/dev/null
good "also behind a transform" "$(kept wire search_and_reconstruct pca '"n":1,"k":2' '"f32 2 2"')"
is "they are found" "$(int64 "$TMP/wire.2")" "2 1"
is "and reconstructed" "$(floats "$TMP/wire.3" | xargs printf '%.2f ')" "2.00 2.00 1.00 1.00 "

# Codes are decoded as FAISS does it: where ids are large, and where they are not, there are the same
# vectors.
"$user" numbers 400 16 3 "$TMP/learn"
"$user" numbers 300 16 1 "$TMP/x"
"$user" ids 300 100000 "$TMP/large"
for description in IVF4,Flat IVF4,SQ8 IVF300,Flat IVF4,PQ4x4 PCA8,IVF4,SQ8; do
    for name in small large; do
        op create $name-$description '"d":16,"description":"'$description'"' >/dev/null
        op train $name-$description '"n":400' '"file '"$TMP"'/learn"' >/dev/null
    done
    good "$description: the same vectors" "$(op add small-$description '"n":300' '"file '"$TMP"'/x"')"
    good "$description: with other ids" "$(op add large-$description '"n":300,"ids":1' '"file '"$TMP"'/x","file '"$TMP"'/large"')"
    kept small get_vectors small-$description >/dev/null
    good "$description: are read" "$(kept large get_vectors large-$description)"
    same "$description: with the ids" "$TMP/large.1" "$TMP/large"
    same "$description: and as they are" "$TMP/large.2" "$TMP/small.2"
done

# So many that FAISS writes them in pieces.
"$user" numbers 4000 16 5 "$TMP/many"
"$user" ids 4000 100000 "$TMP/large"
"$user" numbers 4000 16 5 "$TMP/twice"
cat "$TMP/many" >>"$TMP/twice"
cat "$TMP/large" "$TMP/large" >"$TMP/large2"
op create pieces '"d":16,"description":"IVF4,Flat"' >/dev/null
op train pieces '"n":400' '"file '"$TMP"'/learn"' >/dev/null
good "many vectors" "$(op add pieces '"n":4000,"ids":1' '"file '"$TMP"'/many","file '"$TMP"'/large"')"
good "are read, each twice" "$(kept wire get_vectors pieces '"n":8000,"ids":0' '"file '"$TMP"'/large2"')"
same "as they were added" "$TMP/wire.2" "$TMP/twice"
ok "the server stops" stop_server

# --- a change that fails when it has begun ---

moved=7654326
for what in remove replace; do
    start_server --data-dir "$TMP/$what" --library "$BUILD/tests/torture/crashing.so"
    make half IDMap2,IVF1,Flat
    good "$what: vectors are added" "$(add half "100 101 102" "0 1 $moved")"
    if [ $what = remove ]; then
        got=$(op remove half '"n":1,"ids":0' '"i64 100"')
    else
        got=$(replace half 101 $moved)
    fi
    like "$what: it fails in its second step" "$got" '"status":"error"'
    is "$what: the index is as before" "$(pairs half)" "100:0 101:1 102:7654326"
    like "$what: for it was dropped" "$(cat "$SERVER_LOG")" 'event=index-dropped .*failed halfway'
    good "$what: another one is added" "$(add half 200 5)"
    is "$what: each has its id" "$(near half 5 5)" "200 101 100 102 -1"
    good "$what: the next one works" "$(op remove half '"n":1,"ids":0' '"i64 100"')"
    is "$what: each has its id still" "$(near half 1 4)" "101 200 102 -1"
    ok "the server stops" stop_server
done

# Without a data directory it stays so, but wrong ids are not found.
start_server --library "$BUILD/tests/torture/crashing.so"
make half IDMap2,IVF1,Flat
add half "100 101 102" "0 1 $moved" >/dev/null
op remove half '"n":1,"ids":0' '"i64 100"' >/dev/null
like "in memory only: nothing can be added to what is left" "$(add half 200 5)" 'was changed without it'
is "and it has the right ids" "$(near half 1 3)" "101 -1 -1"
good "it is emptied" "$(op reset half)"
good "then it can" "$(add half 200 5)"
is "and that is found" "$(near half 1 3)" "200 -1 -1"
