#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A client on another host that does not read for longer than a dead one has keeps its connection, and
# its objects when the lease is shorter.
. tests/e2e/lib.sh

near=faissx-stall-$$-near far=faissx-stall-$$-far # the server's, and the client's
remove_hosts() {
    for ns in $near $far; do [ ! -e /run/netns/$ns ] || ip netns delete $ns; done
}
trap 'fx_rc=$?; remove_hosts; (exit $fx_rc); fx_end' EXIT
make_hosts() {
    [ "$(id -u)" = 0 ] || { echo "only root may make network namespaces"; return 1; }
    ip netns add $near && ip netns add $far &&
        ip link add link0 netns $near type veth peer name link0 netns $far || return 1
    ip -n $near address add 10.79.0.1/24 dev link0 && ip -n $far address add 10.79.0.9/24 dev link0 || return 1
    for ns in $near $far; do ip -n $ns link set lo up && ip -n $ns link set link0 up || return 1; done
    # Less than what the client has asked for fits into its kernel's buffer.
    nsenter --net=/run/netns/$far sh -c 'echo "4096 131072 1048576" >/proc/sys/net/ipv4/tcp_rmem'
    nsenter --net=/run/netns/$near sh -c 'echo "4096 131072 1048576" >/proc/sys/net/ipv4/tcp_wmem'
}
make_hosts >"$TMP/why" 2>&1 || skip_all "$(cat "$TMP/why")"

here=ipc://$TMP/here
nsenter --net=/run/netns/$near "$BUILD/faissx-server" run --bind tcp://10.79.0.1:45678 --bind "$here" --insecure \
    --lease 1 >"$TMP/server.log" 2>&1 &
SERVER_PID=$!
fx_servers="$fx_servers $SERVER_PID"
wait_for accepts "$here" || bail "the server does not start: $(cat "$TMP/server.log")"
SERVER=tcp://10.79.0.1:45678
remote() {
    nsenter --net=/run/netns/$far env LD_PRELOAD="${SANITIZER_RUNTIME:+$SANITIZER_RUNTIME }$STAND_IN" \
        FAISSX_SERVER="$SERVER" FAISSX_FAISS_LIBRARY=/nonexistent "$@"
}

is "an index is saved whole, and is still there" "$(remote "$BUILD/tests/e2e/saving" stalls 2>&1)" "same, then 0"
ok "the server stops" stop_server
