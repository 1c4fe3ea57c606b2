#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The core of the API: a program that was linked with the real library prints and saves the same
# bytes in process, through the shim, and on a server.  What fails, fails with the same code and text.
. tests/e2e/lib.sh

core=$BUILD/tests/e2e/core
version=$BUILD/tests/e2e/version
one='env OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1'

mkdir "$TMP/direct" "$TMP/local" "$TMP/remote" "$TMP/tcp"
ok "runs in process" sh -c "$one '$core' '$TMP/direct' >'$TMP/direct.out' 2>'$TMP/direct.err'"
like "training works" "$(cat "$TMP/direct.out")" '^faiss_Index_train.*: 0$'
preloaded $one "$core" "$TMP/local" >"$TMP/local.out" 2>"$TMP/local.err"
is "runs through the shim" $? 0
same "the shim prints the same" "$TMP/direct.out" "$TMP/local.out"

start_server
remote "$core" "$TMP/remote" >"$TMP/remote.out" 2>"$TMP/remote.err"
is "runs on a server" $? 0
same "the server gives the same results, codes and texts" "$TMP/direct.out" "$TMP/remote.out"
# A debug build of FAISS prints its errors on stderr.
same "what FAISS says on stderr it says through the shim" "$TMP/direct.err" "$TMP/local.err"
is "with a server, nothing is on stderr" "$(cat "$TMP/remote.err")" ""
ok "the shim saves the same files" diff -r "$TMP/direct" "$TMP/local"
ok "the server saves the same files" diff -r "$TMP/direct" "$TMP/remote"

# FAISS has faiss_get_version since 1.9; the server tells the version of any release.
theirs=$("$version")
served=$(remote "$version")
if [ "$theirs" = missing ]; then
    like "the version looks like a version" "$served" '^[0-9]+\.[0-9]+'
else
    is "the version is that of the server's FAISS" "$served" "$theirs"
fi

start_server --tcp
remote "$core" "$TMP/tcp" >"$TMP/tcp.out"
same "over TCP the results are the same" "$TMP/direct.out" "$TMP/tcp.out"
like "no object is left in the engine" "$("$BUILD/tests/e2e/raw" "$SERVER" '{"operation":"stats"}')" '"objects":0\b'
ok "the server stops" stop_server
