/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/house.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/engine/objects/object.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/exchange.h"
#include "server/engine/run/overdue.h"
#include "server/engine/run/pool.h"
#include "server/engine/run/under_way.h"
#include "server/engine/run/watch.h"
#include "server/handover.h"
#include "server/log.h"

enum { TICK_MS = 25, BATCH = 64 };

static struct {
    int wake, link;
    bool stopping;
} house = {.wake = -1};

void fxe_house_wake(void)
{
    static const uint64_t one = 1;
    /* -1: it does not run yet, and will look for itself. */
    if (house.wake >= 0 && write(house.wake, &one, sizeof one) < 0 && errno != EAGAIN)
        fxs_log(FXS_ERROR, "engine", "event=cannot-wake errno=%d", errno);
}

static void connection(int fd, const struct fxs_handover *h)
{
    struct fxe_conn *c = fd < 0 ? NULL : fxe_conn_new(fd, h);
    if (c)
        fxe_exchange_start(c);
    else
        fxs_log(FXS_WARN, "engine", "event=connection-dropped peer=\"%s\" why=\"%s\"", h->peer,
                fd < 0 ? "out of descriptors" : "out of memory");
}

static void read_link(void)
{
    static struct fxs_handover h;
    int fd, rc = 0;
    for (int i = 0; i < BATCH && (rc = fxs_handover_recv(house.link, &h, &fd)) == 1; i++) {
        if (h.kind == FXS_CONNECTION)
            connection(fd, &h);
        else if (fd >= 0)
            close(fd);
        if (h.kind == FXS_STOP) {
            house.stopping = true;
            fxe_lock();
            fxe_under_way_stop();
            fxe_unlock();
        }
    }
    if (rc < 0)
        _exit(0); /* the front is gone: nobody could be told anything */
}

/* Sessions whose lease is over.  Returns when the next one's is. */
static int64_t expire(void)
{
    struct fxe_obj *doomed = NULL;
    fxe_lock();
    int64_t next = fxe_sessions_expire(fxe_now_ms(), &doomed);
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
    return next;
}

/* One tick: looks after what the workers cannot while they compute.  Returns whether there is to be
 * another one. */
static bool tick(void)
{
    bool given_up = fxe_overdue_tick();
    fxe_lock();
    bool go_on = fxe_under_way_tick(given_up), all_compute = fxe_watch_idle() == 0;
    fxe_unlock();
    fxe_under_way_watch_long();
    if (all_compute)
        fxe_pool_look();
    return go_on;
}

static bool is_quiet(void)
{
    fxe_lock();
    bool quiet = fxe_under_way_count() == 0;
    fxe_unlock();
    return quiet;
}

static int timeout(int64_t next, bool ticking)
{
    int64_t left = next == INT64_MAX ? -1 : next - fxe_now_ms();
    if (next != INT64_MAX && left < 0)
        left = 0;
    if (ticking && (left < 0 || left > TICK_MS))
        left = TICK_MS;
    return left < INT_MAX ? (int)left : INT_MAX;
}

void fxe_house_run(int link)
{
    struct fxs_handover ready = {.kind = FXS_READY};
    uint64_t n;
    bool ticking = false;
    int64_t next_tick = 0;
    house.link = link;
    house.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (house.wake < 0) {
        fxs_log(FXS_ERROR, "engine", "event=no-eventfd errno=%d", errno);
        _exit(1);
    }
    fxe_pool_start();
    if (fxs_handover_send(link, &ready, -1) != 0)
        _exit(0);
    while (!house.stopping || !is_quiet()) {
        struct pollfd p[2] = {{.fd = house.wake, .events = POLLIN}, {.fd = link, .events = POLLIN}};
        poll(p, 2, timeout(expire(), ticking || house.stopping));
        if (p[0].revents && read(house.wake, &n, sizeof n) == sizeof n)
            ticking = true;
        if (p[1].revents)
            read_link();
        int64_t now = fxe_now_ms();
        if (ticking && now >= next_tick) {
            ticking = tick();
            next_tick = now + TICK_MS;
        }
    }
}
