#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The catalogue: an index that is made and used over the wire gives the same bits as the C API through
# a server, and as FAISS in the process.
. tests/e2e/lib.sh
need_index IDMap2,Flat

user=$BUILD/tests/e2e/catalogue
# op OPERATION NAME [KEYS [FRAMES]]: a request of the catalogue.
op() { raw '{"operation":"index_'"$1"'","name":"'"$2"'"'"${3:+,$3}${4:+,\"_frames\":[$4]}"'}'; }
# kept OUT OPERATION...: the same, with the payload frames in OUT.1 and so on.
kept() { (export RAW_SAVE="$TMP/$1"; shift; op "$@"); }
good() { like "$1" "$2" '"status":"ok"'; }
# same_frames WHAT OUT OUT N: N frames are the same.
same_frames() {
    for frame in $(seq "$4"); do same "$1, array $frame" "$TMP/$2.$frame" "$TMP/$3.$frame"; done
}

"$user" numbers 400 16 3 "$TMP/learn"
"$user" numbers 300 16 1 "$TMP/x"
"$user" numbers 10 16 7 "$TMP/q"
"$user" numbers 1 16 7 "$TMP/q1"
"$user" ids 300 1000 "$TMP/ids"
start_server

n=0
for description in Flat IDMap2,Flat SQ8 PQ4x4 IVF4,Flat IVF4,SQ8 IDMap2,IVF4,Flat PCA8,Flat PCA8,IVF4,Flat \
    HNSW8,Flat LSH; do
    n=$((n + 1))
    good "$description is created" "$(op create i$n '"d":16,"description":"'$description'"')"
    like "it has no vectors" "$(op info i$n)" '"class":"Index","d":16,"metric":1,"ntotal":0,'
    case $(op info i$n) in
    *'"trained":0'*) good "it is trained" "$(op train i$n '"n":400' '"file '"$TMP"'/learn"')" ;;
    esac
    like "it is trained now" "$(op info i$n)" '"trained":1'
    case $description in
    IDMap*) good "vectors and ids are added" "$(op add i$n '"n":300,"ids":1' '"file '"$TMP"'/x","file '"$TMP"'/ids"')" ;;
    *) good "vectors are added" "$(op add i$n '"n":300' '"file '"$TMP"'/x"')" ;;
    esac
    ok "FAISS builds the same in its process" "$user" build "$TMP/local$n" "$description"
    good "its file is exported" "$(kept file$n export i$n)"
    case $description in
    HNSW*) cp "$TMP/file$n.1" "$TMP/local$n" ;; # the graph depends on the order in which threads run
    *) same "$description: the file has the same bytes" "$TMP/file$n.1" "$TMP/local$n" ;;
    esac
    good "it is searched" "$(kept wire search i$n '"n":10,"k":5' '"file '"$TMP"'/q"')"
    ok "the C API searches it" remote "$user" search faissx://i$n 10 5 0 "$TMP/capi"
    ok "FAISS searches in its process" "$user" search "$TMP/local$n" 10 5 0 "$TMP/local"
    same_frames "$description: search as the C API" wire capi 2
    same_frames "$description: search as FAISS" wire local 2
    case $description in *IVF*)
        good "with nprobe 4" "$(kept probes search i$n '"n":10,"k":5,"params":{"nprobe":4}' '"file '"$TMP"'/q"')"
        ok "FAISS, too" "$user" search "$TMP/local$n" 10 5 4 "$TMP/local4"
        same_frames "$description: nprobe as FAISS" probes local4 2
        good "the next search" "$(kept after search i$n '"n":10,"k":5' '"file '"$TMP"'/q"')"
        same_frames "$description: nprobe was for one request" after local 2
        like "the index has its own" "$(op get_parameter i$n '"parameter":"nprobe"')" '"value":1}'
        ;;
    esac
    case $description in Flat | IDMap2,Flat | IVF4,Flat)
        good "a range search" "$(kept wire range_search i$n '"n":10,"radius":1.5' '"file '"$TMP"'/q"')"
        ok "by the C API" remote "$user" range faissx://i$n 10 1.5 "$TMP/capi"
        ok "by FAISS" "$user" range "$TMP/local$n" 10 1.5 "$TMP/local"
        same_frames "$description: range search as the C API" wire capi 3
        same_frames "$description: range search as FAISS" wire local 3
        ;;
    esac
done

# --- both ways into one index ---

good "Flat again" "$(op create both '"d":16,"type":"flat"')"
good "with vectors from the wire" "$(op add both '"n":300' '"file '"$TMP"'/x"')"
ok "and from the C API" remote "$user" add faissx://both 100 9
is "the C API sees all of them" "$(remote "$user" total faissx://both)" 400
like "so does the catalogue" "$(op info both)" '"ntotal":400'
like "its statistics count both ways" "$(op stats both)" '"added":400,"calls":[2-9],'
ok "the C API publishes one" remote "$user" build faissx://made Flat
like "and the catalogue knows it" "$(op info made)" '"ntotal":300'
adders=
for i in 1 2 3 4 5 6; do
    remote "$user" add faissx://both 50 $i >"$TMP/adds" 2>&1 &
    adders="$adders $!"
done
for i in 1 2 3 4 5 6; do
    good "while others add, the catalogue searches" "$(op search both '"n":10,"k":3' '"file '"$TMP"'/q"')"
    op add both '"n":10' '"file '"$TMP"'/q"' >/dev/null
done
# shellcheck disable=SC2086 # a list of processes
wait $adders
like "nothing is lost" "$(op info both)" '"ntotal":760,'

# --- vectors ---

good "one vector" "$(kept wire reconstruct both '"id":7')"
remote "$user" vector faissx://both 7 "$TMP/capi"
same_frames "reconstruct as the C API" wire capi 1
good "some vectors" "$(kept wire get_vectors both '"from":0,"n":300')"
same "get_vectors gives what was added" "$TMP/wire.2" "$TMP/x"
"$user" ids 300 0 "$TMP/positions"
same "and their ids" "$TMP/wire.1" "$TMP/positions"
good "with ids of its own" "$(kept wire get_vectors i2)"
same "get_vectors of an IDMap2 gives what was added" "$TMP/wire.2" "$TMP/x"
same "and its ids" "$TMP/wire.1" "$TMP/ids"
good "by ids" "$(kept wire reconstruct i2 '"n":300,"ids":0' '"file '"$TMP"'/ids"')"
same "reconstruct by ids gives what was added" "$TMP/wire.1" "$TMP/x"
for i in 2 5; do
    good "search_and_reconstruct" "$(kept found search_and_reconstruct i$i '"n":1,"k":2' '"file '"$TMP"'/q1"')"
    good "search" "$(kept wire search i$i '"n":1,"k":2' '"file '"$TMP"'/q1"')"
    same_frames "search_and_reconstruct finds the same" found wire 2
    id=$(od -An -t d8 -N 8 "$TMP/found.2" | tr -d ' ')
    [ $i = 2 ] && id=$((id - 1000))
    head -c 64 "$TMP/found.3" >"$TMP/one"
    tail -c +$((id * 64 + 1)) "$TMP/x" | head -c 64 >"$TMP/wanted"
    same "and the vector itself" "$TMP/one" "$TMP/wanted"
done

like "inverted lists do not find a vector by its id" "$(op reconstruct i5 '"id":7')" '"status":"error"'
good "but with a direct map" "$(op set_parameter i5 '"parameter":"direct_map","value":1')"
good "they do" "$(kept wire reconstruct i5 '"n":300,"ids":0' '"file '"$TMP"'/positions"')"
same "as it was added" "$TMP/wire.1" "$TMP/x"
like "FAISS removes no vectors then" "$(op remove i5 '"selector":["range",0,3]')" '"message":"Error in '
like "and nothing is lost" "$(op info i5)" '"ntotal":300,'
like "other indexes have none" "$(op set_parameter i1 '"parameter":"direct_map","value":1')" '"kind":"handle","message":"faissx: .*IndexIVF'
good "it can be taken away" "$(op set_parameter i5 '"parameter":"direct_map","value":0')"
like "then it is gone" "$(op reconstruct i5 '"id":7')" '"status":"error"'

# --- changes ---

good "replace" "$(op replace i2 '"n":1,"ids":1' '"file '"$TMP"'/q1","i64 1005"')"
like "the number stays" "$(op info i2)" '"ntotal":300'
kept wire reconstruct i2 '"id":1005' >/dev/null
same "the vector is the new one" "$TMP/wire.1" "$TMP/q1"
good "replace adds what was not there" "$(op replace i2 '"n":1,"ids":1' '"file '"$TMP"'/q1","i64 5"')"
like "one more" "$(op info i2)" '"ntotal":301'
good "remove by ids" "$(kept wire remove i2 '"n":2,"ids":0' '"i64 5 77"')"
is "one was there" "$(od -An -t d8 "$TMP/wire.1" | tr -d ' ')" 1
good "remove by a selector" "$(kept wire remove i2 '"selector":["range",1000,1100]')"
is "a hundred were there" "$(od -An -t d8 "$TMP/wire.1" | tr -d ' ')" 100
good "split" "$(op split i2 '"to":"part","selector":["range",1100,1150]')"
like "the new index has its part" "$(op info part)" '"ntotal":50,'
like "and the first all of it" "$(op info i2)" '"ntotal":200,'
kept wire get_vectors part >/dev/null
tail -c +$((100 * 64 + 1)) "$TMP/x" | head -c $((50 * 64)) >"$TMP/wanted"
same "the right ones" "$TMP/wire.2" "$TMP/wanted"
for i in 1 2 5; do # Flat, IDMap2, inverted lists
    first=0
    params=
    [ $i = 2 ] && first=1200
    [ $i = 5 ] && params=',"params":{"nprobe":4}'
    good "split by ids" "$(op split i$i '"to":"some'$i'","selector":["batch",0]' '"i64 '$((first + 3))" $((first + 1))"' 99999"')"
    good "with as many arrays as a message can have" "$(op split i$i '"to":"many'$i'","selector":["batch",14]' \
        "$(yes '"hex 00",' | head -n 14 | tr -d '\n')"'"i64 '$((first + 3))" $((first + 1))"' 99999"')"
    like "it has the same" "$(op info many$i)" '"ntotal":2,'
    like "has those" "$(op info some$i)" '"ntotal":2,'
    kept found search some$i '"n":1,"k":2'"$params" '"file '"$TMP"'/q1"' >/dev/null
    # Where the ids are positions, they are those in the new index.
    [ $i = 1 ] && wanted="0 1" || wanted="$((first + 1)) $((first + 3))"
    is "by their ids" "$(od -An -v -t d8 -w8 "$TMP/found.2" | sort -n | xargs)" "$wanted"
done
op remove i2 '"selector":["range",1100,1150]' >/dev/null
good "merge" "$(op merge i2 '"from":"part"')"
like "they are together again" "$(op info i2)" '"ntotal":200,'
like "and the other one has its own" "$(op info part)" '"ntotal":50,'
op create v1 '"d":16,"description":"IVF4,Flat"' >/dev/null
op train v1 '"n":400' '"file '"$TMP"'/learn"' >/dev/null
good "merge of lists that are alike" "$(op merge v1 '"from":"i5","add_id":5000')"
like "has them" "$(op info v1)" '"ntotal":300'
kept wire search v1 '"n":1,"k":1' '"file '"$TMP"'/q1"' >/dev/null
is "with other ids" "$(($(od -An -t d8 "$TMP/wire.2") >= 5000))" 1
# --- parameters and selectors, where FAISS has them ---

if has faiss_SearchParametersIVF_new_with; then
    for i in 1 3; do # Flat and SQ8
        op split i$i '"to":"first'$i'","selector":["range",0,50]' >/dev/null
        good "search with a selector" "$(kept wire search i$i '"n":10,"k":5,"selector":["range",0,50]' '"file '"$TMP"'/q"')"
        kept first search first$i '"n":10,"k":5' '"file '"$TMP"'/q"' >/dev/null
        same_frames "as in an index of what it selects" wire first 2
    done
    op split i5 '"to":"first5","selector":["range",0,50]' >/dev/null
    good "the same in inverted lists" "$(kept wire search i5 '"n":10,"k":5,"selector":["range",0,50]' '"file '"$TMP"'/q"')"
    kept first search first5 '"n":10,"k":5' '"file '"$TMP"'/q"' >/dev/null
    same_frames "as in an index of what it selects" wire first 2
    good "with nprobe" "$(kept wire search i5 '"n":10,"k":5,"selector":["range",0,50],"params":{"nprobe":4}' '"file '"$TMP"'/q"')"
    kept first search first5 '"n":10,"k":5,"params":{"nprobe":4}' '"file '"$TMP"'/q"' >/dev/null
    same_frames "too" wire first 2
fi
if has faiss_SearchParametersHNSW_new_with; then
    kept before search i10 '"n":10,"k":5' '"file '"$TMP"'/q"' >/dev/null
    good "search with efSearch" "$(kept wire search i10 '"n":10,"k":5,"params":{"efSearch":5}' '"file '"$TMP"'/q"')"
    kept after search i10 '"n":10,"k":5' '"file '"$TMP"'/q"' >/dev/null
    same_frames "efSearch was for one request" after before 2
    good "set efSearch" "$(op set_parameter i10 '"parameter":"efSearch","value":5')"
    kept set search i10 '"n":10,"k":5' '"file '"$TMP"'/q"' >/dev/null
    same_frames "efSearch of a request is as efSearch of the index" wire set 2
else
    like "efSearch needs a newer FAISS" "$(op search i10 '"n":10,"k":5,"params":{"efSearch":5}' '"file '"$TMP"'/q"')" '"kind":"missing"'
fi

good "set a parameter" "$(op set_parameter v1 '"parameter":"nprobe","value":3')"
like "it is set" "$(op get_parameter v1 '"parameter":"nprobe"')" '"value":3'
good "import" "$(op import again '"data":0' '"file '"$TMP"'/local1"')"
kept wire search again '"n":10,"k":5' '"file '"$TMP"'/q"' >/dev/null
"$user" search "$TMP/local1" 10 5 0 "$TMP/local"
same_frames "an imported index" wire local 2
# By the inner product centroids have norm 1, whatever number of lists is asked for.
for index in first trained; do
    op create $index '"d":16,"description":"IVF8,Flat","metric":"inner_product"' >/dev/null
done
op train first '"n":10' '"file '"$TMP"'/q"' >/dev/null
op train trained '"n":300' '"file '"$TMP"'/x"' >/dev/null
for index in first trained; do op add $index '"n":300' '"file '"$TMP"'/x"' >/dev/null; done
good "new clusters by the inner product" "$(op recluster first)"
kept first search first '"n":10,"k":5' '"file '"$TMP"'/q"' >/dev/null
kept trained search trained '"n":10,"k":5' '"file '"$TMP"'/q"' >/dev/null
same_frames "they are as FAISS's training with these vectors" first trained 2

good "rename" "$(op rename again '"to":"newer"')"
like "the new name has it" "$(op info newer)" '"ntotal":300'
like "the old one is gone" "$(op info again)" '"kind":"handle"'
good "reset" "$(op reset newer)"
like "it is empty" "$(op info newer)" '"ntotal":0,'
good "delete" "$(op delete newer)"
like "it is gone" "$(op info newer)" "index_info: name is 'newer', but no index has this name"
like "list" "$(op list x)" '"names":\["i1","i2",'
for type in flat ivf_flat ivf_pq ivf_sq hnsw pq sq lsh; do
    good "type $type" "$(op create "t_$type" '"d":16,"type":"'$type'","nlist":2,"m":4,"ids":true')"
    like "has ids" "$(op info "t_$type")" '"type":"IndexIDMap2"'
done

# --- binary indexes, where the C API can make them ---

if has faiss_index_binary_factory; then
    good "a binary index" "$(op create bits '"d":32,"class":"IndexBinary","description":"BFlat"')"
    good "gets vectors" "$(op add bits '"n":2' '"hex 00000000ff00ff00"')"
    like "has them" "$(op info bits)" '"class":"IndexBinary","d":32,.*"ntotal":2,'
    good "is searched" "$(kept wire search bits '"n":1,"k":2' '"hex ff00ff01"')"
    is "with its distances" "$(od -An -t d4 "$TMP/wire.1" | xargs)" "1 17"
    is "and labels" "$(od -An -t d8 "$TMP/wire.2" | xargs)" "1 0"
    good "in a range" "$(kept wire range_search bits '"n":1,"radius":5' '"hex ff00ff01"')"
    is "has one" "$(od -An -t d8 "$TMP/wire.2" | xargs)" 1
    good "gives a vector" "$(kept wire reconstruct bits '"id":1')"
    is "as it was" "$(od -An -t x1 "$TMP/wire.1" | tr -d ' ')" ff00ff00
    good "gives all" "$(kept wire get_vectors bits)"
    is "as they were" "$(od -An -t x1 "$TMP/wire.2" | tr -d ' ')" 00000000ff00ff00
    good "is split" "$(op split bits '"to":"bit","selector":["range",1,2]')"
    like "in two" "$(op info bit)" '"ntotal":1,'
    good "is exported" "$(kept file export bits)"
    good "and imported" "$(op import bits2 '"class":"IndexBinary","data":0' '"file '"$TMP"'/file.1"')"
    like "by d / 8 bytes" "$(op add bits '"n":1' '"hex 0000"')" 'x must have 1 vectors of 32 bits, which are 1 \* 4 bytes, but 2 bytes were given'
    like "not merged" "$(op merge bits '"from":"bit"')" '"kind":"unsupported"'
fi
