#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What clients have of an index that becomes another one when it gets its training, engines that end
# while they train, and requests to train that come twice.
. tests/e2e/lib.sh
need_index IVF4,SQ8

user=$BUILD/tests/e2e/catalogue
op() { raw '{"operation":"index_'"$1"'","name":"'"$2"'"'"${3:+,$3}${4:+,\"_frames\":[$4]}"'}'; }
kept() { (export RAW_SAVE="$TMP/$1"; shift; op "$@"); }
good() { like "$1" "$2" '"status":"ok"'; }
is_trained() { op info "$1" | grep -q '"trained":1'; }
state() { op info "$1" | sed -n 's/.*"training":"\([a-z]*\)".*/\1/p'; }
is_in() { [ "$(state "$1")" = "$2" ]; }
create() { op create "$1" '"d":16,"training":"'"$2"'","description":"'"$3"'"'; }
fill_it() { op add "$1" '"n":1000'"${2:+,\"ids\":1}" '"file '"$TMP"'/x"'"${2:+,\"file $TMP/ids\"}"; }

"$user" numbers 1000 16 5 "$TMP/x"
"$user" numbers 10 16 7 "$TMP/q"
"$user" ids 1000 5000 "$TMP/ids"
start_server --data-dir "$TMP/data"
engine=$(stat_of pid)

# --- handles of the C API ---

rounds="1 2 3" # to meet both ends of a race
[ -z "$SANITIZER_RUNTIME" ] || rounds=1
for what in cast search part within facts; do
    [ $what != part ] || has faiss_IndexIDMap_sub_index || continue
    case $what in
    part) description=IDMap,PQ4x4np ids=1 ;;
    facts) description=IVF8,SQ8 ids= ;;
    *) description=PQ4x4np ids= ;;
    esac
    for round in $rounds; do
        i=$what$round
        good "$i: an index" "$(create $i explicit $description)"
        good "with vectors" "$(fill_it $i $ids)"
        ok "is used as it should be" remote "$BUILD/tests/e2e/trained" $what faissx://$i
        ok "and is trained" is_trained $i
        case $what in search | part) ;; *) break ;; esac
    done
done

good "an index that is trained by itself" "$(op create alone '"d":16,"training":"auto","training_vectors":1000,"description":"PQ4x4np"')"
good "with some vectors" "$(op add alone '"n":10' "\"$(head -c 640 "$TMP/x" >"$TMP/x10"; echo "file $TMP/x10")\"")"
mkfifo "$TMP/go"
remote "$BUILD/tests/e2e/trained" held faissx://alone <"$TMP/go" >"$TMP/held.out" 2>&1 &
held=$!
exec 9>"$TMP/go"
wait_for grep -q held "$TMP/held.out"
good "gets the others while another index contains it" "$(fill_it alone)"
ok "its training is held" wait_for is_in alone held
echo go >&9
exec 9>&-
ok "until that is freed" wait_for is_trained alone
wait $held
is "which has worked until then" $? 0 || diag "$(cat "$TMP/held.out")"
is "it is the same engine" "$(stat_of pid)" "$engine"

# --- asked for twice ---

good "an index" "$(create twice auto PQ4x4np)"
good "with vectors" "$(fill_it twice)"
ok "is trained" wait_for is_trained twice
good "and searched" "$(kept before search twice '"n":10,"k":5' '"file '"$TMP"'/q"')"
ok "a request to train it that comes too late succeeds" remote "$user" train faissx://twice 400
good "another one, too" "$(op train twice '"n":1000' '"file '"$TMP"'/x"')"
good "it is searched" "$(kept after search twice '"n":10,"k":5' '"file '"$TMP"'/q"')"
same "and its vectors are those that they were" "$TMP/before.1" "$TMP/after.1"
stop_server
start_server --again --data-dir "$TMP/data"
ok "after a restart, too, such a request succeeds" remote "$user" train faissx://twice 400
good "it is searched" "$(kept after search twice '"n":10,"k":5' '"file '"$TMP"'/q"')"
same "and its vectors are those that they were" "$TMP/before.1" "$TMP/after.1"
good "without vectors" "$(op reset twice)"
good "it is trained" "$(op train twice '"n":1000' '"file '"$TMP"'/x"')"
good "it gets them" "$(fill_it twice)"

# --- engines ---

"$user" numbers 16000 128 5 "$TMP/large"
large='"d":128,"training":"auto","training_vectors":16000,"type":"ivf_flat","nlist":2048'
give() { op add "$1" '"n":16000' '"file '"$TMP"'/large"'; }
good "an index whose training takes long" "$(op create slow "$large")"
good "with vectors" "$(give slow)"
case $BUILD in
*-address | *-thread) ;; # they report the signal themselves
*)
    ok "is being trained" wait_for is_in slow running
    engine=$(stat_of pid)
    kill -SEGV "$engine"
    wait_for gone "$engine"
    wait_for sh -c '"$1" "$2" "{\"operation\":\"index_info\",\"name\":\"slow\"}" | grep -q ntotal' - "$BUILD/tests/e2e/raw" "$SERVER"
    like "a training that ended the engine is not tried again" "$(op info slow)" '"ntotal":16000,.*"training":"failed",.*"training_error":"the engine ended with signal 11'
    good "more vectors do not change that" "$(op add slow '"n":10' "\"$(head -c 5120 "$TMP/large" >"$TMP/large10"; echo "file $TMP/large10")\"")"
    like "it has failed" "$(op info slow)" '"ntotal":16010,.*"training":"failed"'
    stop_server
    start_server --again --data-dir "$TMP/data"
    like "the index is read" "$(op search slow '"n":1,"k":1' "\"$(head -c 512 "$TMP/large" >"$TMP/large1"; echo "file $TMP/large1")\"")" '"status":"ok"'
    like "nor after another restart" "$(op info slow)" '"training":"failed",.*"training_error":"the engine ended while it was trained'
    ;;
esac
engine=$(stat_of pid)
good "a request trains it" "$(RAW_SECONDS=120 op train slow)"
is "however long that takes, it is the same engine" "$(stat_of pid)" "$engine"
stop_server

start_server --data-dir "$TMP/idle" --idle 1
good "an index whose training takes longer than an idle engine lives" "$(op create slow "$large")"
good "gets vectors" "$(give slow)"
has_trained() { grep -q event=trained "$SERVER_LOG"; }
ok "it is trained though there are no clients" wait_for has_trained

# --- when the index is dropped meanwhile ---

stop_server
start_server --data-dir "$TMP/dropped" --library "$BUILD/tests/torture/crashing.so"
"$user" numbers 16000 64 5 "$TMP/wide"
perl -e 'print pack("f<*", 7654324, (0) x 63)' >"$TMP/halfway"
halfway="\"file $TMP/halfway\""
runs() { op info "$1" | grep -q '"training":"running"'; }
good "an index" "$(op create dropped '"d":64,"training":"explicit","description":"IVF512,Flat"')"
good "gets vectors" "$(op add dropped '"n":16000' "\"file $TMP/wide\"")"
good "and is searched" "$(op search dropped '"n":1,"k":1' "$halfway")"
(RAW_SECONDS=120 op train dropped >"$TMP/dropped.train") &
ok "it is being trained" wait_for runs dropped
like "a change fails halfway" "$(op add dropped '"n":1' "$halfway")" '"status":"error"'
wait $!
like "whoever asked is told what happened" "$(cat "$TMP/dropped.train")" '"kind":"limit","message":"faissx: index_train: the index is only on disk now'
like "the index is there" "$(op search dropped '"n":1,"k":1' "$halfway")" '"status":"ok"'
good "and trained the next time" "$(RAW_SECONDS=120 op train dropped)"
like "with all vectors" "$(op info dropped)" '"ntotal":16000,.*"trained":1'

# --- with numbers that are large, but not for a distance ---

stop_server
start_server --log-level debug
trials() { grep -c event=trial "$SERVER_LOG"; }
perl -e 'for my $i (0 .. 199) { print pack("f<*", 1.7e18 + $i * 1e15, map { $i * $_ } 1 .. 7) }' >"$TMP/nanoseconds"
nanoseconds="\"file $TMP/nanoseconds\""
good "an index" "$(op create large '"d":8,"description":"IVF4,Flat"')"
good "is trained with such numbers" "$(op train large '"n":200' "$nanoseconds")"
good "has such vectors" "$(op add large '"n":200' "$nanoseconds")"
good "finds some" "$(op search large '"n":200,"k":3' "$nanoseconds")"
before=$(trials)
for again in 1 2 3; do
    good "and again" "$(op search large '"n":200,"k":3' "$nanoseconds")"
done
is "without trying each search in a copy of the engine" "$(trials)" "$before"
