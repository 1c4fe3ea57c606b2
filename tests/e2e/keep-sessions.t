#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# With --keep sessions, a program that runs while the server is killed and started again goes on with
# its indexes.
. tests/e2e/lib.sh

data=$TMP/data
serve() { start_server "$@" --data-dir "$data" --keep sessions --lease 60; }
killed() {
    fx_engine=$(stat_of pid)
    kill -9 "$SERVER_PID"
    wait "$SERVER_PID" 2>/dev/null
    wait_for gone "$fx_engine"
    serve --again
}
# retried COMMAND: a call that fails because the connection has broken is made once more.
retried() {
    fx_answer=$(ask a "$1")
    case $fx_answer in -4*onnect*) fx_answer=$(ask a "$1") ;; esac
    printf '%s\n' "$fx_answer"
}
same_after() { # NAME
    is "$1: the flat index has its vectors" "$(retried 'total 0')" "$total"
    is "$1: it finds the same" "$(retried 'search 0')" "$flat"
    is "$1: so does the IVF index" "$(retried 'search 1')" "$ivf"
    is "$1: and the opened one" "$(retried 'search 2')" "$named"
}

serve
talk a
is "a program makes indexes" "$({ ask a 'new 0 Flat'; ask a 'add 0 100'; ask a 'new 1 IVF4,Flat'
    ask a 'learn 1 200'; ask a 'add 1 300'; ask a 'probe 1 3'; ask a 'write 0 faissx://shared'
    ask a 'read 2 faissx://shared'; } | sed 's/.*: //' | uniq -c | tr -s ' ')" " 8 ok"
total=100 flat=$(ask a 'search 0') ivf=$(ask a 'search 1') named=$(ask a 'search 2')
killed
same_after "after the server was killed"
kill -9 "$(stat_of pid)"
same_after "after the engine was killed"
is "it adds more, and makes another" "$(ask a 'add 0 10'; ask a 'new 3 Flat'; ask a 'add 3 7')" "ok
ok
ok"
stop_server
serve --again
is "after a stop it has all of them" "$(retried 'total 0'; retried 'total 1'; retried 'total 2'; retried 'total 3')" "110
300
110
7"
is "an index that was freed is gone" "$(ask a 'free 3')" "done"
files() { find "$data" -name '*.faiss' | wc -l; }
two_files() { [ "$(files)" = 2 ]; }
ok "its file, too" wait_for two_files
objects=$(stat_of objects)
killed
retried 'total 0' >/dev/null
is "also after a restart" "$(stat_of objects)" "$objects"

# When the program ends, so do its indexes, but for the published one.
tell a abort
sleep 0.2
stop_server
start_server --again --data-dir "$data" --keep sessions --lease 1
one_left() { [ "$(stat_of objects)" = 1 ]; }
ok "the indexes of a program that was killed are freed when its lease is over" wait_for one_left
ok "the server stops" stop_server
start_server --again --data-dir "$data"
is "only the published one is on disk" "$(find "$data" -name '*.faiss' | wc -l)" 1
ok "the server stops again" stop_server

# The server is killed while another index is being written, soon after one was put into another.
data=$TMP/parts
serve() { start_server "$@" --data-dir "$data" --keep sessions --lease 60 --snapshot-interval 1 \
    --library "$BUILD/tests/torture/crashing.so"; }
serve
talk p
ask p 'new 2 Flat' >/dev/null
is "an index takes long to be written" "$(ask p 'add 2 4321')" ok
being_written() { set -- "$data"/tenants/default/tmp-*; [ -e "$1" ]; }
ok "that is under way" wait_for being_written
is "meanwhile an index is put into another" "$(ask p 'new 0 Flat'; ask p 'add 0 100'; ask p 'over 1 0')" "ok
ok
ok"
killed
ask p 'total 0' >/dev/null # the connection has broken
is "after a restart, vectors can be added to the part" "$(ask p 'add 0 50'; ask p 'total 0')" "ok
150"
is "and the whole has them" "$(ask p 'search 1')" "$(ask p 'search 0')"
kill -9 "$(stat_of pid)"

# The server is stopped while an index is being written, soon after another one was freed.
data=$TMP/freed
serve
talk f
ask f 'new 2 Flat' >/dev/null
is "an index takes long to be written" "$(ask f 'new 0 Flat'; ask f 'add 0 100'; ask f 'add 2 4321')" "ok
ok
ok"
ok "that is under way" wait_for being_written
is "meanwhile another one is freed" "$(ask f 'free 0')" "done"
stop_server
is "it is not on disk any more" "$(files)" 1
