#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Indexes that take vectors before they are trained: searched exactly until then, trained in the
# background while searches and changes go on, and whole after a kill at any moment.
. tests/e2e/lib.sh
need_index IVF4,SQ8
need_index IDMap2,SQ8

user=$BUILD/tests/e2e/catalogue
data=$TMP/data
op() { raw '{"operation":"index_'"$1"'","name":"'"$2"'"'"${3:+,$3}${4:+,\"_frames\":[$4]}"'}'; }
kept() { (export RAW_SAVE="$TMP/$1"; shift; op "$@"); }
good() { like "$1" "$2" '"status":"ok"'; }
same_frames() {
    for frame in $(seq "$4"); do same "$1, array $frame" "$TMP/$2.$frame" "$TMP/$3.$frame"; done
}
is_trained() { op info "$1" | grep -q '"trained":1'; }
running() { op info "$1" | grep -q '"training":"running"'; }
x() { printf '"file %s/x%s"' "$TMP" "$1"; }
ids() { printf '"file %s/x%s","file %s/ids%s"' "$TMP" "$1" "$TMP" "$1"; }

"$user" numbers 1000 16 3 "$TMP/x"
"$user" numbers 10 16 7 "$TMP/q"
"$user" ids 1000 5000 "$TMP/ids"
head -c $((100 * 64)) "$TMP/x" >"$TMP/x1"
tail -c +$((100 * 64 + 1)) "$TMP/x" >"$TMP/x2"
head -c 800 "$TMP/ids" >"$TMP/ids1"
tail -c +801 "$TMP/ids" >"$TMP/ids2"
head -c $((15 * 64)) "$TMP/x" >"$TMP/x15"
start_server --data-dir "$data"

# --- auto ---

n=0
for wants in IVF8,Flat:312:IndexIVFFlat PQ4x4np:624:IndexPQ SQ8:256:IndexScalarQuantizer \
    IVF8,PQ4x4np:624:IndexIVFPQ PCA8,IVF8,SQ8:312:IndexPreTransform IDMap2,PQ4x4np:624:IndexIDMap2 \
    IDMap,SQ8:256:IndexIDMap L2norm,IVF8,Flat:312:IndexPreTransform \
    L2norm,SQ8:256:IndexPreTransform IDMap2,L2norm,IVF8,Flat:312:IndexIDMap2; do
    n=$((n + 1))
    description=${wants%%:*} type=${wants##*:} enough=${wants#*:} first=$(x 1) rest=$(x 2) keys=
    enough=${enough%:*}
    exact=Flat
    case $description in L2norm*) exact=L2norm,Flat ;; esac
    case $description in
    IDMap*)
        exact=IDMap2,Flat
        case $description in *L2norm*) exact=IDMap2,L2norm,Flat ;; esac
        keys=',"ids":1'
        first=$(ids 1) rest=$(ids 2)
        ;;
    esac
    good "$description is created" "$(op create t$n '"d":16,"training":"auto","description":"'$description'"')"
    good "and what is exact" "$(op create e$n '"d":16,"description":"'$exact'"')"
    like "it waits" "$(op info t$n)" '"ntotal":0,.*"trained":0,"training":"waiting","training_vectors":'$enough',"type":"'$type'"}'
    good "it takes 100 vectors" "$(op add t$n '"n":100'"$keys" "$first")"
    op add e$n '"n":100'"$keys" "$first" >/dev/null
    good "and is searched" "$(kept wire search t$n '"n":10,"k":5' '"file '"$TMP"'/q"')"
    kept exact search e$n '"n":10,"k":5' '"file '"$TMP"'/q"' >/dev/null
    same_frames "$description: exactly" wire exact 2
    good "in a range" "$(kept wire range_search t$n '"n":10,"radius":2' '"file '"$TMP"'/q"')"
    kept exact range_search e$n '"n":10,"radius":2' '"file '"$TMP"'/q"' >/dev/null
    same_frames "$description: exactly, in a range" wire exact 1
    case $description in
    *IVF*) good "with an nprobe that it will know" \
        "$(op search t$n '"n":10,"k":5,"params":{"nprobe":2}' '"file '"$TMP"'/q"')" ;;
    esac
    like "its statistics say so" "$(op stats t$n)" '"ntotal":100,.*"training":"waiting"'
    is "the C API sees one that is not trained" "$(remote "$user" trained faissx://t$n)" 0
    good "it gets the others" "$(op add t$n '"n":900'"$keys" "$rest")"
    ok "then it is trained" wait_for is_trained t$n
    like "with all vectors" "$(op info t$n)" '"ntotal":1000,.*"trained":1,"type":"'$type'"}'
    good "and searched" "$(op search t$n '"n":10,"k":5' '"file '"$TMP"'/q"')"
    good "it takes more" "$(op add t$n '"n":100'"$keys" "$first")"
done

# FAISS may put such a vector into no list, and counts it; or refuse it.
perl -e 'for my $i (0 .. 399) { print pack("f<*", map { sin($i * 16 + $_) } 0 .. 15) }' >"$TMP/odd400"
perl -e 'for my $bad (9**9**9 / 9**9**9, 9**9**9, 1e20) { print pack("f<*", $bad, (0) x 15) }' >"$TMP/odd3"
head -c 64 "$TMP/odd3" | cat - "$TMP/odd400" >"$TMP/odd401"
for wants in IVF8,Flat SQ8; do
    for few in 1 3; do
        i=odd$few-$wants
        good "$wants" "$(op create $i '"d":16,"training":"auto","training_vectors":350,"description":"'$wants'"')"
        if [ $few = 3 ]; then
            good "takes three that are not finite" "$(op add $i '"n":3' "\"file $TMP/odd3\"")"
            good "and others" "$(op add $i '"n":400' "\"file $TMP/odd400\"")"
        else
            first=$(op add $i '"n":401' "\"file $TMP/odd401\"")
            case $first in
            *'ends the process'* | *'would end the engine'*) continue ;;
            esac
            good "takes one that is not, with others" "$first"
        fi
        ok "and is trained" wait_for is_trained $i
        [ $wants = SQ8 ] && continue
        kept found search $i '"n":400,"k":1,"params":{"nprobe":8}' "\"file $TMP/odd400\"" >/dev/null
        good "one more" "$(op add $i '"n":1' '"f32 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9"')"
        kept more search $i '"n":1,"k":1,"params":{"nprobe":8}' '"f32 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9"' >/dev/null
        is "has an id that none of them has" "$(od -An -v -t d8 -w8 "$TMP/more.2" | xargs)" $((few + 400))
        is "each of the others is found" "$(od -An -v -t d8 -w8 "$TMP/found.2" | xargs)" "$(seq -s ' ' $few $((few + 399)))"
    done
done
good "with a number of its own" "$(op create own '"d":16,"training":"auto","training_vectors":50,"type":"ivf_flat","nlist":8')"
good "that is reached" "$(op add own '"n":100' "$(x 1)")"
ok "it is trained" wait_for is_trained own
good "fewer than FAISS can train with" "$(op create few '"d":16,"training":"auto","training_vectors":1,"type":"ivf_flat","nlist":200')"
like "are taken as that" "$(op info few)" '"training_vectors":200'
good "100 vectors" "$(op add few '"n":100' "$(x 1)")"
good "an index that needs none" "$(op create none '"d":16,"training":"auto","type":"flat"')"
like "is trained" "$(op info none)" '"trained":1,"type"'

if has faiss_index_binary_factory; then
    bits=$(seq 1 128 | awk '{ printf "%02x", $1 * 7 % 256 }')
    good "a binary index" "$(op create bits '"d":16,"class":"IndexBinary","training":"auto","training_vectors":70,"description":"BIVF8"')"
    good "takes vectors" "$(op add bits '"n":64' '"hex '"$bits"'"')"
    like "waits" "$(op info bits)" '"ntotal":64,.*"trained":0,"training":"waiting","training_vectors":70,"type":"IndexBinaryIVF"'
    good "and is searched" "$(kept found search bits '"n":1,"k":1' '"hex 070e"')"
    is "exactly" "$(od -An -t d4 "$TMP/found.1" | tr -d ' ')$(od -An -t d8 "$TMP/found.2" | tr -d ' ')" 00
    good "it takes enough" "$(op add bits '"n":64' '"hex '"$bits"'"')"
    ok "and is trained" wait_for is_trained bits
    probes=
    ! has faiss_IndexBinary_search_with_params || probes=',"params":{"nprobe":8}'
    good "it is searched then" "$(kept found search bits '"n":1,"k":1'"$probes" '"hex 070e"')"
    is "and finds the vector" "$(od -An -t d4 "$TMP/found.1" | tr -d ' ')" 0
fi

# --- explicit ---

good "explicit" "$(op create ask '"d":16,"training":"explicit","type":"ivf_flat","nlist":20')"
like "waits for a request" "$(op info ask)" '"training":"waiting","training_vectors":0'
good "15 vectors" "$(op add ask '"n":15' '"file '"$TMP"'/x15"')"
like "too few to train with" "$(op train ask)" '"kind":"argument","message":"faissx: index_train: the index holds 15 vectors, and none were given; expected at least 20'
like "FAISS, too, wants more" "$(op train ask '"n":15' '"file '"$TMP"'/x15"')" '"status":"error"'
like "of the right size" "$(op train ask '"n":15' "$(x 1)")" '"message":"faissx: index_train: x must have 15 vectors of 16 float32'
like "it still waits" "$(op info ask)" '"ntotal":15,.*"trained":0,"training":"waiting"'
good "and is searched" "$(op search ask '"n":10,"k":5' '"file '"$TMP"'/q"')"
good "with more vectors" "$(op train ask '"n":1000' "$(x '')")"
like "it is trained when that is answered" "$(op info ask)" '"ntotal":15,.*"trained":1,"type":"IndexIVFFlat"'
good "explicit again" "$(op create capi '"d":16,"training":"explicit","type":"ivf_flat","nlist":8')"
good "with vectors" "$(op add capi '"n":1000' "$(x '')")"
ok "the C API trains it" remote "$user" train faissx://capi 400
is "and sees that" "$(remote "$user" trained faissx://capi)" 1
good "explicit, with codes" "$(op create codes '"d":16,"training":"explicit","description":"PQ4x4np"')"
good "and vectors" "$(op add codes '"n":1000' "$(x '')")"
first=$(stat_of pid)
like "a cast to what stands in for it gives nothing afterwards" "$(remote "$user" cast faissx://codes 2>&1)" '^flat 16000, then (not )?flat 0, 1000$'
is "and the engine lives" "$(stat_of pid)" "$first"
good "explicit once more" "$(op create held '"d":16,"training":"explicit","type":"ivf_flat","nlist":8')"
good "with vectors" "$(op add held '"n":1000' "$(x '')")"
good "is trained with them" "$(op train held)"
like "and has them" "$(op info held)" '"ntotal":1000,.*"trained":1'
good "explicit, for a client of FAISSx" "$(op create other '"d":2,"training":"explicit","description":"IVF1,Flat"')"
rows=$(perl -e 'print join ",", map { "[$_,1]" } 1 .. 300')
like "whose add is enough to train with" "$(raw '{"action":"ping"}' '{"action":"add_vectors","index_id":"other","vectors":['"$rows"']}' | tail -n 1)" '"ntotal":300'
like "does not train it" "$(op info other)" '"ntotal":300,.*"trained":0,"training":"waiting"'
good "an index over one that waits" "$(op create base '"d":16,"training":"auto","description":"PQ4x4np"')"
good "is made" "$(op wrap over '"of":"base","by_id":true')"
like "and waits itself" "$(op info over)" '"training":"waiting","training_vectors":624,"type":"IndexIDMap2"'
good "a part of one that waits" "$(op split few '"to":"part","selector":["range",0,50]')"
like "waits, too" "$(op info part)" '"ntotal":50,.*"training":"waiting"'
like "a metric that inverted lists do not have" "$(op create l1 '"d":16,"training":"auto","metric":"L1","type":"pq"')" '"message":"faissx: index_create: training is given, which needs the metric L2 or inner_product'
like "another word" "$(op create l1 '"d":16,"training":"now","type":"pq"')" '"message":"faissx: index_create: training'
like "a number that is not used" "$(op create l1 '"d":16,"training":"explicit","training_vectors":5,"type":"pq"')" '"message":"faissx: index_create: training_vectors'
good "nprobe can be set" "$(op set_parameter few '"parameter":"nprobe","value":2')"
for parameter in max_codes verbose nprobes; do
    like "$parameter would be lost" "$(op set_parameter few '"parameter":"'$parameter'","value":1000')" '"kind":"argument","message":"faissx: index_set_parameter: '"'$parameter'"' can be set when the index has been trained'
done
like "with nprobe, too" "$(remote "$user" parameters faissx://few nprobe=4,max_codes=1000 2>&1)" 'nprobe=4,max_codes=1000.* can be set when the index has been trained'
ok "the C API sets nprobe" remote "$user" parameters faissx://few nprobe=4,nprobe=8
like "a direct map" "$(op set_parameter few '"parameter":"direct_map","value":1')" 'waits for that'

# --- while others search and change it ---

good "an index" "$(op create lists '"d":32,"training":"auto","description":"IVF256,Flat"')"
good "all lists are searched" "$(op set_parameter lists '"parameter":"nprobe","value":256')"
ok "no search fails or misses a vector when it becomes inverted lists" remote "$BUILD/tests/e2e/swap" faissx://lists 12000
diag "$(cat "$TMP/ok.out")"
like "they have its nprobe" "$(op get_parameter lists '"parameter":"nprobe"')" '"value":256'
good "one with ids" "$(op create map '"d":32,"training":"auto","training_vectors":5000,"description":"IDMap2,SQ8"')"
ok "no search fails or misses a vector when it becomes an IDMap of codes" remote "$BUILD/tests/e2e/swap" faissx://map 8000
diag "$(cat "$TMP/ok.out")"

# With parameters, too, which FAISS's C API cannot give to an index behind a transform.
for round in 1 2 3; do
    good "an index" "$(op create nprobe$round '"d":16,"training":"auto","description":"PCA8,IVF8,SQ8"')"
    good "with few vectors" "$(op add nprobe$round '"n":100' "$(x 1)")"
    (i=0
    until is_trained nprobe$round || [ $((i += 1)) -gt 200 ]; do
        op search nprobe$round '"n":10,"k":5,"params":{"nprobe":1},"_repeat":500' '"file '"$TMP"'/q"'
    done) >"$TMP/searches" &
    good "gets the others" "$(op add nprobe$round '"n":900' "$(x 2)")"
    wait $!
    ok "it is trained" is_trained nprobe$round
    is "and no search with nprobe has failed meanwhile" "$(grep -v '"status":"ok"' "$TMP/searches" | head -n 3)" ''
    ok "of some" test -s "$TMP/searches"
done

# --- killed ---

"$user" numbers 20000 16 5 "$TMP/many"
"$user" ids 20000 0 "$TMP/many_ids"
head -c 640000 "$TMP/many" >"$TMP/many1"
tail -c 640000 "$TMP/many" >"$TMP/many2"
head -c 80000 "$TMP/many_ids" >"$TMP/many_ids1"
tail -c 80000 "$TMP/many_ids" >"$TMP/many_ids2"
for after in 0 0.05 0.1 0.2 0.3 0.4 0.6 0.8; do
    i=k$after
    good "an index" "$(op create $i '"d":16,"training":"auto","training_vectors":15000,"type":"ivf_flat","nlist":512,"ids":true')"
    good "with some vectors" "$(op add $i '"n":10000,"ids":1' '"file '"$TMP"'/many1","file '"$TMP"'/many_ids1"')"
    good "some are removed" "$(op remove $i '"selector":["range",0,100]')"
    good "with enough vectors" "$(op add $i '"n":10000,"ids":1' '"file '"$TMP"'/many2","file '"$TMP"'/many_ids2"')"
    sleep $after
    kill_engine
    wait_for sh -c '"$1" "$2" "{\"operation\":\"index_info\",\"name\":\"'$i'\"}" | grep -q ntotal' - "$BUILD/tests/e2e/raw" "$SERVER"
    like "killed after $after seconds: all are there" "$(op info $i)" '"ntotal":19900'
    kept vectors get_vectors $i >/dev/null
    tail -c +$((100 * 64 + 1)) "$TMP/many" >"$TMP/wanted"
    is_trained $i || same "killed after $after seconds: the same vectors" "$TMP/vectors.2" "$TMP/wanted"
    good "it is searched" "$(op search $i '"n":10,"k":5' '"file '"$TMP"'/q"')"
    ok "and trained in the end" wait_for is_trained $i
    like "with all" "$(op info $i)" '"ntotal":19900,'
    kept vectors get_vectors $i >/dev/null
    same "killed after $after seconds: trained with the same vectors" "$TMP/vectors.2" "$TMP/wanted"
done
stop_server
start_server --again --data-dir "$data"
like "after a restart it is trained" "$(op info k0)" '"ntotal":19900,.*"trained":1,'
like "one that waits waits" "$(op info few)" '"ntotal":100,.*"trained":0,"training":"waiting","training_vectors":200'
good "and takes the rest" "$(op add few '"n":900' "$(x 2)")"
ok "until it is trained" wait_for is_trained few

# --- too little memory ---

case $BUILD in
*-address | *-thread) ;;
*)
    start_server --memory 400
    "$user" numbers 8000 256 5 "$TMP/wide"
    good "an index" "$(op create large '"d":256,"training":"auto","training_vectors":110000,"type":"sq"')"
    for part in $(seq 15); do
        good "part $part" "$(op add large '"n":8000' '"file '"$TMP"'/wide"')"
    done
    failed() { op info large | grep -q '"training":"failed"'; }
    ok "its training fails" wait_for failed
    like "for a lack of memory" "$(op info large)" '"ntotal":120000,.*"training_error":"faissx: index_train: [0-9]* bytes of memory are needed to train the index, but [0-9]* are left"'
    head -c 1024 "$TMP/wide" >"$TMP/one"
    good "it is searched" "$(kept found search large '"n":1,"k":1' '"file '"$TMP"'/one"')"
    is "exactly" "$(od -An -t f4 "$TMP/found.1" | tr -d ' ')" 0
    like "whoever asks for it is told" "$(op train large)" '"kind":"limit","message":"faissx: index_train: [0-9]* bytes'
    good "with fewer vectors" "$(op remove large '"selector":["range",1000,200000]')"
    good "it is trained when it is asked for" "$(op train large)"
    like "and has them" "$(op info large)" '"ntotal":1000,.*"trained":1'
    ;;
esac
