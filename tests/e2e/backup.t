#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# faissx-server backup and restore: while clients add, incrementally, interrupted, to a time.
. tests/e2e/lib.sh

admin() { "$BUILD/faissx-server" "$@" 2>&1; }
cli() { "$BUILD/bin/faissx" "$@" 2>&1; }
flip() { perl -e 'open F, "+<", shift or die; my $at = shift; seek F, $at, 0; read F, $_, 1;
    seek F, $at, 0; print F chr(ord ^ 255)' "$1" "$2"; }
number() { sed -n "s/^ *\"$1\": \([0-9]*\),*\$/\1/p"; }

# restored NAME DIR: how many vectors the index has that a server on the directory serves.
restored() {
    fx_server=$SERVER fx_pid_before=$SERVER_PID
    start_server --data-dir "$2"
    client "read 0 faissx://$1" 'total 0' | sed -n 's/^total 0: //p'
    stop_server >/dev/null
    SERVER=$fx_server SERVER_PID=$fx_pid_before
}

data=$TMP/data
target=$TMP/target
start_server --data-dir "$data" --snapshot-interval 1
FAISSX_SERVER=$SERVER
export FAISSX_SERVER

# --- what is refused ---

is "a backup of what is no data directory" "$(admin backup "$TMP" "$target"; echo $?)" \
    "faissx-server backup: $TMP is not a data directory: it has no folder tenants
1"
for inside in "$data/sub" "$data/tenants/sub/"; do
    is "a backup into the data directory itself" "$(admin backup "$data" "$inside"; echo $?)" \
        "faissx-server backup: $inside is inside $data: a backup must be somewhere else
1"
    ok "it makes no folder there" test ! -e "$inside"
    rm -rf "$inside"
done
is "a backup into a folder with other files" "$(admin backup "$data" "$TMP"; echo $?)" \
    "faissx-server backup: $TMP is neither empty nor a folder with backups
1"
is "a restore from a folder without backups" "$(admin restore "$data" "$TMP/r"; echo $?)" \
    "faissx-server restore: $data has no backups: there is no file faissx-backups in it
1"
client 'new 0 Flat' 'add 0 3000' 'write 0 faissx://flat' 'new 1 Flat' 'write 1 faissx://other' 'add 1 20000' >"$TMP/out"
is "a restore into a folder with other files" "$(admin backup "$data" "$target" >/dev/null; mkdir "$TMP/full"; touch "$TMP/full/x"
    admin restore "$target" "$TMP/full"; echo $?)" \
    "faissx-server restore: $TMP/full is not empty: x is in it
1"

# --- incremental ---

rm -rf "$target"
stored() { find "$target" -type f \( -path '*/files/*' -o -name '*.db' \) -exec cat {} + | wc -c; }
admin backup --json "$data" "$target" >"$TMP/1"
is "the first backup" $? 0
is "it copies all that it has" "$(number copied_bytes <"$TMP/1")" "$(stored)"
before=$(stored)
client 'read 0 faissx://other' 'add 0 500' >"$TMP/out"
admin backup --json "$data" "$target" >"$TMP/2"
is "the second backup" $? 0
is "the target grows by what it says that it copies" "$(number copied_bytes <"$TMP/2")" "$(($(stored) - before))"
db=$(wc -c <"$(ls -d "$target"/20*/default.db | tail -n 1)")
new=$(($(number copied_bytes <"$TMP/2") - db))
ok "that is the new change, of 32000 bytes, and the database ($new)" [ "$new" -ge 32000 ] && [ "$new" -le 33000 ]
ok "both are good" admin verify "$target"

# --- while a client adds ---

base=20500
{
    echo 'read 0 faissx://other'
    until [ -e "$TMP/stop" ]; do echo 'add 0 500'; sleep 0.02; done
} | client >"$TMP/adds" 2>"$TMP/adds.err" &
adder=$!
wait_for has_lines "$TMP/adds" 10
snapshots() { grep -c 'event=snapshot' "$SERVER_LOG"; }
snapshots_before=$(snapshots)
acked() { grep -c '^add 0 500: ok' "$TMP/adds"; }
for i in 1 2 3 4 5 6; do
    before=$(acked)
    admin backup --json "$data" "$TMP/busy" >"$TMP/busy.$i" || diag "$(cat "$TMP/busy.$i")"
    echo "$before $(acked) $(sed -n 's/.*"time": "\(.*\)".*/\1/p' "$TMP/busy.$i")" >>"$TMP/busy.all"
    sleep 0.4
done
touch "$TMP/stop"
wait "$adder"
ok "snapshots were taken meanwhile" [ "$(snapshots)" -gt "$snapshots_before" ]
ok "the backups are good" admin verify "$TMP/busy"
while read -r before after stamp; do
    rm -rf "$TMP/r"
    admin restore --time "$stamp" "$TMP/busy" "$TMP/r" >"$TMP/out" || diag "$(cat "$TMP/out")"
    total=$(restored other "$TMP/r")
    k=$(((total - base) / 500))
    is "a restored index has whole changes only" "$((total - base - 500 * k))" 0
    ok "it has all $before that were acknowledged before the backup, and no more than $((after + 1)): $k" \
        [ "$k" -ge "$before" ] && [ "$k" -le "$((after + 1))" ]
done <"$TMP/busy.all"

# --- interrupted ---

client 'new 0 Flat' 'add 0 400000' 'write 0 faissx://large' >"$TMP/out"
tries=0
caught=no
while [ $caught = no ] && [ $tries -lt 50 ]; do
    tries=$((tries + 1))
    rm -rf "$TMP/cut"
    "$BUILD/faissx-server" backup "$data" "$TMP/cut" >"$TMP/out" 2>&1 &
    pid=$!
    until ls "$TMP"/cut/files/default/*.faiss >/dev/null 2>&1; do kill -0 $pid 2>/dev/null || break; done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    ls "$TMP"/cut/*.json >/dev/null 2>&1 || caught=yes
done
is "a backup is killed while it copies" $caught yes
ok "it has left files" ls "$TMP"/cut/files/default/*.faiss
said=$(admin verify "$TMP/cut")
is "verify does not take it for a backup" "$?: $said" "1: faissx-server verify: $TMP/cut has no complete backup"
said=$(admin restore "$TMP/cut" "$TMP/none")
is "nor does restore" $? 1
like "it says so" "$said" "$TMP/cut has no complete backup"
touch "$TMP/cut/files/default/1-1-leftover.faiss"
ok "the next backup there is complete" admin backup "$data" "$TMP/cut"
ok "it is good" admin verify "$TMP/cut"
is "what the killed one has left is gone" \
    "$(ls "$TMP/cut" | grep -c Z) $(ls "$TMP"/cut/files/default/*leftover* 2>/dev/null)" "2 "
rm -rf "$TMP/r"
ok "it can be restored" admin restore "$TMP/cut" "$TMP/r"
is "it has everything" "$(restored large "$TMP/r")" 400000
stop_server

# --- damage in the target ---

rm -rf "$TMP/r"
snapshot=$(ls -S "$TMP"/cut/files/default/*.faiss | head -n 1)
flip "$snapshot" 5000
said=$(admin verify "$TMP/cut")
is "a damaged snapshot: verify" $? 1
like "it says which index it affects" "$said" "damaged: files/default/.* has a wrong checksum; this affects all of index 'large'"
said=$(admin restore "$TMP/cut" "$TMP/r")
is "a damaged snapshot: restore" $? 1
like "restore says what is damaged" "$said" "is damaged; 'faissx-server verify $TMP/cut' says what this affects"
like "a server does not start on a half restored directory" \
    "$("$BUILD/faissx-server" run --port 0 --data-dir "$TMP/r" 2>&1; echo $?)" 'it was not restored completely'
flip "$snapshot" 5000
ok "undamaged again" admin verify "$TMP/cut"
mv "$snapshot" "$snapshot.gone"
like "a missing file" "$(admin verify "$TMP/cut")" "damaged: files/default/.*: No such file or directory; this affects all of index 'large'"
mv "$snapshot.gone" "$snapshot"
flip "$(ls "$TMP"/cut/*/default.db)" 9000
like "a damaged database" "$(admin verify "$TMP/cut")" 'default.db has a wrong checksum; this affects the whole tenant'
flip "$(ls "$TMP"/cut/*.json)" 100
like "a damaged manifest" "$(admin verify "$TMP/cut")" '\.json is damaged$'

# --- to a time ---

data=$TMP/data2
target=$TMP/target2
start_server --data-dir "$data"
FAISSX_SERVER=$SERVER
now() { perl -MTime::HiRes=time -e 'printf "@%.3f", time'; }
at() { # TIME: what restore says, then the totals
    rm -rf "$TMP/r"
    admin restore --time "$1" "$target" "$TMP/r" >"$TMP/said" || return
    restored clock "$TMP/r"
}
client 'new 0 Flat' 'add 0 100' 'write 0 faissx://clock' 'add 0 10' >"$TMP/out"
raw '{"operation":"index_create","name":"asked","d":2,"type":"flat"}' >"$TMP/out"
sleep 0.1
t1=$(now)
sleep 0.1
adding='{"operation":"index_add","name":"asked","n":2,"request_id":1,"caller":"hex:000102030405060708090a0b0c0d0e0f"'
adding_frames='"_frames":["f32 1 1 2 2"]}'
raw "$adding,$adding_frames" >"$TMP/out"
like "a request that can be sent again" "$(cat "$TMP/out")" '"status":"ok"'
client 'read 0 faissx://clock' 'add 0 20000' 'add 0 5' >"$TMP/out"
ok "a first backup" admin backup "$data" "$target"
sleep 0.1
t2=$(now)
sleep 0.1
client 'read 0 faissx://clock' 'add 0 3' >"$TMP/out"
sleep 0.1
t3=$(now)
sleep 0.1
client 'read 0 faissx://clock' 'add 0 4' 'new 1 Flat' 'write 1 faissx://later' >"$TMP/out"
ok "a second one" admin backup "$data" "$target"
is "as of a time between two changes" "$(at "$t1")" 110
like "it says so" "$(cat "$TMP/said")" ', as of 20.*Z$'
like "it says how many changes were left out" "$(cat "$TMP/said")" '^  3 changes after that time were left out'
is "as of the time of the backup" "$(at "$t2")" 20115
is "as of now" "$(at "$(now)")" 20122
is "a time after which an index was published comes from the backup before" "$(at "$t3")" 20115
like "it says so, and why" "$(cat "$TMP/said")" "later changes cannot be told apart, since the next backup has a newer snapshot of 'later'"
rm -rf "$TMP/r"
said=$(admin restore --time 2001-01-01T00:00 "$target" "$TMP/r")
is "a time before everything" $? 1
like "it says that there is no backup for it" "$said" 'and there is no backup before it'

# A backup has changes that were made after its time, while it was taken: here, while it waits for
# somebody to write what looks like a manifest.
client 'new 0 Flat' 'add 0 100' 'write 0 faissx://slow' >"$TMP/out"
admin backup "$data" "$TMP/slow" >/dev/null
rm "$TMP"/slow/*.json
fifo=$TMP/slow/2001-01-01T00:00:00.000Z.json
mkfifo "$fifo"
admin backup "$data" "$TMP/slow" >"$TMP/said" &
slow=$!
sleep 0.5
client 'read 0 faissx://slow' 'add 0 7' >"$TMP/out"
: >"$fifo"
rm "$fifo"
ok "a slow backup" wait $slow
stamp=$(cd "$TMP/slow" && ls ./*.json | sed 's/^..//; s/.json$//')
for time in '' "$stamp"; do
    rm -rf "$TMP/r"
    admin restore ${time:+--time "$time"} "$TMP/slow" "$TMP/r" >"$TMP/said" || diag "$(cat "$TMP/said")"
    is "restored${time:+ to its time}, it has what belongs to it" "$(restored slow "$TMP/r")" "$([ "$time" ] && echo 100 || echo 107)"
done
like "it says so" "$(cat "$TMP/said")" '^  1 changes after that time were left out'

# A request that is left out must not be answered as if it had been carried out.
at "$t1" >/dev/null
ok "what is restored is good" admin verify "$TMP/r"
start_server --data-dir "$TMP/r"
total() { value ntotal "$(raw '{"operation":"index_info","name":"asked"}')"; }
is "the request is left out" "$(total)" 0
like "sent again, it is answered" "$(raw "$adding,\"again\":true,$adding_frames")" '"status":"ok"'
is "and carried out" "$(total)" 2
stop_server
at "$t1" >/dev/null

# --- the restored directory goes its own way, and is backed up into the same target ---

start_server --data-dir "$TMP/r"
FAISSX_SERVER=$SERVER
client 'read 0 faissx://clock' 'add 0 30000' >"$TMP/out"
is "a server on it takes changes" "$(tail -n 1 "$TMP/out")" 'add 0 30000: ok'
ok "backup of the restored directory into the same target" admin backup "$TMP/r" "$target"
ok "all backups are good" admin verify "$target"
mv "$TMP/r" "$TMP/r-serving"
is "the newest has the new history" "$(at "$(now)")" 30110
is "the one before has the old one" "$(at "$t2")" 20115
stop_server

# --- old backups ---

is "there are three" "$(ls "$target"/*.json | wc -l)" 3
said=$(admin backup --keep 2 "$data" "$target")
is "--keep 2: exit status" $? 0
is "two are left" "$(ls "$target"/*.json | wc -l)" 2
is "and their folders" "$(ls -d "$target"/20*Z | wc -l)" 2
ok "they are good" admin verify "$target"
admin backup --keep 1 "$data" "$target" >/dev/null
is "files that no backup has any more are removed" \
    "$(cd "$target/files/default" && ls | wc -l)" "$(ls "$data"/tenants/default/*.faiss "$data"/tenants/default/records-* | wc -l)"
is "and the last one has all" "$(at "$(now)")" 20122

# --- a damaged directory ---

rm -rf "$TMP/damaged"
cp -a "$data" "$TMP/damaged"
flip "$(ls "$TMP"/damaged/tenants/default/*.faiss | head -n 1)" 40
said=$(admin backup "$TMP/damaged" "$TMP/target4")
is "a damaged snapshot is not backed up" $? 1
like "it says which file is damaged" "$said" "^faissx-server backup: tenant default: .*\.faiss has a wrong checksum; 'faissx-server verify' says more"
is "there is no backup then" "$(ls "$TMP"/target4/*.json 2>/dev/null)" ""

# A backup without a tenant would be kept in the place of good ones that have it.
rm -rf "$TMP/damaged"
cp -a "$data" "$TMP/damaged"
ok "a backup of a copy" admin backup "$TMP/damaged" "$TMP/target5"
mkdir "$TMP/database"
mv "$TMP"/damaged/tenants/default/store.db* "$TMP/database"
said=$(admin backup --keep 1 "$TMP/damaged" "$TMP/target5")
is "a tenant whose database is lost" $? 1
like "it says so" "$said" "^faissx-server backup: tenant default: .*store.db: No such file or directory"
is "the backup before is kept" "$(ls "$TMP"/target5/*.json | wc -l)" 1
mv "$TMP"/database/* "$TMP/damaged/tenants/default"
mkdir "$TMP/damaged/tenants/new"
touch "$TMP/damaged/tenants/new/lock"
ok "a tenant that has never published anything is no fault" admin backup "$TMP/damaged" "$TMP/target5"
ok "for verify neither" admin verify "$TMP/damaged"
like "nor for repair" "$(admin repair "$TMP/damaged")" '^tenant new: nothing is damaged$'
cp -a "$TMP/damaged/tenants/default" "$TMP/damaged/tenants/_ff"
said=$(admin backup "$TMP/damaged" "$TMP/target5" | tr -d '\377')
like "a tenant whose name is not UTF-8" "$said" 'its name is not UTF-8, so no backup can have it$'
is "is not left out silently" "$(ls "$TMP"/target5/*.json | wc -l)" 2

# --- tenants ---

printf '{"k1": "One Two", "k2": "other"}' >"$TMP/keys"
chmod 600 "$TMP/keys"
start_server --data-dir "$TMP/data3" --auth-file "$TMP/keys"
for key in k1 k2; do
    FAISSX_API_KEY=$key client 'new 0 Flat' "add 0 5${key#k}" 'write 0 faissx://mine' >"$TMP/out"
done
ok "backup of two tenants" admin backup "$TMP/data3" "$TMP/target3"
stop_server
ok "restore of one" admin restore --tenant 'One Two' "$TMP/target3" "$TMP/r3"
is "only that one is there" "$(ls "$TMP/r3/tenants")" "_4fne_20_54wo"
is "a tenant that no backup has" "$(admin restore --tenant none "$TMP/target3" "$TMP/r4" | head -n 1)" \
    "faissx-server restore: no backup has tenant 'none'"
start_server --data-dir "$TMP/r3" --auth-file "$TMP/keys"
is "it has its index" "$(FAISSX_API_KEY=k1 client 'read 0 faissx://mine' 'total 0' | tail -n 1)" "total 0: 51"
is "the other has none" "$("$BUILD/bin/faissx" list --server "$SERVER" --api-key k2)" ""
ok "the server stops" stop_server

# --- backups of one tenant ---

target=$TMP/target3
rm -rf "$TMP/r3" "$TMP/r4"
ok "a backup of one tenant" admin backup --tenant 'One Two' --keep 1 "$TMP/data3" "$target"
is "the one that has the other tenant is kept" "$(ls "$target"/*.json | wc -l)" 2
ok "restore of all" admin restore "$target" "$TMP/r4"
is "has both" "$(ls "$TMP/r4/tenants" | tr '\n' ' ')" "_4fne_20_54wo other "
ok "another backup of one" admin backup --tenant 'One Two' --keep 1 "$TMP/data3" "$target"
is "takes the place of the one before" "$(ls "$target"/*.json | wc -l)" 2
said=$(admin verify --tenant none "$target")
is "verify of a tenant that no backup has" $? 1
like "says so" "$said" "^faissx-server verify: no backup has tenant 'none'\$"

# A damaged manifest.
ok "a full backup" admin backup "$TMP/data3" "$target"
time=$(basename "$(ls "$target"/*.json | tail -n 1)" .json)
rm -rf "$TMP/r4"
sleep 0.1
ok "a later one" admin backup "$TMP/data3" "$target"
newest=$(ls "$target"/*.json | tail -n 1)
flip "$newest" 100
said=$(admin restore "$target" "$TMP/r4")
is "the newest manifest is damaged" $? 1
like "it is named, and what to do" "$said" \
    "the manifest of a later backup, $newest, is damaged: to do without that backup, move this file away"
rm -rf "$TMP/r4"
like "the first error is in the JSON" "$(admin restore --json "$target" "$TMP/r4")" '"error": ".* is damaged"'
rm -rf "$TMP/r4"
ok "a time that does not need it" admin restore --time "$time" "$target" "$TMP/r4"
rm -rf "$TMP/r4"
mv "$newest" "$TMP"
ok "without it" admin restore "$target" "$TMP/r4"

# A tenant that is new.
printf '{"k1": "One Two", "k2": "other", "k3": "new"}' >"$TMP/keys"
time=$(now)
sleep 0.1
start_server --data-dir "$TMP/data3" --auth-file "$TMP/keys"
FAISSX_API_KEY=k3 client 'new 0 Flat' 'add 0 5' 'write 0 faissx://mine' >"$TMP/out"
ok "a backup with a new tenant" admin backup "$TMP/data3" "$target"
stop_server
rm -rf "$TMP/r4"
said=$(admin restore --time "$time" "$target" "$TMP/r4")
is "a time before it was there" $? 0
like "it is left out, and named" "$said" '^tenant new: .* has a newer snapshot of .mine., .*: it is not restored$'
is "the others are there" "$(ls "$TMP/r4/tenants" | tr '\n' ' ')" "_4fne_20_54wo other "
