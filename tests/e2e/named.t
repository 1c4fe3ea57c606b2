#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Named indexes: one process publishes them, others use them, and they outlive all of these.
. tests/e2e/lib.sh

named=$BUILD/tests/e2e/named
cli() { "$BUILD/bin/faissx" "$1" --server "$SERVER" ${2:+"$2"}; }

start_server --lease 1
ok "a process publishes an index" remote "$named" publish faissx://a/b
is "its name is listed" "$(cli list)" a/b
is "another process adds to it" "$(remote "$named" add faissx://a/b)" 15
is "a third sees that" "$(remote "$named" add faissx://a/b)" 20
is "and searches it" "$(remote "$named" search faissx://a/b)" 3
sleep 3
is "the index outlives all their sessions" "$(remote "$named" add faissx://a/b)" 25
is "FAISSX_PATH_MAP maps a path to it" \
    "$(FAISSX_PATH_MAP=/none=faissx://x,/data/=faissx://a/ remote "$named" search /data/b)" 3
long=$(printf '%0600d' 0)
like "a mapped path never becomes a file, however long it is" \
    "$(FAISSX_PATH_MAP=$TMP/=faissx:// remote "$named" publish "$TMP/$long" 2>&1)" 'a name must have 1 to 200 bytes'
like "an unknown name is an error" "$(remote "$named" search faissx://none)" "^-4 faissx: no index is published as 'none'"
ok "publishing under the same name replaces it" remote "$named" publish faissx://a/b
is "the name is that of the new index" "$(remote "$named" add faissx://a/b)" 15
is "a session keeps the index whose name was replaced" "$(remote "$named" over faissx://a/b)" "3 8"
objects() { [ "$(cli stats | sed -n 's/^objects //p')" = "$1" ]; }
ok "that index is gone when it is freed" wait_for objects 1
ok "faissx rm unpublishes an index" cli rm a/b
is "no name is listed any more" "$(cli list)" ""
like "an unpublished index cannot be opened" "$(remote "$named" search faissx://a/b)" "no index is published"
like "unpublishing it again is an error" "$(cli rm a/b 2>&1)" "no index is published as 'a/b'"
ok "and the engine has nothing left" wait_for objects 0

ok "an index with a part is published" remote "$named" ivf faissx://ivf
is "who opens it can ask for the part" "$(remote "$named" part faissx://ivf)" 2
ok "and leaves" wait_for objects 1
is "the index still has it" "$(remote "$named" add faissx://ivf)" 15
is "and so have others" "$(remote "$named" part faissx://ivf)" 2
ok "unpublish it" cli rm ivf
like "a hollow index is one for those that open it, too" "$(remote "$named" hollow faissx://hollow)" \
    '^-4 faissx: faiss_Index_search: index is a FaissIndexIVFFlat made without'
ok "unpublish it" cli rm hollow
is "who opens shards can ask for those that there are" "$(remote "$named" shards faissx://shards)" "0 3 0"
ok "unpublish them" cli rm shards
ok "and the engine has nothing left" wait_for objects 0
