#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Another user on the server's host: with a key, a client like any other; without one, no more than
# a client on another host.  Such a user cannot replace the server's socket, access its processes, or
# make the server take him for its own user.
. tests/e2e/attack.sh

[ "$(id -u)" = 0 ] || skip_all "only root can be another user"
command -v setpriv >/dev/null || skip_all "setpriv (util-linux) is not installed"
NOBODY=65534
as_nobody() { setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups --no-new-privs "$@"; }

# The other user may have no access to the folder of the build.
THEIRS=$(mktemp -d "${TMPDIR:-/tmp}/faissx-theirs.XXXXXX")
cp "$BUILD/tests/attack/attack" "$THEIRS/"
chown -R $NOBODY "$THEIRS"
trap 'rm -rf "$THEIRS"; fx_end' EXIT
theirs() { (cd "$THEIRS" && timeout 200 setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups "$@"); }
as_nobody "$THEIRS/attack" >/dev/null 2>&1
[ $? = 2 ] || skip_all "another user cannot run a program in $THEIRS"
refused() { ! theirs "$@"; }

# --- the socket that clients of this host are told of ---

start_tenants
near=$(value near "$(raw '{"operation":"hello","protocol":1,"api_key":"key-a"}')")
path=${near#ipc://}
dir=$(dirname "$path")
like "a client that came by TCP is told of a local socket" "$near" '^ipc:///.*/faissx-'
is "the path is a socket" "$([ -S "$path" ] && echo yes)" yes
is "the server owns its folder" "$(stat -c %u "$dir")" "$(id -u)"
ok "only the owner can write to it" [ $((0$(stat -c %a "$dir") & 022)) = 0 ]
parent=$dir
while [ "$parent" != / ]; do
    parent=$(dirname "$parent")
    mode=$(stat -c %a "$parent")
    # In a folder that others can write to, the sticky bit protects files that are not theirs.
    ok "another user cannot remove the folder from $parent" \
        [ "$(stat -c %u "$parent")" = 0 -a $((0$mode & 022 && !(0$mode & 01000))) = 0 ]
done
ok "another user cannot list the folder" refused ls "$dir"
ok "cannot create a file in it" refused touch "$dir/mine"
ok "cannot remove the socket" refused rm -f "$path"
ok "cannot rename the socket" refused mv -f "$path" "$dir/other"
ok "cannot bind a socket in its place" refused perl -MIO::Socket::UNIX -e \
    'IO::Socket::UNIX->new(Local => shift, Listen => 1) or exit 1' "$path"
ok "cannot link a socket of his own there" refused ln -sf "$THEIRS/attack" "$path"
ok "cannot rename the folder" refused mv "$dir" "$dir.mine"
is "the socket is still there" "$([ -S "$path" ] && echo yes)" yes

# --- with a key ---

for at in "$TCP" "$near"; do
    ok "${at%%:*}: with a key, another user is served" theirs ./attack requests "$at" key-b 100 </dev/null
done
ok "another user cannot use a socket in a folder that he cannot enter" refused ./attack storm "$IPC" 1

# --- processes ---

for pid in $FRONT $ALPHA; do
    ok "another user cannot list the descriptors of process $pid" refused ls "/proc/$pid/fd/"
    ok "cannot read its memory map" refused cat "/proc/$pid/maps"
    ok "cannot kill it" refused kill "$pid"
done
is "the keys are not on a command line" "$(cat /proc/$FRONT/cmdline /proc/$ALPHA/cmdline | grep -c key-a)" 0
is "the keys are not in the environment of an engine" "$(tr '\0' '\n' </proc/$ALPHA/environ | grep -c key-a)" 0

# --- attacks ---

attack() { theirs ./attack "$@"; }
# The clients that measure and work run as the server's user.
own() { timeout 280 "$BUILD/tests/attack/attack" "$@"; }
under_own() {
    attack_of=$1
    shift
    background beta own victim "$TCP" key-b
    said beta working || bail "no victim: $(cat "$TMP/beta.out")"
    background watch own watch "$FRONT" "$ALPHA" "$BETA"
    said watch watching || bail "nobody watches: $(cat "$TMP/watch.out")"
    sleep 1 | attack "$@" >"$TMP/attack.out" 2>&1
    is "$attack_of: no fault" $? 0 || sed 's/^/# /' "$TMP/attack.out"
    ended watch
    ended beta
    unharmed "$attack_of" beta
    within "$attack_of" 16 64
    ok "$attack_of: the processes are the same" same_processes
    for pid in $FRONT $ALPHA $BETA; do
        eval "fds=\$FDS_$pid"
        ok "$attack_of: no descriptor is leaked" wait_for back "$pid" "$fds"
    done
}
baseline
for at in "$TCP" "$near"; do
    name="another user, ${at%%:*}"
    under_own "$name: identities" identity "$at" key-a 500
    under_own "$name: empty frames" flood "$at" empty 38
    under_own "$name: announced" announce "$at" 250
    under_own "$name: handshakes" idle "$at" 5000 5000
    under_own "$name: first messages" keyless "$at" key-a
    under_own "$name: announced with a key" announce "$at" 250 key-a
    under_own "$name: the session of another tenant" tokens "$at" key-a key-b
done
under_own "another user: descriptors" fds "$near" key-a 120

ok "the server stops" stop_server
is "the server removes its folder when it stops" "$([ -e "$dir" ] && echo "$dir")" ""

# --- a folder that he made first ---

squat=$TMP/run
mkdir "$squat"
chmod 1777 "$squat"
chmod 711 "$TMP"
theirs mkdir "$squat/faissx" "$squat/faissx-0"
XDG_RUNTIME_DIR=$squat
export XDG_RUNTIME_DIR
start_tenants
near=$(value near "$(raw '{"operation":"hello","protocol":1,"api_key":"key-a"}')")
is "a server that finds the folder taken makes a new one" "$(stat -c %u "$(dirname "${near#ipc://}")")" "$(id -u)"
ok "the server stops" stop_server

# --- a folder that he makes when the server has stopped ---

start_server --again --auth-file "$TMP/keys"
near=$(value near "$(raw '{"operation":"hello","protocol":1,"api_key":"key-a"}')")
path=${near#ipc://}
FAISSX_API_KEY=key-a
export FAISSX_API_KEY
talk c
is "a client is connected" "$(ask c 'new 0 Flat')" ok
ok "the server stops" stop_server
ok "another user makes the folder" theirs mkdir "$(dirname "$path")"
cat >"$TMP/listen.pl" <<'END'
use IO::Socket::UNIX;
my $listener = IO::Socket::UNIX->new(Local => shift, Listen => 5) or exit 1;
$| = 1;
print "listening\n";
while (my $c = $listener->accept) {
    # A greeting of ZMTP 3.1, mechanism NULL, and READY: the client sends its request then.
    syswrite $c, "\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL" . "\0" x 48 . "\4\x1c\5READY\x0bSocket-Type\0\0\0\6ROUTER";
    $SIG{ALRM} = sub { close $c };
    alarm 2;
    print $bytes while sysread $c, $bytes, 4096;
}
END
chmod 644 "$TMP/listen.pl"
(cd / && exec setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups perl "$TMP/listen.pl" "$path") >"$TMP/heard" 2>&1 &
fx_servers="$fx_servers $!"
ok "and listens there" wait_for grep -q listening "$TMP/heard"
start_server --again --auth-file "$TMP/keys"
like "the client notices that the server was restarted" "$(ask c 'add 0 1')" '^-4 faissx: '
is "and goes on" "$(ask c 'new 1 Flat')" ok
is "he does not get its key" "$(grep -ac key-a "$TMP/heard")" 0
ok "the server stops" stop_server
