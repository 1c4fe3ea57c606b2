#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# faissx export and faissx-server export write through a symbolic link, and refuse what is not a
# regular file.
. tests/e2e/lib.sh

data=$TMP/data
start_server --data-dir "$data"
FAISSX_SERVER=$SERVER
export FAISSX_SERVER
remote "$BUILD/tests/e2e/client" 'new 0 Flat' 'add 0 100' "write 0 $TMP/direct" 'write 0 faissx://flat' >"$TMP/out" 2>&1

# exports COMMAND...: FILE is its last operand.
exports() {
    what="$1 $2"
    what="${what##*/}"
    rm -f "$TMP"/link* "$TMP"/real* "$TMP/fifo"
    mkfifo "$TMP/fifo"
    said=$("$@" "$TMP/fifo" 2>&1)
    is "$what to a FIFO: exit status" $? 1
    like "$what to a FIFO: message" "$said" "^$name export: $TMP/fifo is not a regular file\$"
    ok "$what leaves the FIFO" test -p "$TMP/fifo"
    ln -s fifo "$TMP/link-fifo"
    said=$("$@" "$TMP/link-fifo" 2>&1)
    is "$what to a link to a FIFO" "$?: $said" "1: $name export: $TMP/link-fifo is not a regular file"
    said=$("$@" - 2>&1)
    is "$what to -" "$?: $said" "1: $name export: write to a file; '-' does not stand for stdout"
    is "$what to - leaves no file" "$(ls ./- 2>/dev/null)" ""
    rm -f ./-
    echo old >"$TMP/real"
    ln -s real "$TMP/link2"
    ln -s "$TMP/link2" "$TMP/link"
    ln -s real-new "$TMP/link-new"
    ln -s link-loop "$TMP/link-loop"
    for link in link link-new; do
        ok "$what to $link" "$@" "$TMP/$link"
        ok "$what: $link is still a link" test -L "$TMP/$link"
        same "$what: $link leads to the index" "$TMP/$link" "$TMP/direct"
    done
    ok "$what: links in between are as they were" test -L "$TMP/link2"
    same "$what: the link's target is written" "$TMP/real" "$TMP/direct"
    same "$what: a target that did not exist is made" "$TMP/real-new" "$TMP/direct"
    said=$("$@" "$TMP/link-loop" 2>&1)
    is "$what to a link to itself" "$?: $said" "1: $name export: $TMP/link-loop: Too many levels of symbolic links"
}

name=faissx
exports "$BUILD/bin/faissx" export flat
ok "the server stops" stop_server
name=faissx-server
exports "$BUILD/faissx-server" export "$data" flat
