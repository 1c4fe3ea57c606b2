/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/house.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

#include "server/engine/keep/keep.h"
#include "server/engine/objects/again.h"
#include "server/engine/objects/blob.h"
#include "server/engine/objects/named.h"
#include "server/engine/objects/object.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/exchange.h"
#include "server/engine/run/overdue.h"
#include "server/engine/run/peers.h"
#include "server/engine/run/pool.h"
#include "server/engine/run/under_way.h"
#include "server/engine/run/watch.h"
#include "server/engine/training/training.h"
#include "server/event.h"
#include "server/handover.h"
#include "server/log.h"

enum {
    TICK_MS = 25,
    UNREAD_MS = 3000, /* when the engine stops: time for clients to read their replies */
    EVENTS = 4,
    BATCH = 64 /* records to read from the front before other work has its turn */
};

static struct {
    int epoll;
    struct fxs_event wake, link;
    bool stopping, ticking;
    int64_t stop_ms;
    uint32_t handed; /* connections from the front */
    int64_t busy_ms; /* when there was last a session, a request or a new connection */
    uint64_t begun;  /* requests until then */
} house = {.wake.fd = -1};

void fxe_house_wake(void)
{
    static const uint64_t one = 1;
    /* -1: the housekeeper does not run yet, and looks at everything when it starts. */
    if (house.wake.fd >= 0 && write(house.wake.fd, &one, sizeof one) < 0 && errno != EAGAIN)
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

static void on_wake(void *ctx, struct fxs_event *s, uint32_t events)
{
    uint64_t n;
    (void)ctx;
    (void)events;
    if (read(s->fd, &n, sizeof n) == sizeof n)
        house.ticking = true;
}

static void refuse_more(void)
{
    fxe_lock();
    fxe_under_way_stop();
    fxe_unlock();
}

static void on_link(void *ctx, struct fxs_event *s, uint32_t events)
{
    static struct fxs_handover h;
    int fd, rc = 0;
    (void)ctx;
    (void)events;
    for (int i = 0; i < BATCH && (rc = fxs_handover_recv(s->fd, &h, &fd)) == 1; i++) {
        if (h.kind == FXS_CONNECTION) {
            house.handed++;
            house.busy_ms = fxe_now_ms();
            connection(fd, &h);
            explicit_bzero(&h.keys, sizeof h.keys);
        } else if (fd >= 0) {
            close(fd);
        }
        if (h.kind == FXS_STOP || h.kind == FXS_END) {
            house.stopping = true;
            house.stop_ms = fxe_now_ms();
        }
        if (h.kind == FXS_STOP)
            refuse_more();
    }
    if (rc < 0)
        _exit(0); /* the front is gone, and no client can connect any more */
}

/* Objects of ended sessions.  FAISS may take long to free them, or they are tried first, so a
 * thread does it that lives as long as there are any. */
static struct {
    pthread_mutex_t lock;
    struct fxe_obj *list;
    bool runs;
} doomed_objects = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *destroy_doomed(void *arg)
{
    if (fxe_engine.omp_set_num_threads)
        fxe_engine.omp_set_num_threads(1);
    pthread_mutex_lock(&doomed_objects.lock);
    while (doomed_objects.list) {
        struct fxe_obj *some = doomed_objects.list;
        doomed_objects.list = NULL;
        pthread_mutex_unlock(&doomed_objects.lock);
        fxe_obj_destroy_list(some);
        pthread_mutex_lock(&doomed_objects.lock);
    }
    doomed_objects.runs = false;
    pthread_mutex_unlock(&doomed_objects.lock);
    return arg;
}

static void destroy_later(struct fxe_obj *doomed)
{
    pthread_t t;
    pthread_mutex_lock(&doomed_objects.lock);
    bool runs = doomed_objects.runs;
    DL_CONCAT2(doomed_objects.list, doomed, prev_doomed, next_doomed);
    doomed_objects.runs = true;
    pthread_mutex_unlock(&doomed_objects.lock);
    if (runs)
        return;
    if (pthread_create(&t, NULL, destroy_doomed, NULL) == 0)
        pthread_detach(t);
    else
        destroy_doomed(NULL);
}

/* Ends the sessions whose lease is over, and frees what ended ones had.  Returns when the next
 * lease ends, or INT64_MAX. */
static int64_t expire(void)
{
    struct fxe_obj *doomed = NULL;
    fxe_lock();
    int64_t next = fxe_sessions_expire(fxe_now_ms(), &doomed);
    fxe_unlock();
    if (doomed)
        destroy_later(doomed);
    fxe_blobs_free_left();
    int64_t used = fxe_again_expire(fxe_now_ms());
    return used < next ? used : next;
}

/* One tick: does what the workers cannot do while they compute.  Returns whether another tick is
 * needed. */
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

/* An engine that ends because it is idle answers requests until nothing is under way. */
static bool is_done(void)
{
    if (!house.stopping || !is_quiet())
        return false;
    refuse_more();
    return is_quiet();
}

/* Tells the front when the engine has held nothing for --idle that would be lost with it.  Returns
 * when to look again, or INT64_MAX. */
static int64_t offer_end(int link, int64_t now)
{
    int64_t idle = (int64_t)fxe_engine.options.idle * 1000;
    struct fxs_handover offer = {.kind = FXS_IDLE, .key = house.handed};
    if (!idle || house.stopping)
        return INT64_MAX;
    fxe_lock();
    if (fxe_sessions_count() || fxe_under_way_count() || fxe_trainer_works() ||
        fxe_under_way_begun() != house.begun || (fxe_named_count() && !fxe_keep_store()))
        house.busy_ms = now;
    house.begun = fxe_under_way_begun();
    fxe_unlock();
    if (now - house.busy_ms >= idle) {
        house.busy_ms = now;
        fxs_handover_send(link, &offer, -1);
    }
    return house.busy_ms + idle;
}

/* Returns how long epoll_wait may wait, in milliseconds; -1: any time. */
static int timeout(int64_t next, bool ticking)
{
    int64_t left = next == INT64_MAX ? -1 : next - fxe_now_ms();
    if (next != INT64_MAX && left < 0)
        left = 0;
    if (ticking && (left < 0 || left > TICK_MS))
        left = TICK_MS;
    return left < INT_MAX ? (int)left : INT_MAX;
}

static int add_source(struct fxs_event *s)
{
    return s->fd < 0 ? -1 : fxs_event_watch(house.epoll, s, EPOLL_CTL_ADD, EPOLLIN);
}

static void set_up(int link)
{
    house.epoll = epoll_create1(EPOLL_CLOEXEC);
    house.link = (struct fxs_event){link, on_link};
    house.wake = (struct fxs_event){eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), on_wake};
    if (house.epoll < 0 || add_source(&house.wake) != 0 || add_source(&house.link) != 0) {
        fxs_log(FXS_ERROR, "engine", "event=no-epoll errno=%d", errno);
        _exit(1);
    }
}

void fxe_house_run(int link)
{
    struct fxs_handover ready = {.kind = FXS_READY};
    int64_t next_tick = 0;
    house.busy_ms = fxe_now_ms();
    set_up(link);
    fxe_pool_start();
    if (fxs_handover_send(link, &ready, -1) != 0)
        _exit(0);
    while (!is_done()) {
        struct epoll_event events[EVENTS];
        int64_t next = expire(), end = offer_end(link, fxe_now_ms()),
                peers = fxe_peers_check(fxe_now_ms());
        if (peers < next)
            next = peers;
        int n = epoll_wait(house.epoll, events, EVENTS,
                           timeout(next < end ? next : end, house.ticking || house.stopping));
        fxs_events_handle(NULL, events, n);
        int64_t now = fxe_now_ms();
        if (house.stopping && now - house.stop_ms > UNREAD_MS)
            fxe_under_way_drop_unread(); /* what is kept has to be written */
        if (house.ticking && now >= next_tick) {
            house.ticking = tick();
            next_tick = now + TICK_MS;
        }
    }
}
