#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the catalogue has answered is there after the engine or the server was killed, and a request
# that is sent again is carried out once.
. tests/e2e/lib.sh
need_index IDMap2,Flat

data=$TMP/data
serve() { start_server "$@" --data-dir "$data"; }
caller=hex:000102030405060708090a0b0c0d0e0f
number=0
last=
# op OPERATION NAME [KEYS [FRAMES]]: with a caller and a number, so that `again` can send it again.
op() {
    number=$((number + 1))
    last='{"operation":"index_'"$1"'","name":"'"$2"'","request_id":'$number',"caller":"'$caller'"'"${3:+,$3}"
    last_frames="${4:+,\"_frames\":[$4]}"
    reply=$(raw "$last$last_frames}")
}
ask() { raw '{"operation":"index_'"$1"'","name":"'"$2"'"'"${3:+,$3}}"; }
again() { raw "$last"',"again":true'"$last_frames}"; }
vectors() { (export RAW_SAVE="$TMP/$2"; ask get_vectors "$1" >/dev/null) && cat "$TMP/$2.1" "$TMP/$2.2" >"$TMP/$2"; }

kill_server() {
    fx_engine=$(stat_of pid)
    kill -9 "$SERVER_PID"
    wait "$SERVER_PID" 2>/dev/null
    wait_for gone "$fx_engine"
    serve --again
}

# step WHAT: the last request was carried out; killed in both ways, it stays so; sent again each
# time, it is answered as before.
step() {
    like "$1" "$reply" '"status":"ok"'
    wanted=$(ask info "$index"; ask list x | sed 's/"details":.*"names"/"names"/')
    [ "${quiet:-}" ] || vectors "$index" before
    for end in kill_engine kill_server; do
        $end
        is "$1: sent again after $end" "$(again)" "$reply"
        is "$1: the same after $end" "$(ask info "$index"; ask list x | sed 's/"details":.*"names"/"names"/')" "$wanted"
        [ "${quiet:-}" ] && continue
        vectors "$index" after
        same "$1: the same vectors after $end" "$TMP/after" "$TMP/before"
    done
}

serve
index=a
op create a '"d":2,"description":"IDMap2,Flat"'
step create
op add a '"n":3,"ids":1' '"f32 0 0 1 1 2 2","i64 10 20 30"'
step add
op replace a '"n":2,"ids":1' '"f32 5 5 6 6","i64 20 40"'
step replace
like "four vectors" "$(ask info a)" '"ntotal":4,'
op remove a '"n":1,"ids":0' '"i64 10"'
step "remove by ids"
op remove a '"selector":["range",40,41]'
step "remove by a selector"
like "two are left" "$(ask info a)" '"ntotal":2,'
op split a '"to":"part","selector":["range",0,25]'
step split
index=part
op rename part '"to":"piece"'
index=piece
step rename
op create c '"d":2,"type":"flat","ids":true'
index=c
op merge c '"from":"a"'
step merge
op merge c '"from":"piece"'
step "merge of a part"

# An index that waits for its training.
x=$(seq 1 200 | awk '{ printf " %d", $1 * $1 % 97 }')
op create w '"d":2,"training":"explicit","description":"IVF4,Flat"'
index=w
step "create with training"
op add w '"n":100' '"f32'"$x"'"'
step "add before it is trained"
op remove w '"n":1,"ids":0' '"i64 99"'
step "remove before it is trained"
like "it waits" "$(ask info w)" '"ntotal":99,.*"trained":0,"training":"waiting"'
op train w
step training
like "it is trained" "$(ask info w)" '"ntotal":99,.*"trained":1,'
op add w '"n":1,"ids":1' '"f32 5 5","i64 99"'
step "add after it is trained"
index=w
op recluster w '"nlist":3,"sample":90'
step "new clusters"
like "with all vectors" "$(ask info w)" '"ntotal":100,.*"trained":1,'
index=c
like "three vectors" "$(ask info c)" '"ntotal":3,'
op reset c
step reset
like "none" "$(ask info c)" '"ntotal":0,'
(export RAW_SAVE="$TMP/file"; ask export a >/dev/null)
op import d '"data":0' '"file '"$TMP"'/file.1"'
index=d
step import
op delete d
index=a
step delete
like "it is away" "$(ask info d)" '"kind":"handle"'

index=i
quiet=1
op create i '"d":2,"description":"IVF2,Flat"'
op train i '"n":80' '"zero 640"'
step train
like "it is trained" "$(ask info i)" '"trained":1'
op add i '"n":2' '"f32 1 1 2 2"'
step "add to inverted lists"
op set_parameter i '"parameter":"nprobe","value":2'
step set_parameter
op set_parameter i '"parameter":"direct_map","value":1'
step "set_parameter of a direct map"
like "it is there" "$(ask reconstruct i '"id":1')" '"status":"ok"'
like "it is set" "$(ask get_parameter i '"parameter":"nprobe"')" '"value":2'

# A change that fails changes nothing, before and after.
index=a
quiet=
op replace a '"n":1,"ids":1' '"f32 7 7","i64 20"'
op add a '"n":1' '"f32 1 1"'
like "an add without ids fails" "$reply" '"status":"error"'
kill_engine
is "sent again, it fails in the same way" "$(again)" "$reply"
like "it has changed nothing" "$(ask info a)" '"ntotal":2,'

# Without being told that it is sent again, an engine that is the same carries it out once, too.
op add a '"n":1,"ids":1' '"f32 9 9","i64 90"'
for i in 1 2 3; do is "sent again, $i" "$(raw "$last$last_frames}")" "$reply"; done
like "it is carried out once" "$(ask info a)" '"ntotal":3,'
stop_server
ok "the store is whole" "$BUILD/faissx-server" verify "$data"

# An add that is refused after its vectors have trained the index.
start_server --data-dir "$TMP/first"
raw '{"operation":"index_create","name":"first","d":4,"description":"IDMap2,IVF4,Flat"}' >"$TMP/out"
like "vectors with one id twice are refused, after they have trained the index" \
    "$(raw '{"operation":"index_replace","name":"first","n":200,"train":true,"x":0,"ids":1,"_frames":["zero 3200","zero 1600"]}')" 'more than once'
like "it is not trained" "$(raw '{"operation":"index_info","name":"first"}')" '"trained":0'
like "and takes no vectors" "$(raw '{"operation":"index_add","name":"first","n":1,"x":0,"ids":1,"_frames":["zero 16","zero 8"]}')" '"status":"error"'
ok "the server stops" stop_server
