/* SPDX-License-Identifier: Apache-2.0 */
#include "server/front/front.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "server/front/secure.h"
#include "server/front/state.h"
#include "server/log.h"

enum {
    STOP_PATIENCE_MS = 10000,  /* time for engines to finish their requests */
    STORE_PATIENCE_MS = 60000, /* if they also write what they keep */
    EVENTS = 64
};

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void stop(struct fxs_front *f, int signal)
{
    fxs_log(FXS_INFO, "front", "event=stopping signal=%d", signal);
    f->stopping = true;
    f->give_up = f->now + (f->options->data_dir ? STORE_PATIENCE_MS : STOP_PATIENCE_MS);
    fxs_engines_stop(f);
}

static void on_signal(void *ctx, struct fxs_event *s, uint32_t events)
{
    struct fxs_front *f = ctx;
    struct signalfd_siginfo info;
    (void)events;
    while (read(s->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            fxs_engines_reap(f);
        } else if (!f->stopping) {
            stop(f, (int)info.ssi_signo);
        } else {
            fxs_log(FXS_WARN, "front", "event=stopped-at-once signal=%u", info.ssi_signo);
            fxs_engines_kill(&f->engines);
            fxs_listen_end(f);
            _exit(128 + (int)info.ssi_signo);
        }
    }
}

/* Does what is due now.  Returns how long epoll_wait may wait, in milliseconds; -1: any time. */
static int timers(struct fxs_front *f)
{
    int64_t next = fxs_guests_expire(f);
    if (f->resume && f->now >= f->resume)
        fxs_listen_resume(f);
    if (f->resume && f->resume < next)
        next = f->resume;
    if (fxs_engines_running(&f->engines)) {
        if (f->now >= f->budget)
            fxs_budget_divide(f);
        if (f->budget < next)
            next = f->budget;
    }
    if (f->stopping) {
        if (f->now >= f->give_up) {
            fxs_log(FXS_WARN, "front", "event=killing-engines why=\"they did not stop in time\"");
            fxs_engines_kill(&f->engines);
            f->give_up = f->now + STOP_PATIENCE_MS;
        }
        if (f->give_up < next)
            next = f->give_up;
    }
    if (next == INT64_MAX)
        return -1;
    next -= f->now;
    return next <= 0 ? 0 : next < INT_MAX ? (int)next : INT_MAX;
}

static void loop(struct fxs_front *f)
{
    struct epoll_event events[EVENTS];
    while (!f->stopping || fxs_engines_running(&f->engines)) {
        int n = epoll_wait(f->epoll, events, EVENTS, timers(f));
        f->now = clock_ms();
        fxs_events_handle(f, events, n);
        fxs_guests_bury(f);
    }
}

static int set_up(struct fxs_front *f)
{
    sigset_t mask;
    struct sigaction hangup;
    struct rlimit files;
    /* Each guest needs a descriptor; no tenant gets more than a quarter of them. */
    f->most_waiting = FXS_GUESTS_WAITING;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        if (files.rlim_cur / 4 < (rlim_t)f->most_waiting)
            f->most_waiting = (int)(files.rlim_cur / 4);
    }
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    /* The end of a terminal or a login stops the server like SIGTERM, unless nohup was used. */
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGCHLD, SIG_DFL); /* if it is ignored, children cannot be waited for */
    signal(SIGPIPE, SIG_IGN);
    f->signals = (struct fxs_event){signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK), on_signal};
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (f->signals.fd < 0 || f->epoll < 0 ||
        fxs_watch(f, &f->signals, EPOLL_CTL_ADD, EPOLLIN) != 0) {
        fxs_log(FXS_ERROR, "front", "event=cannot-start why=\"%s\"", strerror(errno));
        return -1;
    }
    return 0;
}

static void tear_down(struct fxs_front *f)
{
    fxs_listen_end(f);
    struct fxs_guest *g;
    while ((g = f->guests.oldest) || (g = f->guests.waiting))
        fxs_guest_close(f, g, "the server has stopped");
    fxs_guests_bury(f);
    fxs_engines_free(&f->engines);
    fxs_auth_free(f->auth);
    fxs_secure_free(f->secure);
    if (f->epoll >= 0)
        close(f->epoll);
    if (f->signals.fd >= 0)
        close(f->signals.fd);
    if (f->data_lock >= 0)
        close(f->data_lock);
}

int fxs_front_run(const struct fxs_options *options)
{
    struct fxs_front f = {.options = options, .epoll = -1, .data_lock = -1, .signals.fd = -1};
    char why[512];
    int status = 1;
    if (options->auth_keys || options->auth_file || options->curve_secret_file)
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* no key in a file */
    if (fxs_auth_load(&f.auth, options, why, sizeof why) != 0 ||
        fxs_secure_load(&f.secure, options, why, sizeof why) != 0) {
        fprintf(stderr, "faissx-server: %s\n", why);
        fxs_auth_free(f.auth);
        return 1;
    }
    /* Engines inherit the environment.  They run FAISS on files that clients have sent: keys of
     * other tenants must not be there. */
    unsetenv("FAISSX_AUTH_KEYS");
    unsetenv("FAISSX_API_KEY");
    f.now = f.started = clock_ms();
    /* For the engines, whose glibc reads this when they start: adding vectors takes a quarter less
     * time if the kernel gives huge pages on request (transparent_hugepage is "madvise"). */
    setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 0);
    if (fxs_data_dir_open(&f) == 0 && set_up(&f) == 0 && fxs_listen(&f) == 0) {
        loop(&f);
        fxs_log(FXS_INFO, "front", "event=stopped accepted=%llu refused=%llu",
                (unsigned long long)f.accepted, (unsigned long long)f.refused);
        status = 0;
    }
    tear_down(&f);
    return status;
}
