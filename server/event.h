/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What epoll's data.ptr points to, in the front and in the engines: a descriptor, and what to do
 * when something happens to it.  A listener, timer or pipe more is one more structure that begins
 * with this, and one more function.
 */
#ifndef FXS_EVENT_H
#define FXS_EVENT_H

#include <stdint.h>
#include <sys/epoll.h>

struct fxs_event {
    int fd;
    void (*event)(void *ctx, struct fxs_event *s, uint32_t events);
};

/* op: EPOLL_CTL_ADD, EPOLL_CTL_MOD or EPOLL_CTL_DEL.  Returns 0, or -1 and errno. */
static inline int fxs_event_watch(int epoll, struct fxs_event *s, int op, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};
    return epoll_ctl(epoll, op, s->fd, &e);
}

#endif
