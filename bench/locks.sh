# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# How long a request holds the engine's locks.  Sourced by bench/run.sh; see bench/locks.c.

# locks_of NAME ARGUMENT...: runs the client on a server of its own whose engine is measured.  Appends
# to build/bench/locks.txt what each place in the engine does with each lock.
locks_of() {
    local name=$1
    PIN="env LD_PRELOAD=$OUT/locks.so FAISSX_LOCKS=$TMP/locks-$name" start_server
    remote "$name" "$TCP" "${@:2}"
    turns "$(rounds 6 20)"
    stop_server
    cat "$TMP/locks-$name".* >"$TMP/places"
    { # what the program calls its places and its mutexes
        nm "$BUILD/faissx-server" | awk '$2 ~ /^[bBdD]$/ { print "name", $1, $3 }' | sort
        cut -d ' ' -f 1 "$TMP/places" | while read -r code; do printf '%#x\n' $((code - 1)); done |
            addr2line -afip -e "$BUILD/faissx-server" | sed 's/ (discriminator.*//'
        echo places
        cat "$TMP/places"
    } | awk -v load="$name" -v raw="$RAW" -f bench/locks.awk >>"$OUT/locks.txt"
}

bench_locks() {
    local key
    begin locks
    : >"$OUT/locks.txt"
    for key in IVF1024,Flat HNSW32; do
        index $key 100000
        locks_of "search-${key%%,*}" load -i "$INDEX" -t 64 -s 0.5
    done
    index IVF1024,Flat 100000
    locks_of search-10 search -i "$INDEX" -q 10 -n 200
    index Flat 1000
    locks_of search-small load -i "$INDEX" -t 64 -s 0.5
    FAISSX_JOIN=0 locks_of add-1 small -v 5000
    cat "$OUT/locks.txt" >&2
}
