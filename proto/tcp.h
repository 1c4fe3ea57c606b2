/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a TCP connection counts as dead, for client and server alike.  Neither needs a thread for
 * it.
 *
 * The kernel asks a peer that says nothing whether it lives.  For data that is not acknowledged a
 * client relies on TCP_USER_TIMEOUT.  That also ends the connection of a peer that lives and does
 * not read, such as a program that writes what it has fetched to a disk that hangs: so a server has
 * its housekeeper look instead (server/engine/run/peers.c).
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

static inline void fx_tcp_set(int fd, int option, int value)
{
    setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
}

/* For a listening socket, whose connections inherit this. */
static inline void fx_tcp_watch_clients(int fd)
{
    int on = 1;
    fx_tcp_set(fd, TCP_NODELAY, 1);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    fx_tcp_set(fd, TCP_KEEPIDLE, FX_TCP_IDLE_S);
    fx_tcp_set(fd, TCP_KEEPINTVL, FX_TCP_INTERVAL_S);
    fx_tcp_set(fd, TCP_KEEPCNT, (FX_TCP_DEAD_S - FX_TCP_IDLE_S) / FX_TCP_INTERVAL_S);
}

/* For a client's connection. */
static inline void fx_tcp_watch_server(int fd)
{
    fx_tcp_watch_clients(fd);
    fx_tcp_set(fd, TCP_USER_TIMEOUT, FX_TCP_DEAD_S * 1000);
}

#endif
