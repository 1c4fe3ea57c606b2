/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/under_way.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "server/engine/engine.h"
#include "server/engine/run/house.h"
#include "server/engine/run/request.h"
#include "server/engine/run/watch.h"

enum {
    BATCH = 64,
    LONG_TICKS = 4,  /* epoll watches the connection of a request that takes longer */
    QUIET_TICKS = 40 /* ticks without a request after which the housekeeper stops ticking */
};

static struct {
    int count;
    uint64_t begun;        /* ever */
    struct fxe_conn *busy; /* through next_busy */
    unsigned tick;         /* never 0 */
    bool ticking;
    int quiet; /* ticks since something was under way */
    bool stopping;
} under_way = {.tick = 1}; /* engine.lock */

void fxe_under_way_begin(struct fxe_conn *c, struct fxe_req *r)
{
    under_way.count++;
    under_way.begun++;
    c->running = r;
    c->began_ms = r->began_ms;
    c->busy_since = under_way.tick;
    DL_APPEND2(under_way.busy, c, prev_busy, next_busy);
    if (!under_way.ticking) {
        under_way.ticking = true;
        fxe_house_wake();
    }
}

void fxe_under_way_end(struct fxe_conn *c)
{
    DL_DELETE2(under_way.busy, c, prev_busy, next_busy);
    c->running = NULL;
    under_way.count--;
}

int fxe_under_way_count(void)
{
    return under_way.count;
}

uint64_t fxe_under_way_begun(void)
{
    return under_way.begun;
}

struct fxe_conn *fxe_under_way_first(void)
{
    return under_way.busy;
}

void fxe_under_way_stop(void)
{
    under_way.stopping = true;
}

bool fxe_under_way_is_stopping(void)
{
    return under_way.stopping;
}

bool fxe_under_way_tick(bool given_up)
{
    if (++under_way.tick == 0)
        under_way.tick = 1;
    under_way.quiet = under_way.count || given_up ? 0 : under_way.quiet + 1;
    under_way.ticking = under_way.quiet < QUIET_TICKS;
    if (!under_way.ticking)
        under_way.quiet = 0;
    return under_way.ticking;
}

void fxe_under_way_drop_unread(void)
{
    int n = 0;
    fxe_lock();
    struct fxe_conn *c, **some = calloc((size_t)under_way.count + 1, sizeof(struct fxe_conn *));
    for (c = some ? under_way.busy : NULL; c; c = c->next_busy)
        if (fxe_conn_try_ref(c))
            some[n++] = c;
    fxe_unlock();
    for (int i = 0; i < n; i++) {
        pthread_mutex_lock(&some[i]->lock);
        bool unread = some[i]->phase == FXE_FLUSHING;
        pthread_mutex_unlock(&some[i]->lock);
        if (unread)
            fxe_conn_kill(some[i]);
        fxe_conn_unref(some[i]);
    }
    free(some);
}

void fxe_under_way_watch_long(void)
{
    struct fxe_conn *c, *some[BATCH];
    int n = 0;
    fxe_lock();
    for (c = under_way.busy; c && n < BATCH; c = c->next_busy) {
        if (!c->busy_since || under_way.tick - c->busy_since < LONG_TICKS)
            continue;
        c->busy_since = 0;
        fxe_conn_ref(c);
        some[n++] = c;
    }
    fxe_unlock();
    for (int i = 0; i < n; i++) {
        c = some[i];
        pthread_mutex_lock(&c->lock);
        bool took = c->phase == FXE_BUSY && !c->dead && fxe_watch_conn(c, EPOLLIN | EPOLLRDHUP);
        pthread_mutex_unlock(&c->lock);
        if (!took)
            fxe_conn_unref(c);
    }
}
