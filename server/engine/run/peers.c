/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/peers.h"

#include <linux/sockios.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <utlist.h>

#include "proto/tcp.h"
#include "server/engine/run/conn.h"

enum { EVERY_MS = 5000, BATCH = 64 };

/* Connections whose clients may not have acknowledged all replies. */
static struct {
    pthread_mutex_t lock; /* no other lock is taken with it */
    struct fxe_conn *list;
    int64_t next; /* when to look; 0: the list was empty */
} owing = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The caller holds owing.lock. */
static void add(struct fxe_conn *c)
{
    DL_APPEND2(owing.list, c, prev_owing, next_owing);
    __atomic_store_n(&c->owes, true, __ATOMIC_SEQ_CST);
}

static void drop(struct fxe_conn *c)
{
    DL_DELETE2(owing.list, c, prev_owing, next_owing);
    __atomic_store_n(&c->owes, false, __ATOMIC_SEQ_CST);
}

void fxe_peer_owes(struct fxe_conn *c)
{
    if (!c->tcp || __atomic_load_n(&c->owes, __ATOMIC_SEQ_CST))
        return;
    pthread_mutex_lock(&owing.lock);
    if (!c->owes)
        add(c);
    pthread_mutex_unlock(&owing.lock);
}

void fxe_peer_forget(struct fxe_conn *c)
{
    if (!c->tcp)
        return;
    pthread_mutex_lock(&owing.lock);
    if (c->owes)
        drop(c);
    pthread_mutex_unlock(&owing.lock);
}

static bool has_all(int fd)
{
    int left = 0;
    return ioctl(fd, SIOCOUTQ, &left) != 0 || left == 0;
}

/* A client that does not read acknowledges the kernel's probes, so none is open. */
static bool is_dead(int fd)
{
    struct tcp_info i = {0};
    socklen_t size = sizeof i;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &size) == 0 &&
           i.tcpi_last_ack_recv >= FX_TCP_DEAD_S * 1000 && (i.tcpi_probes || i.tcpi_retransmits);
}

/* Puts those that are dead into `dead`, with a reference each.  The caller holds owing.lock. */
static int look(struct fxe_conn *dead[BATCH])
{
    struct fxe_conn *c, *tmp, *last = owing.list ? owing.list->prev_owing : NULL;
    int n = 0;
    DL_FOREACH_SAFE2(owing.list, c, tmp, next_owing)
    {
        int fd = c->source.fd;
        /* First: another reply that is sent from now on adds it again. */
        drop(c);
        if (!has_all(fd))
            add(c);
        if (c->owes && n < BATCH && is_dead(fd) && fxe_conn_try_ref(c))
            dead[n++] = c;
        if (c == last) /* those behind it have been looked at */
            break;
    }
    return n;
}

int64_t fxe_peers_check(int64_t now)
{
    struct fxe_conn *dead[BATCH];
    int n = 0;
    pthread_mutex_lock(&owing.lock);
    if (owing.list && owing.next && now >= owing.next) {
        n = look(dead);
        owing.next = 0;
    }
    if (!owing.list)
        owing.next = 0;
    else if (!owing.next)
        owing.next = now + EVERY_MS;
    int64_t next = owing.list ? owing.next : INT64_MAX;
    pthread_mutex_unlock(&owing.lock);
    for (int i = 0; i < n; i++) {
        fxe_conn_kill(dead[i]);
        fxe_conn_unref(dead[i]);
    }
    return next;
}
