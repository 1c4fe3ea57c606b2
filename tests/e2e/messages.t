#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Malformed messages, and messages with wrong sizes and handles: each is answered with an error of
# the right kind, and neither the server nor the engine, which other clients use, is affected.
# (messages-tcp.t sends the same over TCP, messages-curve.t under CURVE.)
. tests/e2e/lib.sh
MESSAGES_OVER=${MESSAGES_OVER:-}

case $MESSAGES_OVER in
curve)
    encrypt
    MESSAGES_OVER="--tcp --require-encryption --curve-secret-file $TMP/server.key"
    ;;
esac
start_server $MESSAGES_OVER
talk honest
ask honest 'new 0 Flat' >/dev/null
ask honest 'add 0 100' >/dev/null
found=$(ask honest 'search 0')
engine=$(stat_of pid)

s=$(value session "$(raw '{"operation":"hello","protocol":1}')")
to() { raw "$@"; }
# send OPERATION [KEYS]; call FUNCTION ARGS [KEYS]: a request in the session.
send() { to '{"operation":"'"$1"'","session":"'"$s"'"'"${2:+,$2}"'}'; }
call() { send "$1" '"args":['"$2"']'"${3:+,$3}"; }
good() { like "$1" "$2" '"status":"ok"'; }
# bad NAME REPLY KIND...: the reply is an error of one of these kinds; 'faiss' is FAISS's own.
bad() {
    bad_name=$1 bad_reply=$2
    shift 2
    bad_pattern=
    for kind; do
        if [ "$kind" = faiss ]; then kind='"code":-[124],"message":"[^f]'; else kind='"kind":"'$kind'"'; fi
        bad_pattern="$bad_pattern${bad_pattern:+|}$kind"
    done
    like "$bad_name" "$bad_reply" "$bad_pattern"
}

flat=$(handle "$(call faiss_index_factory 'true,8,"Flat",1')")
ivf=$(handle "$(call faiss_index_factory 'true,8,"IVF4,Flat",1')")
bits=$(handle "$(call faiss_index_binary_factory 'true,8,"BIVF4"')")
clustering=$(handle "$(call faiss_Clustering_new 'true,8,4')")
is "a thousand calls before the first reply is read are answered" \
    "$(call faiss_Index_ntotal "$flat" '"_repeat":1000' | grep -c '"ret":0')" 1000
is "so are a thousand calls that are refused" \
    "$(call faiss_Index_ntotal 99 '"_repeat":1000' | grep -c '"kind":"handle"')" 1000
good "an honest call" "$(call faiss_Index_add "$flat,2,0" '"_frames":["zero 64"]')"

# --- frames and headers ---

bad "no delimiter" "$(to hex:80)" protocol
bad "nothing but a delimiter" "$(to hex:)" protocol
bad "two delimiters" "$(to hex:,)" protocol
bad "an empty map" "$(to hex:,80)" protocol
bad "a header that is not a map" "$(to hex:,90)" protocol
bad "a header that is a number" "$(to hex:,01)" protocol
bad "a byte that msgpack does not have" "$(to hex:,c1)" protocol
bad "a truncated string" "$(to hex:,81a96f70)" protocol
bad "bytes after the map" "$(to hex:,8000)" protocol
for lie in dfffffffff ddffffffff dbffffffff c6ffffffff c9ffffffff00 81dbffffffff 81a161ddffffffff; do
    bad "a length larger than the header: $lie" "$(to "hex:,$lie")" protocol
done
nested=$(printf '%01000d' 0 | sed 's/0/91/g')
bad "nested 1000 deep" "$(to "hex:,81a96f7065726174696f6e${nested}c0")" protocol
long=$(printf '%070000d' 0)
bad "a header beyond the limit" "$(to '{"operation":"'"$long"'"}')" limit
bad "a long operation" "$(to '{"operation":"'"$(printf '%060000d' 0)"'"}')" session unsupported protocol
bad "no operation" "$(to '{"args":[]}')" protocol
bad "an operation that is a number" "$(to '{"operation":1}')" protocol
bad "an empty operation" "$(send '')" unsupported
bad "an unknown operation" "$(send faiss_Nonsense)" unsupported
bad "one with a NUL in it" "$(send 'stats\u0000')" unsupported
bad "a function that works only in the client" "$(call faiss_IDSelectorRange_new 'true,1,2')" unsupported
bad "a function that works only in process" "$(call faiss_write_index "$flat,null")" unsupported
good "a request_id that is a string" "$(raw '{"operation":"ping","request_id":"x"}')"
bad "16 payload frames" "$(call faiss_Index_ntotal "$flat" '"_frames":["","","","","","","","","","","","","","","",""]')" limit
bad "100 payload frames" "$(call faiss_Index_ntotal "$flat" '"_frames":['"$(printf '"",%.0s' $(seq 99))"'""]')" limit
bad "a frame beyond the limit" "$(call faiss_Index_add "$flat,1,0" '"_frames":["zero 8388609"]')" limit
like "a frame far beyond the limit" "$(raw '{"operation":"ping","_frames":["zero 99000000"]}')" \
    '"kind":"limit","message":"faissx: frame 1 has 99000000 bytes, at most 8388608 are allowed"|^no reply$'
bad "a hello without a protocol" "$(raw '{"operation":"hello"}')" protocol
bad "a hello with a later protocol" "$(raw '{"operation":"hello","protocol":2}')" protocol

# --- arguments ---

add='faiss_Index_add'
zeros='"_frames":["zero 64"]'
bad "no arguments" "$(send $add)" protocol
bad "arguments that are not an array" "$(send $add '"args":{}')" protocol
bad "too few arguments" "$(call $add "$flat,2" "$zeros")" protocol
bad "too many arguments" "$(call $add "$flat,2,0,0" "$zeros")" protocol
for handle in '"x"' 1.5 -1 true '[1]' '{}'; do
    bad "a handle that is $handle" "$(call $add "$handle,2,0" "$zeros")" protocol
done
for handle in 0 1 9223372036854775807 '"uint:18446744073709551615"'; do
    bad "a handle that is $handle" "$(call $add "$handle,2,0" "$zeros")" handle
done
bad "a handle that is NULL" "$(call $add 'null,2,0' "$zeros")" argument
for n in '"x"' 1.5 null true '[2]'; do
    bad "a count that is $n" "$(call $add "$flat,$n,0" "$zeros")" protocol
done
# 8 * 4 * 2^59 is 0 modulo 2^64.
for n in -1 -9223372036854775808 '"uint:18446744073709551615"' 4611686018427387904 \
    576460752303423488 576460752303423490 9223372036854775807 1 3; do
    bad "a count of $n" "$(call $add "$flat,$n,0" "$zeros")" argument
done
for array in 1 -1 true null '"x"' '["upload",7]' '["download",7]' '["upload"]' '[]' 1.0 \
    '"uint:18446744073709551615"' '["upload","uint:18446744073709551615"]'; do
    bad "an array that is $array" "$(call $add "$flat,2,$array" "$zeros")" protocol argument
done
# The header frame in place of an array: some header has exactly the size of eight vectors.
set --
for pad in $(seq 100 230); do
    set -- "$@" '{"operation":"'$add'","session":"'"$s"'","args":['"$flat"',8,"uint:18446744073709551615"],"pad":"'"$(printf "%0${pad}d" 0)"'"}'
done
to "$@" >"$TMP/in-place"
is "an array in place of the header: no request is carried out" "$(grep -c '"status":"ok"' "$TMP/in-place")" 0
is "each is an error" "$(grep -c '"status":"error"' "$TMP/in-place")" $#
bad "an array that is one byte short" "$(call $add "$flat,2,0" '"_frames":["zero 63"]')" argument
for value in 4294967304 -4294967288 '"uint:18446744073709551615"'; do
    bad "an int that is $value" "$(call faiss_index_factory "true,$value,"'"Flat",1')" argument
done
bad "a size that is negative" "$(call faiss_IndexIVF_set_nprobe "$ivf,-1")" argument
good "a size with its top bit set" "$(call faiss_IndexIVF_set_nprobe "$ivf,"'"uint:18446744073709551615"')"
bad "search parameters that are not those of the function" \
    "$(call faiss_IndexBinaryIVF_search_preassigned "${bits:-0},0,0,1,1,2,true,true,0,"'["params",null]' \
        '"_frames":["","",""]')" handle missing
bad "a factory string that is a number" "$(call faiss_index_factory 'true,8,5,1')" protocol
bad "one with a NUL in it" "$(call faiss_index_factory 'true,8,"Flat\u0000x",1')" protocol argument
bad "one that is NULL" "$(call faiss_index_factory 'true,8,null,1')" argument
bad "an output handle that is NULL" "$(call faiss_index_factory 'null,8,"Flat",1')" argument
# FAISS accepts this dimension; every size that is computed from it is refused.
negative=$(handle "$(call faiss_index_factory 'true,-8,"Flat",1')")
if [ -n "$negative" ]; then
    bad "a negative dimension" "$(call $add "$negative,1,0" "$zeros")" argument faiss
    bad "a negative dimension, searched" "$(call faiss_Index_search "$negative,1,0,1,true,true" "$zeros")" argument faiss
fi
bad "a float that is a string" "$(call faiss_Index_range_search "$flat,1,0,"'"x",["result",1]' "$zeros")" protocol

query='"_frames":["zero 32"]'
for k in -1 0 1099511627776 4611686018427387904 9223372036854775807; do
    bad "k of $k" "$(call faiss_Index_search "$flat,1,0,$k,true,true" "$query")" argument limit faiss
done
bad "results that are not wanted" "$(call faiss_Index_search "$flat,1,0,2,null,null" "$query")" protocol argument

# --- objects ---

bad "a Flat index as an IVF" "$(call faiss_IndexIVF_nprobe "$flat")" handle
bad "a clustering as an index" "$(call faiss_Index_ntotal "$clustering")" handle
bad "an index as a clustering" "$(call faiss_Clustering_k "$flat")" handle
bad "an index as a transform" "$(call faiss_VectorTransform_d_in "$flat")" handle
gone=$(handle "$(call faiss_index_factory 'true,8,"Flat",1')")
good "freeing" "$(call faiss_Index_free "$gone")"
bad "freeing twice" "$(call faiss_Index_free "$gone")" handle
bad "use after free" "$(call faiss_Index_ntotal "$gone")" handle
bad "freeing as another class" "$(call faiss_Clustering_free "$flat")" handle
bad "saving an object that is not an index" "$(send save '"handle":'"$clustering")" handle
bad "saving without a handle" "$(send save)" protocol

# --- value objects ---

remove() { call faiss_Index_remove_ids "$flat,$1,true" "${2:-}"; }
deep=$(printf '%01000d' 0 | sed 's/0/["not",/g')'["range",0,1]'$(printf '%01000d' 0 | sed 's/0/]/g')
bad "selectors nested 1000 deep" "$(remove "$deep")" protocol limit
wide='["range",0,1]'
for i in 1 2 3 4 5 6; do wide='["or",'$wide,$wide']'; done
bad "127 selectors" "$(remove "$wide")" limit missing
for selector in '[]' '["range"]' '["range",1]' '["range",1,2,3]' '["range","a",2]' '[1,2,3]' '"range"' 5 \
    '["nonsense",1]' '["not"]' '["not",null]' '["and",["range",0,1]]' '["and",["range",0,1],null]' \
    '["batch"]' '["batch",0]' '["batch",-1]' '["batch",["upload",3]]' '["params",null]' '["result",1]'; do
    bad "the selector $selector" "$(remove "$selector")" protocol argument missing
done
bad "a batch with a partial id" "$(remove '["batch",0]' '"_frames":["zero 12"]')" protocol argument
bad "a missing selector" "$(remove null)" argument
range() { call faiss_Index_range_search "$flat,2,0,1.0,$1" '"_frames":["zero 64"]'; }
for result in null '["result"]' '["result",1]' '["result",0]' '["result",-1]' '["result","x"]' \
    '["result",4611686018427387904]' '["result",1000000000000]' '["range",0,1]'; do
    bad "the result $result" "$(range "$result")" protocol argument limit faiss
done
good "the result for as many queries" "$(range '["result",2]')"

# --- large arrays and files ---

up() { send upload '"id":9,"size":'"$1"',"offset":'"$2"',"_frames":["zero '"$3"'"]'; }
bad "an upload without a size" "$(send upload '"id":9,"offset":0,"_frames":["zero 4"]')" protocol
bad "an upload beyond its end" "$(up 100 4194304 4)" protocol
bad "an upload at an offset that is no multiple of 4 MiB" "$(up 100 1 99)" protocol
bad "an upload of too small a piece" "$(up 100 0 99)" protocol
bad "an upload of too large a piece" "$(up 100 0 101)" protocol
bad "an upload without its bytes" "$(send upload '"id":9,"size":100,"offset":0')" protocol
bad "an upload of size 0" "$(up 0 0 0)" protocol
bad "an upload larger than the memory" "$(up '"uint:18446744073709551615"' 0 4194304)" limit protocol
bad "an upload whose number of pieces overflows" "$(up 9223372036854775807 0 4194304)" limit
good "half an upload" "$(up 4194308 0 4194304)"
bad "an upload whose pieces have different sizes" "$(up 4194309 4194304 5)" protocol
bad "an incomplete upload as an array" "$(call $add "$flat"',2,["upload",9]')" argument
good "it can be given up" "$(send release '"id":9')"
good "twice" "$(send release '"id":9')"
good "a whole upload" "$(up 64 0 64)"
for array in '["unsent",9]' '["other",9]' '["upload",9,9]' '[9,9]'; do
    bad "an array that is $array" "$(call $add "$flat,2,$array")" protocol
done
good "which leaves the upload to the next call" "$(call $add "$flat"',2,["upload",9]')"
for array in '["unsent",63]' '["unsent",-1]' '["unsent","64"]' '["unsent"]'; do
    bad "a train whose vectors are $array" "$(call faiss_Index_train "$flat,2,$array")" protocol argument
done
good "a train of a Flat index without its vectors" "$(call faiss_Index_train "$flat"',2,["unsent",64]')"
bad "the same array as before without its hash" "$(send upload '"id":9,"size":64,"same":9')" protocol
for where in '"offset":0,"size":1' '"offset":1' '"offset":-1,"size":-1'; do
    bad "a download that does not exist, $where" "$(send download '"id":9,'"$where")" argument protocol
done

big=$(handle "$(call faiss_index_factory 'true,8,"Flat",1')")
good "many vectors in a frame" "$(call faiss_Index_add "$big,200000,0" '"_frames":["zero 6400000"]')"
saved=$(send save '"handle":'"$big" | sed -n 's/.*"download","\([^"]*\)".*/\1/p')
for time in first second; do
    like "more than the largest piece of a download, the $time time" \
        "$(send download '"id":"'"$saved"'","offset":10,"size":6000000')" '"_frames":\[6000000\]'
done
like "the first bytes of an index, without the others" "$(send save '"handle":'"$big"',"head":4')" '"_frames":\[4\]'
bad "no first bytes" "$(send save '"handle":'"$big"',"head":0')" protocol
bad "more first bytes than are sent at once" "$(send save '"handle":'"$big"',"head":5000')" protocol
good "it is given up" "$(send release '"id":"'"$saved"'"')"
good "and the index" "$(call faiss_Index_free "$big")"

load() { send load '"class":"'"$1"'","data":'"${3:-0}"',"_frames":["'"$2"'"]'; }
bad "loading without data" "$(load Index '')" faiss
bad "loading garbage" "$(load Index 'zero 1000')" faiss
bad "loading a frame that does not exist" "$(load Index 'zero 4' 1)" protocol
bad "loading a class that cannot be loaded" "$(load Clustering 'zero 4')" protocol
# IxF2 with d = 8, which claims far more vectors than the file has bytes.
bad "an index that claims the wrong size" "$(load Index 'hex 4978463208000000ffffffffffffff7f00001000000000000000100000000000010100000000000000000000000000000010')" faiss limit
bad "a transform that is garbage" "$(load VectorTransform 'zero 1000')" faiss missing
bad "a binary index that is garbage" "$(load IndexBinary 'zero 1000')" faiss missing
bad "feeding a stream that does not exist" "$(send feed '"stream":5,"_frames":["zero 4"]')" argument protocol
stream=$(value stream "$(send load_stream '"class":"Index"')")
bad "feeding too much, and garbage" "$(send feed '"stream":"'"$stream"'","_frames":["zero 5000000"]')" faiss argument
for i in $(seq 70); do
    stream=$(value stream "$(send load_stream '"class":"Index"')")
    send release '"id":"'"$stream"'"' >/dev/null
done
good "streams that are released make room for others" "$(send load_stream '"class":"Index"')"
bad "a hundred streams that are not fed" "$(send load_stream '"class":"Index","_repeat":100')" limit ||
    diag "$(raw '{"operation":"health"}' '{"operation":"stats"}')"

# --- calls that would crash FAISS ---

bad "a key that is negative" "$(call faiss_Index_reconstruct "$flat,-5,true")" argument faiss
bad "a key that is too large" "$(call faiss_Index_reconstruct "$flat,1000000000000,true")" argument faiss
bad "keys that overflow" "$(call faiss_Index_reconstruct_n "$flat,9223372036854775807,2,true")" argument faiss protocol
bad "a label that is too large" "$(call faiss_IndexFlat_compute_distance_subset "$flat,1,0,1,true,1" \
    '"_frames":["zero 32","i64 1000000000000"]')" argument faiss
bad "a list that does not exist" "$(call faiss_IndexIVF_get_list_size "$ivf,1000000000")" argument faiss
idmap=$(handle "$(call faiss_index_factory 'true,8,"IDMap,Flat",1')")
bad "reconstructing from an index that cannot" "$(call faiss_Index_reconstruct_n "$idmap,0,1,0" "$query")" argument faiss
hollow=$(handle "$(call faiss_IndexIVFFlat_new true)")
bad "an index without a quantizer" "$(call faiss_Index_train "$hollow,2,0" "$zeros")" argument faiss
pca=$(handle "$(call faiss_PCAMatrix_new_with 'true,8,4,0.0,0')")
bad "an untrained transform" "$(call faiss_VectorTransform_apply_noalloc "$pca,2,0,true" "$zeros")" argument faiss
bad "setting is_orthonormal of an untrained transform" "$(call faiss_LinearTransform_set_is_orthonormal "$pca")" argument faiss

# --- afterwards ---

is "the engine has not died" "$(stat_of pid)" "$engine"
like "the session still works" "$(call faiss_Index_ntotal "$flat")" '"ret":4'
is "another client finds what it found before" "$(ask honest 'search 0')" "$found"
is "a new client works" "$(client 'new 0 Flat' 'add 0 3' 'total 0' 'free 0' | sed -n 3p)" "total 0: 3"
good "a session ends" "$(send bye)"
objects() { [ "$(stat_of objects)" = "$1" ]; }
ok "only the other client's index is left" wait_for objects 1 # loads end in their own time
is "the log has no warning and no error" "$(grep -E '[0-9]Z (warn|error) ' "$SERVER_LOG")" ""
ok "the server stops" stop_server
