/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/watch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "server/engine/engine.h"
#include "server/engine/run/ready.h"
#include "server/log.h"

enum { EVENTS = 64 };

static struct {
    int epoll;
    struct fxs_event wake;
    int idle;                /* workers in epoll_wait; atomic, changed with engine.lock */
    struct fxe_conn *unread; /* through next_unread; engine.lock */
} watch;

static void on_wake(void *ctx, struct fxs_event *s, uint32_t events)
{
    uint64_t n;
    (void)ctx;
    (void)events;
    if (read(s->fd, &n, sizeof n) < 0 && errno != EAGAIN)
        fxs_log(FXS_ERROR, "engine", "event=wake errno=%d", errno);
    fxs_event_watch(watch.epoll, s, EPOLL_CTL_MOD, EPOLLIN | EPOLLONESHOT);
}

int fxe_watch_start(void)
{
    watch.epoll = epoll_create1(EPOLL_CLOEXEC);
    watch.wake = (struct fxs_event){eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), on_wake};
    if (watch.epoll < 0 || watch.wake.fd < 0)
        return -1;
    return fxs_event_watch(watch.epoll, &watch.wake, EPOLL_CTL_ADD, EPOLLIN | EPOLLONESHOT);
}

bool fxe_watch_conn(struct fxe_conn *c, uint32_t events)
{
    bool took = !c->armed;
    /* Added only now, when epoll gets a reference: it reports a hangup even if not asked for it. */
    int op = c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    c->armed = c->watched = true;
    if (fxs_event_watch(watch.epoll, &c->source, op, events | EPOLLONESHOT) == 0)
        return took;
    fxs_log(FXS_ERROR, "engine", "event=epoll errno=%d", errno);
    if (took)
        c->armed = false;
    c->dead = true;
    shutdown(c->source.fd, SHUT_RDWR);
    return false;
}

bool fxe_watch_unread(struct fxe_conn *c)
{
    bool took = !c->unread; /* it is still in the list if epoll reported it in the meantime */
    if (took) {
        LL_APPEND2(watch.unread, c, next_unread);
        c->unread = true;
    }
    fxe_watch_wake();
    return took;
}

void fxe_watch_wake(void)
{
    static const uint64_t one = 1;
    if (fxe_watch_idle() && write(watch.wake.fd, &one, sizeof one) < 0 && errno != EAGAIN)
        fxs_log(FXS_ERROR, "engine", "event=cannot-wake errno=%d", errno);
}

int fxe_watch_idle(void)
{
    return __atomic_load_n(&watch.idle, __ATOMIC_RELAXED);
}

struct fxe_conn *fxe_watch_events(bool wait)
{
    struct epoll_event events[EVENTS];
    fxe_lock();
    struct fxe_conn *unread = watch.unread;
    if (unread) {
        LL_DELETE2(watch.unread, unread, next_unread);
        unread->unread = false;
        wait = false;
    }
    wait = wait && fxe_ready_is_empty(); /* one that came since wakes nobody: no worker was idle */
    __atomic_add_fetch(&watch.idle, wait, __ATOMIC_RELAXED);
    fxe_unlock();
    int n = epoll_wait(watch.epoll, events, EVENTS, wait ? -1 : 0);
    fxe_lock();
    __atomic_sub_fetch(&watch.idle, wait, __ATOMIC_RELAXED);
    fxe_unlock();
    fxs_events_handle(NULL, events, n);
    return unread;
}
