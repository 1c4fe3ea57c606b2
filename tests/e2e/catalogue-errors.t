#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The catalogue says what is wrong with a request: the operation, the key, what was expected and what
# was given.  Tenants do not see each other's names.
. tests/e2e/lib.sh
need_index IDMap2,Flat

op() { raw '{"operation":"index_'"$1"'","name":"'"$2"'"'"${3:+,$3}${4:+,\"_frames\":[$4]}"'}'; }
says() { like "$1" "$2" "\"kind\":\"$3\",\"message\":\"faissx: $4"; }

start_server
op create f '"d":4,"description":"IDMap2,Flat"' >/dev/null
op create i '"d":4,"description":"IVF2,Flat"' >/dev/null
op create flat '"d":4,"description":"Flat"' >/dev/null
op add f '"n":2,"ids":1' '"f32 0 0 0 0 1 1 1 1","i64 1 2"' >/dev/null

# --- names ---
says "no name" "$(raw '{"operation":"index_info"}')" argument 'index_info: name must be a name of 1 to 200 bytes without control characters, but it is missing'
says "a number as name" "$(raw '{"operation":"index_info","name":5}')" argument 'index_info: name must be a name of 1 to 200 bytes without control characters, but 5 was given'
says "an empty name" "$(op info '')" argument 'index_info: name must be'
says "a control character" "$(op info 'a\u0001b')" argument 'index_info: name must be'
says "an unknown name" "$(op search none '"n":1,"k":1' '"f32 1 2 3 4"')" handle "index_search: name is 'none', but no index has this name"
says "an unknown operation" "$(op drop f)" unsupported "unknown operation 'index_drop'"
says "a name that is taken" "$(op create f '"d":4,"type":"flat"')" argument "index_create: an index has the name 'f' already"
says "a new name that is taken" "$(op rename f '"to":"i"')" argument "index_rename: an index has the name 'i' already"
says "no new name" "$(op rename f)" argument 'index_rename: to must be a name .*, but it is missing'
says "delete of an unknown name" "$(op delete none)" handle "index_delete: no index is published as 'none'"
says "an import to a taken name" "$(op import f '"data":0' '"hex 00"')" argument "index_import: an index has the name 'f' already"
says "a split to a taken name" "$(op split f '"to":"i","selector":["range",0,1]')" argument "index_split: an index has the name 'i' already"
says "an unknown index to merge from" "$(op merge f '"from":"x"')" handle "index_merge: from is 'x', but no index has this name"
says "an index merged into itself" "$(op merge f '"from":"f"')" argument 'index_merge: an index cannot be merged into itself'

# --- create ---
says "no dimension" "$(op create n '"type":"flat"')" argument 'index_create: d must be an integer from 1 to 1048576, but it is missing'
says "a text as dimension" "$(op create n '"d":"8","type":"flat"')" argument "index_create: d must be an integer from 1 to 1048576, but '8' was given"
says "dimension 0" "$(op create n '"d":0,"type":"flat"')" argument 'index_create: d must be an integer from 1 to 1048576, but 0 was given'
says "no description" "$(op create n '"d":4')" argument 'index_create: description must be a text of 1 to 4096 bytes, but it is missing'
says "a type and a description" "$(op create n '"d":4,"type":"flat","description":"Flat"')" argument 'index_create: both type and description were given'
says "an unknown type" "$(op create n '"d":4,"type":"tree"')" argument "index_create: type must be flat, ivf_flat, .* or lsh, but 'tree' was given"
says "a metric that is none" "$(op create n '"d":4,"type":"flat","metric":"L3"')" argument "index_create: metric must be L2, .*, but 'L3' was given"
says "a class that is none" "$(op create n '"d":4,"type":"flat","class":"Tree"')" argument "index_create: class must be Index or IndexBinary, but 'Tree' was given"
like "a description that FAISS does not know" "$(op create n '"d":4,"description":"Tree"')" '"code":-[24],"message":"Error in '
like "leaves no index" "$(op info n)" '"kind":"handle"'

# --- vectors ---
says "no n" "$(op add f '"ids":1' '"f32 1","i64 1"')" argument 'index_add: n must be an integer of at least 0, but it is missing'
says "n is negative" "$(op add f '"n":-1,"ids":1' '"f32 1","i64 1"')" argument 'index_add: n must be an integer of at least 0, but -1 was given'
says "n is a list" "$(op add f '"n":[1],"ids":1' '"f32 1","i64 1"')" argument 'index_add: n must be an integer of at least 0, but an array was given'
says "vectors of another dimension" "$(op add f '"n":1,"ids":1' '"f32 1 2 3","i64 1"')" argument \
    'index_add: x must have 1 vectors of 4 float32, which are 1 \* 16 bytes, but 12 bytes were given'
says "no frame" "$(op add f '"n":1')" argument 'index_add: x is payload frame 0, but the message has 0 payload frames'
says "a frame that is not there" "$(op add f '"n":1,"x":3' '"f32 1 2 3 4"')" argument 'index_add: x is payload frame 3, but the message has 1 payload frames'
says "a list instead of a frame" "$(op search f '"n":1,"k":1,"x":1.5' '"f32 1 2 3 4"')" argument 'index_search: x must be the number of a payload frame, or an upload, but 1.5 was given'
says "an upload without a session" "$(op add f '"n":1,"x":["upload",1]')" session 'index_add: x is an upload, which needs a session: send hello first'
says "too few ids" "$(op add f '"n":1,"ids":1' '"f32 1 2 3 4","i64"')" argument 'index_add: ids must have 1 int64, which are 1 \* 8 bytes, but 0 bytes were given'
says "huge n" "$(op add f '"n":4611686018427387904' '"f32 1 2 3 4"')" argument 'index_add: x must have 4611686018427387904 vectors of 4 float32'
like "an index that is not trained" "$(op add i '"n":1' '"f32 1 2 3 4"')" 'is_trained'
like "an IDMap without ids" "$(op add f '"n":1' '"f32 1 2 3 4"')" 'add_with_ids'
says "ids of an index without" "$(op replace flat '"n":1,"ids":1' '"f32 1 2 3 4","i64 1"')" argument \
    "index_replace: the ids of this index are its vectors' positions; expected one with ids of its own"
says "an id twice" "$(op replace f '"n":2,"ids":1' '"f32 1 2 3 4 5 6 7 8","i64 9 9"')" argument 'index_replace: ids has 9 more than once'
says "no ids" "$(op replace f '"n":1' '"f32 1 2 3 4"')" argument 'index_replace: ids must be the number of a payload frame, or an upload, but it is missing'
like "all that changed nothing" "$(op info f)" '"ntotal":2,'

# --- search ---
q='"f32 1 1 1 1"'
says "no k" "$(op search f '"n":1' "$q")" argument 'index_search: k must be an integer of at least 1, but it is missing'
says "k is 0" "$(op search f '"n":1,"k":0' "$q")" argument 'index_search: k must be an integer of at least 1, but 0 was given'
says "k is a number with a fraction" "$(op search f '"n":1,"k":1.5' "$q")" argument 'index_search: k must be an integer of at least 1, but 1.5 was given'
says "params is a number" "$(op search f '"n":1,"k":1,"params":3' "$q")" argument 'index_search: params must be a map of names and numbers, but 3 was given'
says "an unknown parameter" "$(op search f '"n":1,"k":1,"params":{"probes":3}' "$q")" argument "index_search: params has 'probes', expected nprobe, max_codes or efSearch"
says "nprobe is 0" "$(op search i '"n":1,"k":1,"params":{"nprobe":0}' "$q")" argument 'index_search: nprobe in params must be an integer from 1 to 2147483647'
says "nprobe of an index without lists" "$(op search f '"n":1,"k":1,"params":{"nprobe":2}' "$q")" argument 'index_search: params has nprobe or max_codes, which an index with inverted lists \(IVF\) has, but this one has none'
says "parameters for different indexes" "$(op search f '"n":1,"k":1,"params":{"nprobe":2,"efSearch":2}' "$q")" argument 'index_search: params has efSearch, which is for HNSW, and nprobe'
says "no radius" "$(op range_search f '"n":1' "$q")" argument 'index_range_search: radius must be a number, but it is missing'
says "a selector with a range search" "$(op range_search f '"n":1,"radius":1,"selector":["range",0,1]' "$q")" unsupported "index_range_search: FAISS's C API has no selector"
if has faiss_Index_search_with_params; then
    like "a selector" "$(op search f '"n":1,"k":2,"selector":["range",2,3]' "$q")" '"status":"ok"'
    like "a selector that is none" "$(op search f '"n":1,"k":2,"selector":["list",2]' "$q")" '"kind":"protocol"'
else
    says "a selector" "$(op search f '"n":1,"k":2,"selector":["range",2,3]' "$q")" missing ''
fi

# --- the rest ---
says "remove of nothing" "$(op remove f)" argument 'index_remove: either ids or selector must be given, but none is'
says "remove by two" "$(op remove f '"n":1,"ids":0,"selector":["range",0,1]' '"i64 1"')" argument 'index_remove: either ids or selector must be given, but both are'
says "no id" "$(op reconstruct f)" argument 'index_reconstruct: id must be an integer, but it is missing'
like "an id that is not there" "$(op reconstruct f '"id":77')" '"status":"error"'
says "from behind the end" "$(op get_vectors f '"from":3')" argument 'index_get_vectors: from must be an integer from 0 to 2, but 3 was given'
says "more than there are" "$(op get_vectors f '"from":1,"n":2')" argument 'index_get_vectors: n must be an integer from 0 to 1, but 2 was given'
says "no parameter" "$(op set_parameter i '"value":1')" argument 'index_set_parameter: parameter must be a text of 1 to 200 bytes, but it is missing'
says "no value" "$(op set_parameter i '"parameter":"nprobe"')" argument 'index_set_parameter: value must be a number, but it is missing'
like "a parameter that FAISS does not know" "$(op set_parameter i '"parameter":"x","value":1')" '"code":-[24],"message":"Error in '
says "a parameter that cannot be read" "$(op get_parameter i '"parameter":"efSearch"')" argument "index_get_parameter: parameter must be 'nprobe' or 'verbose', .*, but 'efSearch' was given"
says "nprobe of none" "$(op get_parameter f '"parameter":"nprobe"')" argument "index_get_parameter: parameter is 'nprobe', but the index has no inverted lists"
says "a split without a selector" "$(op split f '"to":"g"')" argument 'index_split: selector must be a selector, but it is missing'
like "bytes that are no index" "$(op import g '"data":0' '"hex 0011223344"')" '"status":"error"'
op create other '"d":5,"type":"flat"' >/dev/null
says "a merge of other dimensions" "$(op merge flat '"from":"other"')" argument 'index_merge: from has dimension 5, but the index has 4'
says "new clusters where there are none" "$(op recluster f)" argument 'index_recluster: the index has no inverted lists'
op create lists '"d":2,"description":"IVF2,Flat"' >/dev/null
op create others '"d":2,"description":"IVF2,Flat"' >/dev/null
says "distinct that is no boolean" "$(op merge lists '"from":"others","distinct":1')" argument \
    'index_merge: distinct must be a boolean, but 1 was given'
says "new clusters of no vectors" "$(op recluster lists)" argument 'index_recluster: the index is empty'
op train lists '"n":2' '"f32 0 0 9 9"' >/dev/null
op add lists '"n":2,"ids":1' '"f32 0 0 9 9","i64 5 5"' >/dev/null
says "more clusters than vectors" "$(op recluster lists '"nlist":3')" argument 'index_recluster: nlist must be an integer from 1 to 2, but 3 was given'
says "new clusters where an id is there twice" "$(op recluster lists)" unsupported 'index_recluster: the id 5 is there more than once, .*'
like "the index is as it was" "$(op info lists)" '"ntotal":2,.*"trained":1'
op create sparse '"d":2,"description":"IVF1,Flat"' >/dev/null
op train sparse '"n":1' '"f32 0 0"' >/dev/null
op add sparse '"n":1,"ids":1' '"f32 0 0","i64 1000"' >/dev/null
says "new clusters of vectors with large ids" "$(op recluster sparse)" unsupported 'index_recluster: the ids are 1000 to 1000, .*'
# Such as FAISS writes it: no transform, or one that takes dimension 1000000 of 2.
empty=4978505402000000000000000000000000001000000000000000100000000000010100000000000000497846320200000000000000000000000000100000000000000010000000000001010000000000000000000000
bad=4978505402000000000000000000000000001000000000000000100000000000010100000001000000526d445402000000000000000000000040420f00020000000200000001497846320200000000000000000000000000100000000000000010000000000001010000000000000000000000
like "a chain of no transforms" "$(op import none '"data":0' "\"hex $empty\"")" '"status":"ok"'
(export RAW_SAVE="$TMP/same"; op transform none '"n":2' '"f32 1 2 3 4"' >/dev/null)
session=$(value session "$(raw '{"operation":"hello","protocol":1}')")
raw '{"operation":"upload","session":"'"$session"'","id":7,"size":16,"offset":0,"_frames":["f32 1 2 3 4"]}' >/dev/null
(export RAW_SAVE="$TMP/uploaded"
    raw '{"operation":"index_transform","session":"'"$session"'","name":"none","n":2,"x":["upload",7]}' >/dev/null)
same "an upload is transformed like a frame" "$TMP/same.1" "$TMP/uploaded.1"
raw '{"operation":"upload","session":"'"$session"'","id":8,"size":12,"offset":0,"_frames":["f32 1 2 3"]}' >/dev/null
like "one that is too short is not" \
    "$(raw '{"operation":"index_transform","session":"'"$session"'","name":"none","n":2,"x":["upload",8]}')" '"kind":"argument"'
is "leaves vectors as they are" "$(od -An -tf4 -v "$TMP/same.1" | tr -s ' \n' ' ')" " 1 2 3 4 "
like "a transform of dimensions that are not there" "$(op import bad '"data":0' "\"hex $bad\"")" '"status":"ok"'
says "is not applied" "$(op transform bad '"n":1' '"f32 1 2"')" unsupported 'index_transform: element 1 of the map of the RemapDimensionsTransform is 1000000, expected -1 to 1'
op create inner '"d":2,"description":"IVF2,SQ8","metric":"inner_product"' >/dev/null
op train inner '"n":2' '"f32 0 1 9 9"' >/dev/null
op add inner '"n":2' '"f32 0 1 9 9"' >/dev/null
says "new clusters that FAISS cannot find again" "$(op recluster inner)" unsupported 'index_recluster: the index is not of metric L2: .*'
op create graph '"d":2,"description":"IVF2_HNSW4,Flat"' >/dev/null
op train graph '"n":2' '"f32 0 1 9 9"' >/dev/null
op add graph '"n":2' '"f32 0 1 9 9"' >/dev/null
says "nor with a quantizer that is no list" "$(op recluster graph)" unsupported 'index_recluster: the index has a quantizer that is not flat: .*'
like "after all that the engine is the same" "$(op stats f)" '"status":"ok"'
is "and has not ended" "$(grep -c event=engine-started "$SERVER_LOG")" 1

# --- tenants ---
(umask 077 && echo '{"key-a": "alpha", "key-b": "beta"}' >"$TMP/keys")
start_server --auth-file "$TMP/keys"
as() { (export RAW_KEY="$1"; shift; op "$@"); }
like "without a key" "$(op list x)" '"kind":"auth"'
like "alpha creates" "$(as key-a create secret '"d":4,"type":"flat"')" '"status":"ok"'
says "beta does not find it" "$(as key-b info secret)" handle "index_info: name is 'secret', but no index has this name"
like "nor in the list" "$(as key-b list x)" '"names":\[\],'
for operation in delete reset export stats get_vectors; do
    says "beta's $operation" "$(as key-b $operation secret)" handle "index_$operation: "
done
like "beta has its own" "$(as key-b create secret '"d":8,"type":"flat"')" '"status":"ok"'
like "alpha's is the first" "$(as key-a info secret)" '"d":4,'
