#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A --data-dir that cannot be used: one clear line, status 1, and nothing is damaged.  One tenant's
# store that cannot be opened: the others go on.
. tests/e2e/lib.sh

# refused NAME DIR PATTERN: a server on DIR ends with status 1 and one line that matches.
refused() {
    timeout 20 "$BUILD/faissx-server" run --bind "ipc://$TMP/refused" --data-dir "$2" >"$TMP/refused.out" 2>&1
    is "$1: status" "$?" 1
    like "$1: what is wrong" "$(cat "$TMP/refused.out")" "^faissx-server: --data-dir $2: $3"
    is "$1: in one line" "$(grep -vc ' info ' "$TMP/refused.out")" 1
}

echo hello >"$TMP/file"
refused "a file" "$TMP/file" 'Not a directory'
is "the file is as it was" "$(cat "$TMP/file")" hello
refused "a directory whose parent does not exist" "$TMP/none/data" 'No such file or directory'
mkdir "$TMP/odd"
echo hello >"$TMP/odd/tenants"
refused "a file in the place of its tenants" "$TMP/odd" 'Not a directory'
is "that file is as it was" "$(cat "$TMP/odd/tenants")" hello
ln -s "$TMP/none" "$TMP/dangling"
refused "a link to nothing" "$TMP/dangling" '(No such file|Not a directory)'
mkdir "$TMP/sub"
mkdir "$TMP/sub/lock"
refused "a directory in the place of its lock" "$TMP/sub" 'Is a directory'

mkdir "$TMP/readonly"
if [ "$(id -u)" = 0 ]; then
    if unshare -m sh -c "mount -t tmpfs -o ro none '$TMP/readonly'" 2>/dev/null; then
        # Read-only for root as well.
        cat >"$TMP/in-namespace" <<EOF
mount -t tmpfs -o ro none '$TMP/readonly' && exec timeout 20 '$BUILD/faissx-server' run --bind 'ipc://$TMP/refused' --data-dir '$TMP/readonly'
EOF
        unshare -m sh "$TMP/in-namespace" >"$TMP/refused.out" 2>&1
        is "a read-only file system: status" "$?" 1
        like "a read-only file system: what is wrong" "$(cat "$TMP/refused.out")" \
            "^faissx-server: --data-dir $TMP/readonly: Read-only file system"
    fi
else
    chmod 500 "$TMP/readonly"
    refused "a directory that is not writable" "$TMP/readonly" 'Permission denied'
fi

# Tenants.
keys=one:alpha,two:beta
as() {
    fx_key=$1
    shift
    FAISSX_API_KEY=$fx_key client "$@"
}
serve() { start_server "$@" --data-dir "$TMP/data" --auth-keys "$keys"; }

serve
as one 'new 0 Flat' 'add 0 10' 'write 0 faissx://a' >"$TMP/out"
as two 'new 0 Flat' 'add 0 20' 'write 0 faissx://b' >>"$TMP/out"
is "two tenants publish" "$(sed 's/^.*: //' "$TMP/out" | sort -u)" ok
ok "the server stops" stop_server
total() { as "$1" "read 0 faissx://$2" 'total 0' | tail -n 1; }

alpha=$TMP/data/tenants/alpha
for damage in directory garbage empty unreadable missing-snapshot; do
    rm -rf "$TMP/saved"
    cp -a "$alpha" "$TMP/saved"
    case $damage in
    directory) rm "$alpha"/store.db* && mkdir "$alpha/store.db" ;;
    garbage) rm -f "$alpha"/store.db-* && head -c 20000 /dev/urandom >"$alpha/store.db" ;;
    empty) rm -f "$alpha"/store.db-* && : >"$alpha/store.db" ;;
    unreadable) rm -rf "$alpha" && echo hello >"$alpha" ;;
    missing-snapshot) rm "$alpha"/*.faiss ;;
    esac
    find "$alpha" -type f ! -name lock ! -name replaying ! -name store.db-shm -exec cksum {} + | sort >"$TMP/before"
    serve --again
    got=$(FAISSX_TIMEOUT=5 as one 'read 0 faissx://a' 'search 0' | tail -n 1)
    like "$damage: the tenant is told that its index cannot be had" "$got" ': -4 faissx: '
    is "$damage: another tenant goes on" "$(total two b)" "total 0: 20"
    like "$damage: the log names what is wrong" "$(cat "$SERVER_LOG")" \
        'event=(no-store|store-unreadable|unreadable|cannot-start-engine|engine-ended).*alpha|event=unreadable'
    ok "$damage: the server stops" stop_server
    find "$alpha" -type f ! -name lock ! -name replaying ! -name store.db-shm -exec cksum {} + | sort >"$TMP/after"
    same "$damage: nothing in the directory was changed" "$TMP/before" "$TMP/after"
    diag "$got"
    diag "$(grep -v ' info ' "$SERVER_LOG" | head -n 4)"
    rm -rf "$alpha"
    cp -a "$TMP/saved" "$alpha"
done
serve --again
is "with the directory as it was the index is there" "$(total one a)" "total 0: 10"
ok "the server stops" stop_server

# A change is recorded before the index is read.  Who is told that it was not made would repeat it.
mkdir "$TMP/away"
mv "$alpha"/*.faiss "$TMP/away"
serve --again
as one 'read 0 faissx://a' 'add 0 5' | tail -n 1 >"$TMP/change"
# A release that maps snapshots (1.12 and later) has to read the index before the change is stored.
total=10
! grep -q 'the change was made' "$TMP/change" || total=15
like "a caller that changes an index that cannot be read is told whether the change is stored" "$(cat "$TMP/change")" \
    'the change is stored, .*; the change was made|cannot be read from the server.s disk: .*; the change was not made$'
ok "the server stops" stop_server
mv "$TMP/away"/*.faiss "$alpha"
serve --again
is "and that is true when the index can be read" "$(total one a)" "total 0: $total"
ok "the server stops" stop_server
