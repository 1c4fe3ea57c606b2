# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# A network that fails when it is told to (tests/e2e/proxy.c), between clients and a server of this
# host.  Sourced after tests/e2e/lib.sh.

# behind_proxy: has clients reach the server started last through a proxy, which `proxy` commands.
behind_proxy() {
    DIRECT=$SERVER
    rm -f "$TMP/control"
    fx_port=$(free_port)
    "$BUILD/tests/e2e/proxy" "$fx_port" "${DIRECT#ipc://}" "$TMP/control" &
    fx_servers="$fx_servers $!"
    wait_for test -S "$TMP/control"
    SERVER=tcp://127.0.0.1:$fx_port
}
proxy() {
    perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Peer => shift) or die "no proxy\n";
        for (@ARGV) { print $s "$_\n"; $s->flush; <$s> }' "$TMP/control" "$@"
}
directly() { (SERVER=$DIRECT; "$@"); }
