# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Two hosts on one machine: two network namespaces joined by a pair of virtual interfaces.
# Sourced by bench/run.sh.
#
# two_hosts sets
#     SERVER_HOST, OTHER_HOST   arrays: a command that runs the command after it on that host
#     SERVER_ADDRESS            where the other host reaches the first
#     NETNS                     the other host's namespace, a file
# or, if namespaces cannot be created, leaves all of them empty and sets NO_NETNS to the
# reason.  remove_hosts removes the namespaces; what runs in them has to end first.
#
# A Unix socket that is known by its path can be reached from every network namespace; so a
# client is on another host only if it uses TCP.  See by_network in harness.sh.
# Only the network is separate: both hosts have the same processes, files and cores.

SERVER_HOST=() OTHER_HOST=()
SERVER_ADDRESS=
NETNS=
NO_NETNS=

# The addresses exist only in the two namespaces, so they conflict with nothing.
two_hosts() {
    local server=faissx-bench-$$-server other=faissx-bench-$$-other
    NO_NETNS=$(make_hosts "$server" "$other" 2>&1) || { remove_hosts; return 1; }
    SERVER_HOST=(nsenter "--net=/run/netns/$server")
    OTHER_HOST=(nsenter "--net=/run/netns/$other")
    SERVER_ADDRESS=10.77.0.1
    NETNS=/run/netns/$other
}

make_hosts() {
    local tool ns
    for tool in ip nsenter; do
        command -v $tool >/dev/null || { echo "there is no $tool"; return 1; }
    done
    [ "$(id -u)" = 0 ] || { echo 'only root may make network namespaces'; return 1; }
    remove_old_hosts
    for ns; do ip netns add "$ns" || return 1; done
    ip link add server netns "$1" type veth peer name other netns "$2" || return 1
    ip -n "$1" address add 10.77.0.1/30 dev server &&
        ip -n "$2" address add 10.77.0.2/30 dev other || return 1
    for ns; do ip -n "$ns" link set lo up || return 1; done
    ip -n "$1" link set server up && ip -n "$2" link set other up || return 1
    # Let a port be reused a second after its connection has ended: there are thousands of
    # connections per second.
    nsenter "--net=/run/netns/$2" sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse
        echo 10000 65000 >/proc/sys/net/ipv4/ip_local_port_range'
}

# Remove the namespaces of runs that were killed.
remove_old_hosts() {
    local ns pid
    for ns in $(ip netns list | sed -n 's/^\(faissx-bench-[0-9]*-[a-z]*\).*/\1/p'); do
        pid=${ns#faissx-bench-}
        kill -0 "${pid%-*}" 2>/dev/null || ip netns delete "$ns"
    done
}

remove_hosts() {
    local ns
    SERVER_HOST=() OTHER_HOST=()
    for ns in faissx-bench-$$-server faissx-bench-$$-other; do
        [ ! -e "/run/netns/$ns" ] || ip netns delete "$ns"
    done
}
