/* SPDX-License-Identifier: Apache-2.0 */
#include "front.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "front_state.h"
#include "log.h"

enum {
    STOP_PATIENCE = 10000, /* for engines to finish what is in flight */
    LINGER = 1000,         /* for libzmq to send the last replies */
    BATCH = 64             /* requests before engines are looked at again */
};

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t tick_length(const struct fxs_front *f)
{
    int64_t third = f->options->lease / 3;
    return third < 1000 ? third : 1000;
}

/* Requests until there is none.  Returns whether there may be more.
 *
 * The ROUTER's descriptor only says that libzmq has something to tell, and stays silent
 * about messages that were there before: epoll_wait must not be called after anything
 * was sent or received until a receive has found nothing. */
static bool requests(struct fxs_front *f)
{
    for (int i = 0; i < BATCH; i++)
        if (!fxs_front_request(f))
            return false;
    return true;
}

/* Replies of one engine, until there is none.  Returns false when its link is broken. */
static bool replies(struct fxs_front *f, struct fxs_engine *e, const char **why)
{
    struct fxs_link_msg m;
    int rc;
    while ((rc = fxs_link_recv(&e->link, &m)) == 1)
        fxs_front_reply(f, e, &m);
    if (rc < 0)
        *why = errno == ECONNRESET ? "end of file" : strerror(errno);
    return rc == 0;
}

static void engine_event(struct fxs_front *f, struct fxs_engine *e, uint32_t events)
{
    const char *why;
    if (e->state != FXS_RUNNING)
        return; /* an event of the same round was its end */
    if (events & EPOLLOUT)
        fxs_engine_flush(&f->engines, e);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !replies(f, e, &why))
        fxs_engine_cut(&f->engines, e, why);
}

static void engine_died(void *ctx, struct fxs_engine *e)
{
    struct fxs_front *f = ctx;
    const char *why;
    if (e->state == FXS_RUNNING)
        replies(f, e, &why); /* what it wrote before it ended */
    fxs_front_bury(f, e);
}

static void stop(struct fxs_front *f, int signal)
{
    struct fx_link_head head = {.kind = FX_LINK_STOP};
    fxs_log(FXS_INFO, "front", "stopping signal=%d pending=%u", signal, f->pendings.count);
    f->stopping = true;
    f->give_up = f->now + STOP_PATIENCE;
    for (struct fxs_engine *e = f->engines.by_tenant; e; e = e->hh.next)
        if (e->state == FXS_RUNNING)
            fxs_engine_send(&f->engines, e, &head, NULL);
}

static void signals(struct fxs_front *f)
{
    struct signalfd_siginfo info;
    while (read(f->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            fxs_engines_reap(&f->engines, f->now, engine_died, f);
        } else if (!f->stopping) {
            stop(f, (int)info.ssi_signo);
        } else {
            fxs_log(FXS_WARN, "front", "stopped at once signal=%u", info.ssi_signo);
            fxs_engines_kill(&f->engines);
            fxs_listen_cleanup(f);
            _exit(128 + (int)info.ssi_signo);
        }
    }
}

static bool probe(void *ctx, const void *route, size_t size)
{
    return fxs_front_probe(ctx, route, size);
}

static void ended(void *ctx, struct fxs_session *s)
{
    fxs_front_end_session(ctx, s);
}

static void tick(struct fxs_front *f)
{
    struct fxs_session_calls calls = {f, probe, ended};
    f->tick = f->now + tick_length(f);
    fxs_sessions_check(&f->sessions, f->now, &calls);
    for (struct fxs_engine *e = f->engines.by_tenant; e; e = e->hh.next)
        if (e->state == FXS_RUNNING && e->later)
            fxs_engine_flush(&f->engines, e);
    if (f->stopping && f->now >= f->give_up) {
        fxs_log(FXS_WARN, "front", "engines do not stop: killing them");
        fxs_engines_kill(&f->engines);
    }
}

static void loop(struct fxs_front *f)
{
    struct epoll_event events[64];
    bool more = false;
    /* Order matters: requests come last before epoll_wait, see requests(). */
    while (!f->stopping || fxs_engines_running(&f->engines)) {
        int64_t wait = more ? 0 : f->tick - f->now;
        int n = epoll_wait(f->epoll, events, 64, wait > 0 ? (int)wait : 0);
        f->now = clock_ms();
        bool signalled = false;
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &f->signals)
                signalled = true;
            else if (events[i].data.ptr != &f->router)
                engine_event(f, events[i].data.ptr, events[i].events);
        }
        if (signalled)
            signals(f);
        if (f->now >= f->tick)
            tick(f);
        more = requests(f);
    }
    requests(f); /* the last ones learn that the server stops */
}

static int set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value));
}

static int open_router(struct fxs_front *f)
{
    int64_t max = FX_FRAME_MAX + FX_HEADER_MAX;
    /* Unacknowledged data hides a dead host from keepalive; this bounds it. */
    int dead = f->options->lease > 60000 ? (int)f->options->lease : 60000;
    f->zmq = zmq_ctx_new();
    f->router = f->zmq ? zmq_socket(f->zmq, ZMQ_ROUTER) : NULL;
    if (!f->router)
        return -1;
    void *s = f->router;
    /* Heartbeats of libzmq stay off: 4.3.4 can abort in them. */
    if (set(s, ZMQ_ROUTER_MANDATORY, 1) || set(s, ZMQ_LINGER, LINGER) ||
        set(s, ZMQ_BACKLOG, 1024) || set(s, ZMQ_HANDSHAKE_IVL, 10000) || set(s, ZMQ_SNDHWM, 1000) ||
        set(s, ZMQ_RCVHWM, 100) || set(s, ZMQ_TCP_KEEPALIVE, 1) ||
        set(s, ZMQ_TCP_KEEPALIVE_IDLE, 15) || set(s, ZMQ_TCP_KEEPALIVE_INTVL, 5) ||
        set(s, ZMQ_TCP_KEEPALIVE_CNT, 4) || set(s, ZMQ_TCP_MAXRT, dead) ||
        zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &max, sizeof(max)))
        return -1;
    return 0;
}

static int watch(struct fxs_front *f, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    return epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int set_up(struct fxs_front *f)
{
    sigset_t mask;
    struct rlimit files;
    int fd;
    size_t len = sizeof(fd);
    /* Each client and each large frame is a descriptor. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    /* Before libzmq starts its threads: they inherit the mask. */
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGCHLD, SIG_DFL); /* where it is ignored, children cannot be waited for */
    signal(SIGPIPE, SIG_IGN);
    f->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (f->signals < 0 || f->epoll < 0 || watch(f, f->signals, &f->signals) != 0 ||
        open_router(f) != 0 || zmq_getsockopt(f->router, ZMQ_FD, &fd, &len) != 0 ||
        watch(f, fd, &f->router) != 0) {
        fxs_log(FXS_ERROR, "front", "cannot start: %s", zmq_strerror(errno));
        return -1;
    }
    return 0;
}

static void tear_down(struct fxs_front *f)
{
    fxs_listen_cleanup(f);
    if (f->router)
        zmq_close(f->router);
    if (f->zmq)
        zmq_ctx_term(f->zmq); /* waits LINGER for what is still to be sent */
    fxs_sessions_free(&f->sessions);
    fxs_pendings_free(&f->pendings);
    fxs_engines_free(&f->engines);
    close(f->epoll);
    close(f->signals);
}

int fxs_front_run(const struct fxs_options *options)
{
    struct fxs_front f = {.options = options, .epoll = -1, .signals = -1};
    int status = 1;
    f.now = f.started = clock_ms();
    f.tick = f.now + tick_length(&f);
    fxs_sessions_init(&f.sessions, options->lease);
    fxs_pendings_init(&f.pendings);
    if (set_up(&f) == 0 && (fxs_engines_init(&f.engines, options, f.epoll), fxs_listen(&f) == 0)) {
        loop(&f);
        fxs_log(FXS_INFO, "front", "stopped requests=%llu dropped=%llu",
                (unsigned long long)f.requests, (unsigned long long)f.dropped);
        status = 0;
    }
    tear_down(&f);
    return status;
}
