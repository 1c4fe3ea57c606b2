/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event sources of the front and of the engines: a descriptor and the handler of its events.
 * epoll's data.ptr points to a struct fxs_event.  To add a listener, timer or pipe, write a handler
 * and a structure that begins with this one; the event loops do not change.
 */
#ifndef FXS_EVENT_H
#define FXS_EVENT_H

#include <stdint.h>
#include <sys/epoll.h>

struct fxs_event;
/* `ctx`: struct fxs_front in the front, NULL in an engine.  `events`: EPOLLIN, ... */
typedef void fxs_event_fn(void *ctx, struct fxs_event *s, uint32_t events);

struct fxs_event {
    int fd;
    fxs_event_fn *handler;
};

/* Calls epoll_ctl.  `op`: EPOLL_CTL_ADD, EPOLL_CTL_MOD or EPOLL_CTL_DEL.  Returns 0, or -1 and
 * errno. */
static inline int fxs_event_watch(int epoll, struct fxs_event *s, int op, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};
    return epoll_ctl(epoll, op, s->fd, &e);
}

/* Calls the handlers of `n` events; n may be epoll_wait's -1. */
static inline void fxs_events_handle(void *ctx, const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        struct fxs_event *s = events[i].data.ptr;
        s->handler(ctx, s, events[i].events);
    }
}

#endif
