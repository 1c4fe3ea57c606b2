#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The commands that look after a data directory: faissx-server verify and repair, and export and
# import of either program, and faissx list.  (Backups: backup.t.)
. tests/e2e/lib.sh

admin() { "$BUILD/faissx-server" "$@" 2>&1; }
cli() { "$BUILD/bin/faissx" "$@" 2>&1; }

# flip FILE OFFSET: changes a byte.
flip() { perl -e 'open F, "+<", shift or die; my $at = shift; seek F, $at, 0; read F, $_, 1;
    seek F, $at, 0; print F chr(ord ^ 255)' "$1" "$2"; }
cut() { perl -e 'truncate shift, shift or die' "$1" "$2"; }

# --- the command line ---

while IFS='|' read -r arguments text; do
    # shellcheck disable=SC2086 # a list of words
    said=$(admin $arguments)
    is "faissx-server $arguments: exit status" $? 2
    is "faissx-server $arguments: message" "$(printf '%s\n' "$said" | head -n 1)" "$text"
done <<'END'
verify|faissx-server verify: missing operand; expected 'DIR'
verify a b|faissx-server verify: unexpected operand 'b'
verify a -xy|faissx-server verify: unknown or ambiguous option '-xy'
verify --keep 3 a|faissx-server verify: unknown or ambiguous option '--keep'
backup a|faissx-server backup: missing operand; expected 'DIR TARGET'
backup --keep 0 a b|faissx-server backup: --keep needs a number from 1 to 1000000, not '0'
backup --keep 4294967297 a b|faissx-server backup: --keep needs a number from 1 to 1000000, not '4294967297'
restore --time yesterday a b|faissx-server restore: --time needs a time such as 2026-01-31T23:59:59Z, not 'yesterday'
restore --time|faissx-server restore: a value is missing after '--time'
repair|faissx-server repair: missing operand; expected 'DIR'
export a b|faissx-server export: missing operand; expected 'DIR NAME FILE'
END
for command in backup restore verify repair export; do
    like "the list of commands has $command" "$(admin --help)" "^  $command +[a-z]"
    said=$(admin $command --help)
    is "$command --help: exit status" $? 0
    like "$command --help: usage" "$said" "^Usage: faissx-server $command \[OPTION\]\.\.\."
    like "$command --help: an example" "$said" "^  faissx-server $command .*/faissx"
done
for command in verify repair; do
    said=$(admin $command "$TMP/none")
    is "$command of no directory: exit status" $? 1
    is "$command of no directory: message" "$said" \
        "faissx-server $command: cannot read $TMP/none: No such file or directory"
done
echo hello >"$TMP/file"
mkdir "$TMP/bare" "$TMP/closed"
chmod 0 "$TMP/closed"
# Root can read everything.
as_other() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@" 2>&1; else "$@" 2>&1; fi
}
chmod 711 "$TMP"
for command in verify repair backup; do
    target=
    [ $command != backup ] || target=$TMP/no-target
    like "$command of a file: message" "$(admin $command "$TMP/file" $target)" \
        "^faissx-server $command: cannot read $TMP/file: Not a directory\$"
    like "$command of another directory: message" "$(admin $command "$TMP/bare" $target)" \
        "^faissx-server $command: $TMP/bare is not a data directory: it has no folder tenants\$"
    like "$command of a directory that cannot be read: message" \
        "$(as_other "$BUILD/faissx-server" $command "$TMP/closed" $target)" "^faissx-server $command: cannot read $TMP/closed: Permission denied\$"
done
chmod 700 "$TMP/closed"

# --- while a server runs ---

data=$TMP/data
start_server --data-dir "$data"
FAISSX_SERVER=$SERVER
export FAISSX_SERVER
client 'new 0 Flat' 'add 0 100' 'write 0 faissx://flat' 'add 0 10' 'add 0 20' \
    'new 1 IVF4,Flat' 'learn 1 200' 'write 1 faissx://ivf' 'add 1 500' 'add 1 600' 'add 1 700' >"$TMP/out"
is "indexes are published and changed" "$(sed 's/.*: //' "$TMP/out" | sort -u)" ok
said=$(admin verify "$data")
is "verify while a server runs: nothing is damaged" $? 0
like "it names the server" "$said" "is in use by process $SERVER_PID on .*, which goes on"
like "it has read all" "$said" '^tenant default: 2 indexes, 5 changes since their snapshots, '
said=$(admin repair "$data")
is "repair while a server runs is refused" $? 1
like "it names the server, too" "$said" "$data is in use by process $SERVER_PID on .*: stop it first"
said=$(admin verify --tenant other "$data")
is "a tenant that is not there: exit status" $? 1
like "a tenant that is not there: message" "$said" "^faissx-server verify: $data has no tenant 'other'\$"

# --- faissx list ---

is "list prints names if its output is no terminal" "$(cli list | sort | tr '\n' ' ')" "flat ivf "
like "list --long has class, dimension, vectors, snapshot, changes, time and name" "$(cli list --long)" \
    '^Index +16 +130 +6\.[0-9] KiB +[1-9][0-9.]* (KiB|bytes) +20[0-9-]+ [0-9:]+ +flat$'
like "list --json" "$(cli list --json | perl -0777 -pe 's/\s+//g')" \
    '\{"name":"ivf","class":"Index","d":16,"metric":1,"ntotal":2000*1800,|"ntotal":1800,"bytes":[0-9]+,"unsaved_bytes":1[0-9]{5},"snapshot_ms":1[0-9]{12}\}'
is "list on a terminal prints a table" \
    "$(script -qec "$BUILD/bin/faissx list" /dev/null </dev/null | head -n 1 | tr -s ' \r' ' ')" \
    "CLASS D NTOTAL SNAPSHOT UNSAVED SNAPSHOT TAKEN NAME "

# --- export and import ---

client 'read 0 faissx://ivf' "write 0 $TMP/direct" 'read 1 faissx://flat' "write 1 $TMP/direct-flat" >"$TMP/out"
ok "export" cli export ivf "$TMP/ivf.faiss"
same "it is the same as faiss_write_index, bit by bit" "$TMP/ivf.faiss" "$TMP/direct"
ok "import" cli import "$TMP/ivf.faiss" copy
ok "export of what was imported" cli export copy "$TMP/copy.faiss"
same "it is the same again" "$TMP/copy.faiss" "$TMP/direct"
client 'new 0 Flat' 'add 0 200000' 'write 0 faissx://large' "write 0 $TMP/direct-large" >"$TMP/out"
ok "export of an index that is sent in pieces" cli export large "$TMP/large.faiss"
same "it is the same" "$TMP/large.faiss" "$TMP/direct-large"
ok "import of one that is sent in pieces" cli import "$TMP/large.faiss" flat
ok "a name that was taken stands for the new one" cli export flat "$TMP/flat.faiss"
same "it is that one" "$TMP/flat.faiss" "$TMP/direct-large"
ok "and can be replaced again" cli import "$TMP/direct-flat" flat
said=$(cli export none "$TMP/none.faiss")
is "export of a name that is not there" "$?: $said" "1: faissx export: none: faissx: no index is published as 'none'"
is "it leaves no file" "$(ls "$TMP"/none.faiss* 2>/dev/null)" ""
said=$(cli export flat "$TMP/no/file")
is "export into a folder that is not there: exit status" $? 1
like "export into a folder that is not there: message" "$said" '^faissx export: .*/no/file.tmp-[0-9]+: No such file'
head -c 5000 "$TMP/ivf.faiss" >"$TMP/short"
for file in short out; do
    said=$(cli import "$TMP/$file" flat)
    is "FAISS cannot read $file: exit status" $? 1
    like "FAISS cannot read $file: message" "$said" "^faissx import: $TMP/$file: Error in "
done
cli export flat "$TMP/flat.faiss"
same "the name still stands for the index before" "$TMP/flat.faiss" "$TMP/direct-flat"
ok "indexes are removed" cli rm copy large
said=$(admin export "$data" flat "$TMP/x")
is "faissx-server export while a server runs is refused" $? 1
like "it says what to do" "$said" "use 'faissx export flat "
ok "an index without later changes" cli import "$TMP/ivf.faiss" whole
client 'read 0 faissx://flat' 'add 0 7' >"$TMP/out"
ok "the server stops" stop_server
ok "it can be exported from the directory of a stopped server" admin export "$data" whole "$TMP/x"
same "it is the same" "$TMP/x" "$TMP/direct"
said=$(admin export "$data" flat "$TMP/y")
is "one with later changes cannot" $? 1
like "it says how many" "$said" "the last 1 changes of 'flat' are not in its snapshot yet: start a server"
is "and writes nothing" "$(ls "$TMP"/y* 2>/dev/null)" ""

# --- damage: each in a copy of the directory ---

mkdir -p "$TMP/no-rights/tenants/default"
chmod -R a+rX "$TMP/no-rights"
chmod 0 "$TMP/no-rights/tenants/default"
like "a store that cannot be read" "$(as_other "$BUILD/faissx-server" export "$TMP/no-rights" flat "$TMP/y")" \
    "cannot open the directory $TMP/no-rights/tenants/default: Permission denied\$"
chmod 700 "$TMP/no-rights/tenants/default"

store=tenants/default
# begin WHAT: a fresh copy in $TMP/d.
begin() {
    what=$1
    rm -rf "$TMP/d"
    cp -a "$data" "$TMP/d"
}
# contents: of all files but the one that names the process that uses the directory, the memory that
# readers of the database share, and an empty log.
contents() {
    find "$TMP/d" -type f ! -path "$TMP/d/lock" ! -name store.db-shm ! \( -name store.db-wal -size 0 \) -exec cksum {} + | sort -k 3
}
# found PATTERN: verify reports it; then repair makes the directory usable.
found() {
    fx_said=$(admin verify "$TMP/d")
    is "$what: verify finds it" $? 1
    like "$what: what it affects" "$fx_said" "$1"
    admin verify --json "$TMP/d" >"$TMP/json"
    ok "$what: --json is JSON and says so" perl -MJSON::PP -0777 -e '
        my $j = decode_json(<>); exit !(!$j->{ok} && @{$j->{tenants}[0]{faults}})' "$TMP/json"
    contents >"$TMP/before"
    fx_dry=$(admin repair --dry-run "$TMP/d")
    contents >"$TMP/after"
    same "$what: repair --dry-run changes nothing" "$TMP/before" "$TMP/after"
    said=$(admin repair "$TMP/d")
    is "$what: repair" $? 0
    is "$what: the dry run said the same" "$(printf '%s\n' "$fx_dry" | grep -c '^  lost:')" \
        "$(printf '%s\n' "$said" | grep -c '^  lost:')"
    fx_said=$(admin verify "$TMP/d")
    is "$what: then nothing is damaged" $? 0
    like "$what: the old store is in lost+found" "$(ls -d "$TMP"/d/lost+found/default-*/lock)" .
    is "$what: nothing else is there" "$(cd "$TMP/d" && ls | tr '\n' ' ')" "lock lost+found tenants "
}
# serves NAME=TOTAL...: a server on the repaired directory has these indexes, and no other.
serves() {
    start_server --data-dir "$TMP/d"
    FAISSX_SERVER=$SERVER
    fx_has=$(for name in $(cli list | sort); do
        client "read 0 faissx://$name" 'total 0' 'search 0' >"$TMP/out"
        printf '%s=%s ' "$name" "$(sed -n 's/^total 0: //p' "$TMP/out")"
        grep -q '^search 0: found' "$TMP/out" || printf 'cannot search '
    done)
    is "$what: the server has what is left" "$fx_has" "$*${1:+ }"
    stop_server
}

begin "no damage"
said=$(admin verify "$TMP/d")
is "no damage: verify" $? 0
like "no damage: repair does nothing" "$(admin repair "$TMP/d")" '^tenant default: nothing is damaged$'
serves flat=137 ivf=1800 whole=1800


snapshot=$(cd "$data/$store" && ls -S -- *.faiss | sed -n 2p) # of flat: neither the largest nor the smallest
d=$TMP/d/$store

begin "a database that cannot be opened now"
rm -f "$d"/store.db-*
mkdir "$d/store.db-wal"
contents >"$TMP/before"
for command in verify repair; do
    said=$(admin $command "$TMP/d")
    is "$what: $command fails" $? 1
    like "$what: $command says why" "$said" '^faissx-server [a-z]+: tenant default: .*store.db: unable to open'
    is "$what: $command does not take it for damage" "$(printf '%s\n' "$said" | grep -c 'DAMAGED\|damaged\|lost')" 0
done
contents >"$TMP/after"
same "$what: nothing is changed" "$TMP/before" "$TMP/after"
is "$what: nothing is added" "$(cd "$TMP/d" && ls | tr '\n' ' ')" "lock tenants "

begin "a byte of a snapshot"
flip "$d/$snapshot" 4000
found "^  damaged: .*/$snapshot has a wrong checksum; this affects all of index 'flat'\$"
like "$what: what is lost" "$said" "^  lost: index 'flat': no snapshot of it is good: $snapshot\$"
serves ivf=1800 whole=1800

begin "a snapshot's last byte"
flip "$d/$snapshot" $(($(wc -c <"$d/$snapshot") - 1))
found "^  damaged: .*/$snapshot: the end of the file is wrong; this affects all of index 'flat'\$"
serves ivf=1800 whole=1800

begin "a snapshot that is cut"
cut "$d/$snapshot" 5000
found "$snapshot: the end of the file is wrong; this affects all of index 'flat'\$"
serves ivf=1800 whole=1800

begin "a snapshot that is gone"
rm "$d/$snapshot"
found "^  damaged: $snapshot: No such file or directory; this affects all of index 'flat'\$"
serves ivf=1800 whole=1800

begin "another index's snapshot under this name"
cp "$d/$(cd "$d" && ls -S -- *.faiss | sed -n 1p)" "$d/$snapshot"
found "$snapshot is another one than the database says; this affects all of index 'flat'\$"
serves ivf=1800 whole=1800

begin "a byte of a large change"
flip "$d/records-1" 50000
found "^  damaged: record [0-9]+ has a wrong checksum; this affects index 'ivf' from change [0-9]+ on \(2 changes\)\$"
like "$what: what is lost" "$said" "^  lost: 2 changes of index 'ivf', from change [0-9]+ on: record [0-9]+ has a wrong checksum\$"
serves flat=137 ivf=500 whole=1800

begin "large changes that are cut"
cut "$d/records-1" 80000
found "records-1: record [0-9]+ has [0-9]+ bytes .* the file ends; this affects index 'ivf' from change [0-9]+ on \(1 changes\)\$"
serves flat=137 ivf=1100 whole=1800

begin "large changes that are gone"
rm "$d/records-1"
found "cannot open .*/records-1, .*; this affects index 'ivf' from change [0-9]+ on \(3 changes\)\$"
serves flat=137 ivf=0 whole=1800

begin "a database that is gone"
rm "$d"/store.db*
found "^  damaged: store.db: No such file or directory"
is "$what: the names are lost, and it says so" "$(printf '%s\n' "$said" | grep -c '^  lost: the names of an index, which is now ')" 3
is "$what: so is what they were to become" "$(printf '%s\n' "$said" | grep -c "^  lost: what index 'recovered-[0-9]*' was to become: if it waited for training")" 3
is "$what: so are the changes" "$(printf '%s\n' "$said" | grep -c '^  lost: changes of index .recovered-[0-9]*. from number 1 on: ')" 3
start_server --data-dir "$TMP/d"
FAISSX_SERVER=$SERVER
is "$what: all snapshots are served" "$(for name in $(cli list); do
    client "read 0 faissx://$name" 'total 0' 'search 0' 'add 0 1' 'total 0' | sed 1d | sed 's/found .*/found/'
done | sort | uniq -c | tr -s ' \n' ' ')" \
    " 3 add 0 1: ok 3 search 0: found 1 total 0: 0 1 total 0: 1 1 total 0: 130 1 total 0: 131 1 total 0: 1800 1 total 0: 1801 "
stop_server

begin "a database that is cut"
cut "$d/store.db" 10000
found "store.db ends within a page"

begin "an empty database"
: >"$d/store.db"
found "damaged: "

# Whichever page it is: what is not in that page is saved, and the server starts.
pages=$(($(wc -c <"$data/$store/store.db") / 4096))
for page in $(seq "$pages"); do
    begin "a byte of page $page of $pages"
    flip "$d/store.db" $((page * 4096 - 1000))
    found "^  damaged: store.db: page $page has a wrong checksum"
    start_server --data-dir "$TMP/d"
    FAISSX_SERVER=$SERVER
    is "$what: the server has all three indexes" "$(cli list | wc -l)" 3
    stop_server
done

# The log that SQLite writes before it changes the database: it is there if the server was killed.
start_server --data-dir "$data"
client 'read 0 faissx://flat' 'add 0 5' 'add 0 6' 'add 0 7' >"$TMP/out"
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
engine_ended() { ! "$BUILD/faissx-server" verify "$data" 2>&1 | grep -q 'in use'; }
wait_for engine_ended
sleep 1
begin "a server that was killed"
ok "$what: nothing is damaged" admin verify "$TMP/d"
serves flat=155 ivf=1800 whole=1800
begin "a byte of the database's log"
flip "$d/store.db-wal" 9000
found "store.db-wal had [0-9]+ durable pages, but only [0-9]+ are there and right"
# What the log had of a large change is in its segment, too.
start_server --data-dir "$data"
client 'read 0 faissx://ivf' 'add 0 3' >"$TMP/out"
size=$(stat -c %s "$data/$store/store.db-wal")
client 'read 0 faissx://ivf' 'add 0 700' 'add 0 800' 'total 0' >"$TMP/out"
client 'read 0 faissx://flat' 'add 0 2' >>"$TMP/out"
total=$(sed -n 's/^total 0: //p' "$TMP/out")
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
wait_for engine_ended
sleep 1
begin "large changes behind damage of the log"
flip "$d/store.db-wal" $((size + 1000))
found "store.db-wal had [0-9]+ durable pages"
serves flat=155 "ivf=$total" whole=1800
begin "a database's log that is gone"
rm "$d/store.db-wal"
found "store.db-wal had [0-9]+ durable pages"

# Power is lost: the rows of large changes were not synced yet.
start_server --data-dir "$data"
client 'read 0 faissx://ivf' 'add 0 600' >"$TMP/out"
size=$(stat -c %s "$data/$store/store.db-wal")
client 'read 0 faissx://ivf' 'add 0 700' >"$TMP/out"
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
wait_for engine_ended
sleep 1
begin "a server whose power was lost"
cut "$d/store.db-wal" "$size"
touch "$d/99-0-abcdefab.faiss"
for damage in no one; do
    [ $damage = no ] || flip "$d/$snapshot" 4000
    contents >"$TMP/before"
    like "$what, $damage damage: verify sees its large changes" "$(admin verify "$TMP/d")" "^tenant default: 3 indexes, "
    contents >"$TMP/after"
    same "$what, $damage damage: verify changes nothing" "$TMP/before" "$TMP/after"
done

# --- what is not damage ---

begin "a file that nothing needs"
cp "$d/$snapshot" "$d/99-0-abcdefab.faiss"
said=$(admin verify "$TMP/d")
is "$what: exit status" $? 0
like "$what: it is named" "$said" '^  note: nothing refers to 99-0-abcdefab.faiss$'

# --- as root, for a server that is another user ---

if [ "$(id -u)" = 0 ]; then
    begin "a page of a store of another user"
    flip "$d/store.db" 7000
    chown -R 65534:65534 "$TMP/d"
    rm "$TMP/d/lock"
    ok "$what: root repairs it" admin repair "$TMP/d"
    is "$what: all is still that user's" "$(find "$TMP/d" ! -user 65534)" ""
    ok "$what: a backup" admin backup "$data" "$TMP/target"
    mkdir "$TMP/theirs"
    chown 65534:65534 "$TMP/theirs"
    ok "$what: root restores it into that user's directory" admin restore --time "$(date +%Y-%m-%dT%T)" "$TMP/target" "$TMP/theirs"
    is "$what: all is that user's" "$(find "$TMP/theirs" ! -user 65534)" ""
fi
