#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The dialect of FAISSx's Python client, without Python: requests of the forms that the client sends,
# and the replies that it can read; hostile maps; keys and tenants; what a killed server has kept.
. tests/e2e/lib.sh
has faiss_IndexIDMap2_cast || skip_all "indexes with ids need IDMap2, which came with FAISS 1.7.2"

# all NAME FILE: sends the requests of a file over one connection.  Each line of it is a request,
# and after a tab come patterns that its reply matches.  (raw prints keys in alphabetical order.)
all() {
    cut -f1 "$2" | grep -v '^#' >"$TMP/requests"
    set -- "$1" "$2"
    while IFS= read -r all_line; do set -- "$@" "$all_line"; done <"$TMP/requests"
    all_name=$1 all_file=$2
    shift 2
    raw "$@" >"$TMP/replies"
    grep -v '^#' "$all_file" | cut -f2 >"$TMP/patterns"
    is "$all_name: every request has a reply" "$(wc -l <"$TMP/replies")" "$(wc -l <"$TMP/patterns")"
    paste "$TMP/requests" "$TMP/patterns" "$TMP/replies" >"$TMP/pairs"
    while IFS='	' read -r all_request all_pattern all_reply; do
        all_title="$all_name: $(printf '%.90s' "$all_request")"
        if printf '%s\n' "$all_reply" | all="$all_pattern" awk '
            { n = split(ENVIRON["all"], part, " && "); for (i = 1; i <= n; i++) if ($0 !~ part[i]) exit 1 }'; then
            pass "$all_title"
        else
            fail "$all_title"
            diag "got:    $all_reply"
            diag "wanted: $all_pattern"
        fi
    done <"$TMP/pairs"
}

start_server
all "actions" tests/dialect/actions.txt
all "types" tests/dialect/types.txt

# --- what FAISSx's own client and server were recorded with ---

# Lists stand for themselves there: @rows(N,D) and so on.
perl -pe '
    sub row { my ($i, $d) = @_; "[" . join(",", map { sprintf "%.3f", abs sin($i * 131 + $_ * 17) } 1 .. $d) . "]" }
    s/\@rows\((\d+),(\d+)\)/my $d = $2; "[" . join(",", map { row($_, $d) } 1 .. $1) . "]"/ge;
    s/\@row\((\d+)\)/row(1, $1)/ge;
    s/\@ids\((\d+),(-?\d+)\)/my $first = $2; "[" . join(",", map { $first + $_ } 0 .. $1 - 1) . "]"/ge' \
    tests/dialect/recorded.txt | grep -v '^#' | split -l 40 - "$TMP/recorded."
start_server
for part in "$TMP"/recorded.*; do all "recorded" "$part"; done
start_server --auth-keys key1:tenantA,key2:tenantB
grep -v '^#' tests/dialect/recorded-auth.txt >"$TMP/auth"
while IFS='	' read -r request pattern; do
    key=$(printf '%s\n' "$request" | sed -n 's/.*\("api_key":"[^"]*"\).*/,\1/p')
    raw "{\"action\":\"ping\"$key}" "$request" | tail -n 1 >"$TMP/auth.reply"
    if pattern="$pattern" awk '{ n = split(ENVIRON["pattern"], part, " && ")
            for (i = 1; i <= n; i++) if ($0 !~ part[i]) exit 1 }' "$TMP/auth.reply"; then
        pass "recorded with keys: $(printf '%.90s' "$request")"
    else
        fail "recorded with keys: $(printf '%.90s' "$request")"
        diag "got:    $(cat "$TMP/auth.reply")"
        diag "wanted: $pattern"
    fi
done <"$TMP/auth"

# --- hostile maps: an error, and the engine lives ---

start_server
all "actions" tests/dialect/actions.txt

engine=$(stat_of pid)
ping=81a6616374696f6ea470696e67
# hostile NAME HEX [PATTERN]
hostile() { like "$1" "$(raw "hex:,$ping" "hex:,$2" | tail -n 1)" "${3:-\"error\":\"Malformed request\"}"; }
a=a6616374696f6e
hostile "no map" 93010203
hostile "a byte that msgpack does not have" c1ff00
hostile "an empty message" ""
hostile "bytes behind the map" "${ping}00"
hostile "a map that is cut off" "82${a}a470696e67"
hostile "a key that is a number" "82${a}a470696e670102"
hostile "a key twice" "82${a}a470696e67${a}a470696e67"
hostile "a list of numbers twice" "83${a}a3616464a7766563746f727391cb3ff0000000000000a7766563746f727391cb3ff0000000000000"
hostile "a list of numbers, and the same key with nil" "83${a}a3616464a7766563746f7273c0a7766563746f727391cb3ff0000000000000"
hostile "text that is not UTF-8" "82${a}a470696e67a161a1ff"
hostile "an overlong form of a character" "82${a}a470696e67a161a2c080"
hostile "an extension" "82${a}a470696e67a161d40100"
nested=$(printf '%040d' 0 | sed 's/0/91/g')
hostile "nested 40 deep" "82${a}a470696e67a161${nested}c0"
hostile "a list of numbers nested 40 deep" "82${a}a6736561726368a7766563746f7273${nested}c0"
for lie in dfffffffff 81ddffffffff 81dbffffffff "82${a}a3616464a7766563746f7273ddffffffff" \
    "82${a}a3616464a7766563746f7273dc000191ddffffffff" "82${a}a3616464a3696473ddffffffff"; do
    hostile "a length that is not true: $lie" "$lie"
done
many=$(i=0; while [ $i -lt 70 ]; do printf 'a2%02x41c0' $((65 + i % 26)); i=$((i + 1)); done)
hostile "more keys than any request has" "de0046$many"
hostile "an action that is bytes" "81${a}c40470696e67" '"error":"Unknown action"'
hostile "no action" 81a3666f6f01 '"error":"Unknown action"'
hostile "two frames" "$ping,$ping"
is "the engine is the same" "$(stat_of pid)" "$engine"
like "and serves" "$(raw '{"action":"ping"}' '{"action":"search","index_id":"f","query_vectors":[[0,0]],"k":1}')" \
    '"indices":\[0\]'

# A name that only others can give: "\xff", a key "name" of index_create.
odd=84a96f7065726174696f6eac696e6465785f637265617465a46e616d65a1ffa16402a474797065a4666c6174
like "another client makes an index whose name is not UTF-8" "$(raw "hex:,$odd")" '"status":"ok"'
like "a list does not have it" "$(RAW_HEX=1 raw '{"action":"ping"}' '{"action":"list_indices"}' | tail -n 1 | grep -c a1ff)" '^0$'
like "and has the others" "$(raw '{"action":"ping"}' '{"action":"list_indices"}' | tail -n 1)" '"index_id":"norm"'

# --- limits ---

# message BYTES: a ping of that size.
message() {
    perl -e 'my $n = shift; my $pad = $n - 20;
        print pack("H*", "82a6616374696f6ea470696e67a161c6"), pack("N", $pad), "\0" x $pad' "$1" >"$TMP/large"
}
message 104857601
like "a message of more than 100 MiB is refused" "$(raw '{"action":"ping"}' "file:$TMP/large" | tail -n 1)" \
    '"error":"Request too large"'
message 70000
like "a value of more than 64 KiB, too" "$(raw '{"action":"ping"}' "file:$TMP/large" | tail -n 1)" '"error":"Malformed request"'
perl -e 'my ($n, $d) = (10000, 128);
    print "\x83\xa6action\xabadd_vectors\xa8index_id\xa3big\xa7vectors\xdc", pack("n", $n);
    for my $i (1 .. $n) { print "\xdc", pack("n", $d); print "\xcb", pack("d>", sin($i * 131 + $_)) for 1 .. $d }' >"$TMP/add"
like "10,000 vectors of 128 numbers, 11.5 MB, are one message" \
    "$(raw '{"action":"create_index","index_id":"big","dimension":128,"index_type":"L2"}' "file:$TMP/add" | tail -n 1)" '"ntotal":10000'
like "as the first of a connection, too" "$(raw "file:$TMP/add")" '"ntotal":20000'
is "the engine is the same then" "$(stat_of pid)" "$engine"
start_server --faissx-k 2 --faissx-dimension 4 --faissx-vectors 1 --faissx-message 1 --faissx-reply 1
limited() { like "$1" "$(raw '{"action":"ping"}' '{"action":"create_index","index_id":"l","dimension":4,"index_type":"L2"}' "$2" | tail -n 1)" "$3"; }
limited "k can be limited" '{"action":"search","index_id":"l","query_vectors":[[0,0,0,0]],"k":3}' '"error":"k=3 out of range \(1-2\)"'
limited "the dimension" '{"action":"create_index","index_id":"m","dimension":5,"index_type":"L2"}' '"error":"Dimension 5 out of range \(1-4\)"'
limited "the vectors of one request" '{"action":"add_vectors","index_id":"l","vectors":[[0,0,0,0],[0,0,0,0]]}' '"error":"Batch size 2 exceeds maximum \(1\)"'
message 1048577
limited "a message" "file:$TMP/large" '"error":"Request too large"'
start_server --faissx-k 1000000 --faissx-vectors 20000 --faissx-reply 1
limited "k can be larger" '{"action":"search","index_id":"l","query_vectors":[[0,0,0,0]],"k":10001}' '"k":10001,'
limited "and a reply smaller" '{"action":"search","index_id":"l","query_vectors":[[0,0,0,0]],"k":1000000}' '"error":"Response too large"'

# --- what is kept ---

start_server --data-dir "$TMP/data"
rows=$(perl -e 'print join ",", map { my $i = $_; "[" . join(",", map { sprintf "%.3f", sin($i * 7 + $_) } 1 .. 8) . "]" } 1 .. 60')
make='{"action":"create_index","dimension":8,"index_id":'
raw '{"action":"ping"}' "$make\"ivf\",\"index_type\":\"IVF4\"}" "$make\"map\",\"index_type\":\"IDMap2:L2\"}" \
    "{\"action\":\"add_vectors\",\"index_id\":\"ivf\",\"vectors\":[$rows]}" \
    '{"action":"add_with_ids","index_id":"map","vectors":[[1,1,1,1,1,1,1,1],[2,2,2,2,2,2,2,2]],"ids":[7,-8]}' \
    '{"action":"add_with_ids","index_id":"map","vectors":[[5,5,5,5,5,5,5,5]],"ids":[7]}' >"$TMP/made"
is "indexes are made and filled" "$(grep -c '"success":true' "$TMP/made")" 6
recluster() { raw '{"action":"ping"}' "{\"action\":\"recluster_index\",\"index_id\":\"ivf\",\"n_clusters\":$1}" | tail -n 1; }
like "an index gets other clusters" "$(recluster 6)" '"new_nlist":6,.*"ntotal":60,"previous_nlist":4'
look() {
    raw '{"action":"ping"}' '{"action":"get_index_stats","index_id":"ivf"}' \
        '{"action":"search","index_id":"map","query_vectors":[[5,5,5,5,5,5,5,5]],"k":2}' \
        "{\"action\":\"search\",\"index_id\":\"ivf\",\"query_vectors\":[[1,0,1,0,1,0,1,0]],\"k\":5,\"params\":{\"nprobe\":4}}" |
        sed 's/"timestamp":[^,}]*//; s/"time":[^,}]*//' | tail -n 3
}
look >"$TMP/before"
like "the index has been trained by its first vectors" "$(cat "$TMP/before")" '"ntotal":60'
like "an IDMap2 replaces the vectors of known ids" "$(cat "$TMP/before")" '"indices":\[7,-8\]'
like "a large change is kept as well" \
    "$(raw '{"action":"create_index","index_id":"big","dimension":128,"index_type":"L2"}' "file:$TMP/add" | tail -n 1)" '"ntotal":10000'
kill -9 $(pgrep -P "$SERVER_PID") "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
start_server --again --data-dir "$TMP/data"
look >"$TMP/after"
same "after kill -9 all is there" "$TMP/before" "$TMP/after"
like "also the clusters" "$(recluster 3)" '"new_nlist":3,.*"ntotal":60,"previous_nlist":6'
like "also what was large" "$(raw '{"action":"get_index_stats","index_id":"big"}')" '"ntotal":10000'

# --- keys and tenants ---

start_server --auth-keys 'k1:red,k2:blue'
say() { raw "$@" | tail -n 1; }
like "a ping is answered without a key" "$(say '{"action":"ping"}')" '"message":"pong"'
like "and nothing else" "$(say '{"action":"ping"}' '{"action":"list_indices"}')" \
    '"error":"API key required","error_code":"AUTH_ERROR"'
like "nor with a wrong key" "$(say '{"action":"ping","api_key":"no"}' '{"action":"list_indices","api_key":"no"}')" \
    '"error":"Invalid API key","error_code":"AUTH_ERROR"'
like "nor with one that is a number" "$(say '{"action":"list_indices","api_key":5}')" '"Invalid API key"'
like "nor with a tenant that cannot be one" \
    "$(say '{"action":"list_indices","api_key":"k1","tenant_id":5}')" '"Invalid tenant ID"'
one='"api_key":"k1"' two='"api_key":"k2"'
like "a tenant makes an index" "$(say "{\"action\":\"ping\",$one}" "$make\"x\",\"index_type\":\"L2\",$one}")" '"success":true'
like "another one does not see it" "$(say "{\"action\":\"ping\",$two}" "{\"action\":\"get_index_stats\",\"index_id\":\"x\",$two}")" \
    'Index x not found'
like "and has one of the same name" "$(say "{\"action\":\"ping\",$two}" "$make\"x\",\"index_type\":\"IP\",$two}")" '"success":true'
like "a ping is answered without a key later, too" \
    "$(say "{\"action\":\"ping\",$one}" '{"action":"ping"}' | tail -n 1)" '"message":"pong"'
like "nothing is believed after a first message that gives two keys" \
    "$(say "hex:,83a6616374696f6ea470696e67a76170695f6b6579a26b31a76170695f6b6579a26b32" "{\"action\":\"list_indices\",$two}")" \
    '"Invalid API key"'
like "a message with another tenant's key is refused" \
    "$(say "{\"action\":\"ping\",$one}" "{\"action\":\"list_indices\",$two}")" '"Invalid API key","error_code":"AUTH_ERROR"'
like "one without a key, too" "$(say "{\"action\":\"ping\",$one}" '{"action":"list_indices"}')" '"API key required"'
like "the tenant is the key's, whatever the message says" \
    "$(say "{\"action\":\"ping\",$one}" "{\"action\":\"list_indices\",\"tenant_id\":\"blue\",$one}")" '"index_id":"x"'
