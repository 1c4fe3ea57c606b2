/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a TCP connection counts as dead, for client and server alike.  The kernel sees to it, so
 * neither needs a thread or a timer.
 */
#ifndef FX_TCP_H
#define FX_TCP_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum {
    FX_TCP_IDLE_S =
        30, /* without traffic for so long, the kernel asks the peer whether it lives, */
    FX_TCP_INTERVAL_S = 5, /* and again after each of these; NAT does not forget the connection */
    FX_TCP_DEAD_S = 60 /* without an answer for so long, or an acknowledgement of data: it ends */
};

/* For a connection, or a listening socket, whose connections inherit this. */
static inline void fx_tcp_watch_peer(int fd)
{
    /* TCP_USER_TIMEOUT also takes the place of TCP_KEEPCNT, see tcp(7). */
    static const struct {
        int level, option, value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, FX_TCP_IDLE_S},
                   {IPPROTO_TCP, TCP_KEEPINTVL, FX_TCP_INTERVAL_S},
                   {IPPROTO_TCP, TCP_USER_TIMEOUT, FX_TCP_DEAD_S * 1000}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(fd, options[i].level, options[i].option, &options[i].value,
                   sizeof options[i].value);
}

#endif
