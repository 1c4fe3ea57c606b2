#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A network that is slow, loses and reorders packets, forgets connections, goes silent, speaks IPv6,
# and a server that moves to another address.  Client and server are in network namespaces of their own.
. tests/e2e/lib.sh

near=faissx-link-$$-near far=faissx-link-$$-far # the server's, and the client's
remove_link() {
    for ns in $near $far; do [ ! -e /run/netns/$ns ] || ip netns delete $ns; done
}
# address DO NETNS ADDRESS...: adds or deletes addresses of link0.
address() {
    local do=$1 ns=$2 a
    shift 2
    for a; do
        case $a in
        *:*) ip -n "$ns" address "$do" "$a/64" dev link0 nodad ;;
        *) ip -n "$ns" address "$do" "$a/24" dev link0 ;;
        esac
    done
}
make_link() {
    [ "$(id -u)" = 0 ] || { echo "only root may make network namespaces"; return 1; }
    [ -c /dev/net/tun ] || { echo "there is no /dev/net/tun"; return 1; }
    ip netns add $near && ip netns add $far || return 1
    "$BUILD/tests/e2e/link" /run/netns/$near /run/netns/$far "$TMP/control" 2>"$TMP/link.err" &
    fx_servers="$fx_servers $!"
    wait_for test -S "$TMP/control" || { cat "$TMP/link.err"; return 1; }
    for ns in $near $far; do ip -n $ns link set lo up && ip -n $ns link set link0 up || return 1; done
    # so that the second address stays when the first one is deleted
    nsenter --net=/run/netns/$near sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/promote_secondaries'
    address add $near 10.78.0.1 fd00:78::1 && address add $far 10.78.0.9 fd00:78::9
}
link() {
    perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Peer => shift) or die "no link\n";
        for (@ARGV) { print $s "$_\n"; $s->flush; my $answer = <$s>; print $answer if $answer ne "ok\n" }' \
        "$TMP/control" "$@"
}
trap 'fx_rc=$?; remove_link; (exit $fx_rc); fx_end' EXIT
make_link >"$TMP/why" 2>&1 || skip_all "$(cat "$TMP/why")"

# The client sees this file as /etc/hosts.
hosts() { printf '%s\n' "127.0.0.1 localhost" "$@" >"$TMP/hosts"; }
remote() {
    nsenter --net=/run/netns/$far unshare --mount sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$TMP/hosts" \
        env LD_PRELOAD="${SANITIZER_RUNTIME:+$SANITIZER_RUNTIME }$STAND_IN" \
        ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" FAISSX_SERVER="$SERVER" FAISSX_FAISS_LIBRARY=/nonexistent "$@"
}
# serve OPTION...: a server at all addresses of its namespace, and on a Unix socket for `stat_of`.
serve() {
    fx_nservers=$((${fx_nservers:-0} + 1))
    SERVER_LOG=$TMP/server$fx_nservers.log
    nsenter --net=/run/netns/$near "$BUILD/faissx-server" run --bind "tcp://[::]:45678" --bind "ipc://$TMP/here" --insecure \
        "$@" >"$SERVER_LOG" 2>&1 &
    SERVER_PID=$!
    fx_servers="$fx_servers $SERVER_PID"
    wait_for accepts "ipc://$TMP/here" || bail "the server does not start: $(cat "$SERVER_LOG")"
}
here() { (SERVER=ipc://$TMP/here; stat_of "$1"); }
# connections NETNS: how many are open to or from the server's port.
connections() { ip netns exec "$1" ss -Htn state established '( sport = :45678 or dport = :45678 )' | wc -l; }
none_in() { [ "$(connections "$1")" = 0 ]; }
# long COMMAND...: wait_for, with more patience.
long() { wait_for "$@" || wait_for "$@" || wait_for "$@" || wait_for "$@"; }

hosts "10.78.0.1 index-server"
serve
SERVER=tcp://10.78.0.1:45678

# --- slow, lossy, and out of order ---

set -- 'new 0 Flat' 'add 0 20000' 'search 0' 'total 0'
good=$(client "$@" "write 0 $TMP/good.index" 2>&1)
like "a client works over the link" "$good" 'total 0: 20000'
link 'delay 3' 'jitter 6' 'loss 20' count >"$TMP/before"
poor=$(client "$@" "write 0 $TMP/poor.index" "read 1 $TMP/poor.index" 'total 1' 2>&1)
read -r _ lost overtaken <<<"$(link count)"
ok "packets were lost ($lost), and overtaken ($overtaken)" test "$lost" -gt 5 -a "$overtaken" -gt 5
is "the results are the same" "$(echo "$poor" | sed -n 1,4p)" "$(echo "$good" | sed -n 1,4p)"
ok "so is an index that is fetched" cmp "$TMP/good.index" "$TMP/poor.index"
like "and one that is sent" "$poor" 'total 1: 20000'
link 'delay 0' 'jitter 0' 'loss 0'

# --- IPv6, and a name with two addresses of which one is dead ---

hosts "10.78.0.1 index-server" "fd00:78::99 two-addresses" "10.78.0.1 two-addresses"
SERVER="tcp://[fd00:78::1]:45678"
is "a client works over IPv6" "$(client 'new 0 Flat' 'add 0 3' 'total 0' 2>&1 | tail -n 1)" 'total 0: 3'
SERVER=tcp://two-addresses:45678
is "a dead address of a name is passed by" "$(client 'new 0 Flat' 'add 0 3' 'total 0' 2>&1 | tail -n 1)" 'total 0: 3'

# --- connections that a NAT forgets ---

SERVER=tcp://index-server:45678
talk one
talk two
is "two clients have indexes" "$(ask one 'new 0 Flat'; ask one 'add 0 3'; ask two 'new 0 Flat'; ask two 'add 0 3')" "ok
ok
ok
ok"
link forget
tell one 'add 0 3'
tell two 'search 0'
is "a change goes on over a new connection" "$(long has_lines "$TMP/one.out" 3; hear one)" ok
like "so does a search" "$(long has_lines "$TMP/two.out" 3; hear two)" '^[0-9a-f]'
is "the change was made once" "$(ask one 'total 0')" 6
is "in the same session" "$(here sessions)" 2

# --- the server moves to another address, and the name with it ---

address add $near 10.78.0.3
hosts "10.78.0.3 index-server"
address del $near 10.78.0.1
tell one 'add 0 3'
tell two 'add 0 3'
is "a client finds the server at the name's new address" "$(long has_lines "$TMP/one.out" 5; hear one)" ok
is "with what it had" "$(ask one 'total 0')" 9
is "so does another" "$(long has_lines "$TMP/two.out" 4; hear two)" ok

# --- half-open: the server is another one, and the connection's end was lost ---

link forget
kill -9 "$SERVER_PID"
wait "$SERVER_PID" 2>/dev/null
serve --lease 600 # an end of the same connection is noticed up to a minute later by the other side
tell two 'add 0 3'
like "a client of a server that was killed unseen learns of it" "$(long has_lines "$TMP/two.out" 5; hear two)" \
    '^-4 faissx: the server was restarted while running faiss_Index_add; its objects are gone: .*; the change may have been made$'
is "and works with the next one" "$(ask two 'new 1 Flat'; ask two 'add 1 3')" "ok
ok"

# --- a peer that is gone without a word ---

FAISSX_RETRIES=0 talk waits
FAISSX_RETRIES=0 talk sends
talk idle
is "three more clients" "$(ask waits 'new 0 Flat'; ask sends 'new 0 Flat'; ask idle 'new 0 Flat')" "ok
ok
ok"
link 'delay 20' count >"$TMP/before"
tell sends 'add 0 2000000'
many() { read -r passed _ <<<"$(link count)" && [ "$passed" -gt 200 ]; }
ok "one of them sends a large array" wait_for many
link silence 'delay 0'
tell waits 'add 0 3'
like "a call does not wait for a dead server" "$(long has_lines "$TMP/waits.out" 2; hear waits)" \
    '^-4 faissx: .*the server is silent: it does not even answer PING; the change may have been made$'
like "nor does an upload" "$(long has_lines "$TMP/sends.out" 2; hear sends)" '^-4 faissx: .*the change '
ok "idle clients' connections to it end, too" long none_in $far
ok "and on the server those to dead clients" long none_in $near
link go
tell idle 'add 0 3'
is "a client that was idle goes on within its lease" "$(long has_lines "$TMP/idle.out" 2; hear idle)" ok
