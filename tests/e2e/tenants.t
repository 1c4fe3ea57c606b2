#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# API keys are checked, and tenants, and sessions of one tenant, cannot reach each other's objects by
# guessing a handle, a session, an upload or a download.
. tests/e2e/lib.sh

(umask 077 && echo '{"key-a": "alpha", "key-b": "beta", "key-c": "alpha"}' >"$TMP/keys")
start_server --auth-file "$TMP/keys"

# with KEY COMMAND...: each connection sends this key first.
with() { (export RAW_KEY="$1"; shift; "$@"); }
# key_of SESSION
key_of() { if [ "$1" = "${b:-}" ]; then echo key-b; else echo key-a; fi; }
hello() { raw '{"operation":"hello","protocol":1'"${1:+,$1}"'}'; }
# call SESSION OPERATION ARGS [MORE]
call() { with "$(key_of "$1")" raw '{"operation":"'"$2"'","session":"'"$1"'","args":['"$3"']'"${4:+,$4}"'}'; }

# --- keys ---

like "no key is refused" "$(hello)" '"kind":"auth","message":"faissx: API key required"'
like "a wrong key is refused" "$(hello '"api_key":"key"')" '"kind":"auth","message":"faissx: Invalid API key"'
like "an empty key is refused" "$(hello '"api_key":""')" '"kind":"auth"'
like "a key that is a number is refused" "$(hello '"api_key":1')" '"kind":"auth"'
like "a key with another tenant is refused" "$(hello '"api_key":"key-a","tenant_id":"beta"')" \
    '"kind":"auth","message":"faissx: API key does not belong to tenant"'
like "a key with its own tenant is accepted" "$(hello '"api_key":"key-a","tenant_id":"alpha"')" '"status":"ok"'
like "stats needs a key" "$(raw '{"operation":"stats"}')" '"kind":"auth"'
like "health needs no key" "$(raw '{"operation":"health"}')" '"status":"ok"'
like "a function needs a session" \
    "$(raw '{"operation":"faiss_index_factory","api_key":"key-a","args":[true,8,"Flat",1]}')" \
    '"kind":"session","message":"faissx: faiss_index_factory needs a session: send hello first"'

like "a program with the key is served" "$(FAISSX_API_KEY=key-a client 'new 0 Flat')" ': ok$'
like "a program without a key is refused" "$(client 'new 0 Flat')" ': -4 faissx: API key required$'
like "a program with a wrong key is refused" "$(FAISSX_API_KEY=key client 'new 0 Flat')" \
    ': -4 faissx: Invalid API key$'
like "a program with another tenant is refused" \
    "$(FAISSX_API_KEY=key-a FAISSX_TENANT_ID=beta client 'new 0 Flat')" \
    ': -4 faissx: API key does not belong to tenant$'

# --- objects ---

a=$(value session "$(hello '"api_key":"key-a"')")
a2=$(value session "$(hello '"api_key":"key-c"')")
b=$(value session "$(hello '"api_key":"key-b"')")
index=$(handle "$(call "$a" faiss_index_factory 'true,1024,"Flat",1')")
like "one tenant has an index" \
    "$(call "$a" faiss_Index_add "$index,2048,0" '"_frames":["zero 8388608"]')" '"status":"ok"'
is "tenants have processes of their own" \
    "$([ "$(stat_of pid key-a)" != "$(stat_of pid key-b)" ] && echo yes)" yes
is "two keys of a tenant have the same engine" "$(stat_of pid key-a)" "$(stat_of pid key-c)"
is "stats of another tenant do not count its objects" "$(stat_of objects key-b)" 0
is "stats have the tenant's own name" "$(stat_of tenant key-b)" beta

no_handle='"code":-4,"kind":"handle","message":"faissx: .* is not an object of this session'
for s in "$a2" "$b"; do
    for id in $((index - 1)) "$index" $((index + 1)); do
        like "handle $id of another session" "$(call "$s" faiss_Index_ntotal "$id")" "$no_handle"
    done
    like "freeing another session's object is refused" "$(call "$s" faiss_Index_free "$index")" "$no_handle"
    like "cloning another session's object is refused" "$(call "$s" faiss_clone_index "$index,true")" "$no_handle"
    like "saving another session's object is refused" \
        "$(with "$(key_of "$s")" raw '{"operation":"save","session":"'"$s"'","handle":'"$index"',"flags":0}')" \
        '"kind":"handle"'
done
like "its owner still has it" "$(call "$a" faiss_Index_ntotal "$index")" '"ret":2048'

# --- sessions ---

no_session='"code":-4,"kind":"session","message":"faissx: unknown session'
last=$(printf %s "$a" | tail -c 1)
near=${a%?}$([ "$last" = 0 ] && echo 1 || echo 0)
like "a token that differs in one byte is refused" "$(call "$near" faiss_Index_ntotal "$index")" "$no_session"
like "half a token is refused" "$(call "${a%????????????????}" faiss_Index_ntotal "$index")" "$no_session"
like "an empty token is refused" "$(call hex: faiss_Index_ntotal "$index")" "$no_session"
like "a token of zeros is refused" "$(call hex:00000000000000000000000000000000 faiss_Index_ntotal "$index")" "$no_session"
like "a token that is a number is refused" "$(with key-a raw '{"operation":"faiss_Index_ntotal","session":1,"args":[1]}')" "$no_session"
like "another tenant's token is refused" "$(with key-b raw '{"operation":"faiss_Index_ntotal","session":"'"$a"'","args":['"$index"']}')" \
    "$no_session"
like "a session can be ended" "$(with key-a raw '{"operation":"bye","session":"'"$a2"'"}')" '"status":"ok"'
like "the token of an ended session is refused" "$(call "$a2" faiss_Index_ntotal "$index")" "$no_session"
like "bye with an unknown token is refused" "$(with key-a raw '{"operation":"bye","session":"'"$near"'"}')" "$no_session"

# --- large arrays on their way ---

like "a large result is one frame" "$(call "$a" faiss_IndexFlat_xb "$index,true,true")" \
    '"_frames":\[8388608\]'
reply=$(with key-a raw '{"operation":"save","session":"'"$a"'","handle":'"$index"',"flags":0}')
like "a large file stays on the server" "$reply" '"big":\[\["download","uint:[0-9]+",8388[0-9]+\]\]'
id=$(printf '%s\n' "$reply" | sed 's/.*"download","\([^"]*\)".*/\1/')
piece='"id":"'"$id"'","offset":0,"size":100'
like "another session cannot download it" "$(with key-b raw '{"operation":"download","session":"'"$b"'",'"$piece"'}')" '"code":-4'
like "another session cannot release it" "$(with key-b raw '{"operation":"release","session":"'"$b"'",'"$piece"'}' >/dev/null
    with key-a raw '{"operation":"download","session":"'"$a"'",'"$piece"'}')" '"_frames":\[100\]'
upload='"operation":"upload","id":5,"size":4096,"offset":0,"_frames":["zero 4096"]'
like "an upload is accepted" "$(with key-a raw "{$upload"',"session":"'"$a"'"}')" '"status":"ok"'
theirs=$(handle "$(call "$b" faiss_index_factory 'true,1024,"Flat",1')")
like "another session cannot use the upload" "$(call "$b" faiss_Index_add "$theirs"',1,["upload",5]')" \
    '"kind":"argument".*upload for x is unknown'
like "its own session can use the upload" "$(call "$a" faiss_Index_add "$index"',1,["upload",5]')" '"status":"ok"'
like "an upload can be used once" "$(call "$a" faiss_Index_add "$index"',1,["upload",5]')" '"kind":"argument"'

# If the kernel shares the processor by session, tenants share it evenly.
sessions=$(sed -n 's/.* event=engine-started tenant=.* pid=\([0-9]*\).*/\1/p' "$SERVER_LOG" | while read -r pid; do
    [ "$(cut -d ' ' -f 6 "/proc/$pid/stat")" = "$pid" ] && echo own || echo shared
done | sort | uniq -c | sed 's/^ *//')
like "each engine leads a session of the operating system" "$sessions" '^[2-9] own$'

is "no key is in the log" "$(grep -c 'key-[abc]' "$SERVER_LOG")" 0
ok "the server stops" stop_server

# --- keys in the environment ---

FAISSX_AUTH_KEYS=key-1:alpha,key-2:beta
export FAISSX_AUTH_KEYS
start_server
unset FAISSX_AUTH_KEYS
engine=$(stat_of pid key-1)
ok "keys from the environment are known" [ -n "$engine" ]
is "an engine does not get them" "$(tr '\0' '\n' <"/proc/$engine/environ" | grep -c 'key-[12]')" 0
is "nor does a core dump of the front: there is none" \
    "$(sed -n 's/^Max core file size  *//p' "/proc/$SERVER_PID/limits" | tr -s ' ')" "0 0 bytes "
ok "the server stops" stop_server

# --- keys that cannot be ---

refused() {
    name=$1 pattern=$2
    shift 2
    text=$(timeout 20 "$BUILD/faissx-server" run --bind "$SERVER" "$@" 2>&1)
    is "$name: exit status" $? 1
    like "$name: message" "$text" "$pattern"
}
refused "no such file" "^faissx-server: --auth-file: '$TMP/none': cannot open it: No such file" \
    --auth-file "$TMP/none"
echo '{"secret": ' >"$TMP/bad"
refused "no JSON" 'not valid JSON near line' --auth-file "$TMP/bad"
refused "no keys" '--enable-auth: there is no API key' --enable-auth
echo '{}' >"$TMP/none.json"
refused "a file without keys" '--auth-file: there is no API key in it' --auth-file "$TMP/none.json"
refused "a directory" 'it is a directory' --auth-file "$TMP"
refused "a tenant that is a path" "has a '/'" --auth-keys "k:a/../x"
