/* SPDX-License-Identifier: Apache-2.0 */
#include "engines.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

enum {
    LINK_FD = 3,
    YOUNG = 1000, /* an engine that ends before, without an answer, could not start */
    BACK_OFF = 1000
};

extern char **environ;

void fxs_engines_init(struct fxs_engines *t, const struct fxs_options *options, int epoll)
{
    *t = (struct fxs_engines){.options = options, .epoll = epoll};
}

void fxs_engines_free(struct fxs_engines *t)
{
    struct fxs_engine *e, *next;
    HASH_ITER(hh, t->by_tenant, e, next)
    {
        if (e->state == FXS_RUNNING)
            fxs_link_close(&e->link);
        HASH_DELETE(hh, t->by_tenant, e);
        free(e);
    }
}

struct fxs_engine *fxs_engine_of(struct fxs_engines *t, const char *tenant)
{
    struct fxs_engine *e;
    HASH_FIND_STR(t->by_tenant, tenant, e);
    if (e || !(e = calloc(1, sizeof(*e))))
        return e;
    snprintf(e->tenant, sizeof(e->tenant), "%s", tenant);
    e->link.fd = -1;
    HASH_ADD_STR(t->by_tenant, tenant, e);
    return e;
}

/* Run this very program as an engine, with `fd` as its descriptor 3. */
static int spawn(struct fxs_engines *t, const char *tenant, const char *previous, int fd,
                 pid_t *pid)
{
    char link[16], threads[16], lease[16], memory[24];
    const char *argv[] = {"faissx-server",
                          "engine",
                          "--link",
                          link,
                          "--tenant",
                          tenant,
                          "--threads",
                          threads,
                          "--memory",
                          memory,
                          "--coalesce",
                          t->options->coalesce,
                          "--lease",
                          lease,
                          "--log-level",
                          fxs_log_level_name(t->options->level),
                          "--previous",
                          previous,
                          t->options->library[0] ? "--library" : NULL,
                          t->options->library,
                          NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t mask, defaults;

    snprintf(link, sizeof(link), "%d", LINK_FD);
    snprintf(threads, sizeof(threads), "%d", t->options->threads);
    snprintf(memory, sizeof(memory), "%ld", t->options->memory);
    snprintf(lease, sizeof(lease), "%d", (int)((t->options->lease + 999) / 1000));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fd, LINK_FD);
    posix_spawnattr_init(&attr);
    /* SIGINT of a terminal and SIGTERM of a service manager go to all processes.  An
     * engine must not die of them before it has finished what is in flight: they stay
     * blocked until main() of the engine ignores them. */
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGCHLD);
    posix_spawnattr_setsigmask(&attr, &mask);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn(pid, "/proc/self/exe", &actions, &attr, (char **)argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int start(struct fxs_engines *t, struct fxs_engine *e, int64_t now, char *why, size_t len)
{
    int ends[2], error;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        error = errno;
        goto fail;
    }
    if (fxs_link_init(&e->link, ends[0]) != 0) {
        close(ends[0]);
        close(ends[1]);
        error = ENOMEM;
        goto fail;
    }
    error = spawn(t, e->tenant, e->death, ends[1], &e->pid);
    close(ends[1]);
    if (error) {
        fxs_link_close(&e->link);
        goto fail;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = e};
    if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, e->link.fd, &event) != 0)
        abort(); /* only for a lack of memory or a bug */
    e->state = FXS_RUNNING;
    e->polled = e->later = e->answered = false;
    e->started = now;
    fxs_log(FXS_INFO, "engines", "started tenant=%s pid=%d", e->tenant, (int)e->pid);
    return 0;
fail:
    e->not_yet = now + BACK_OFF;
    snprintf(e->death, sizeof(e->death), "%s", strerror(error));
    snprintf(why, len, "the engine of tenant '%s' cannot be started: %s", e->tenant, e->death);
    fxs_log(FXS_ERROR, "engines", "cannot start tenant=%s error=\"%s\"", e->tenant, e->death);
    return -1;
}

int fxs_engine_need(struct fxs_engines *t, struct fxs_engine *e, int64_t now, char *why, size_t len)
{
    switch (e->state) {
    case FXS_RUNNING:
        return 0;
    case FXS_DYING:
        snprintf(why, len, "the engine of tenant '%s' has just died; its objects are gone",
                 e->tenant);
        return -1;
    case FXS_DOWN:
        break;
    }
    if (now >= e->not_yet)
        return start(t, e, now, why, len);
    snprintf(why, len,
             "the engine of tenant '%s' cannot start (%s; the server's log says more); the next "
             "attempt is possible in %d ms",
             e->tenant, e->death, (int)(e->not_yet - now));
    return -1;
}

/* After an attempt to send: ask for POLLOUT only while something waits for it. */
static void sent(struct fxs_engines *t, struct fxs_engine *e, int rc)
{
    bool poll = rc == FXS_SENT_POLL;
    e->later = rc == FXS_SENT_LATER;
    if (rc < 0 && errno != EPIPE && errno != ECONNRESET)
        fxs_log(FXS_ERROR, "engines", "cannot send tenant=%s error=\"%s\"", e->tenant,
                strerror(errno));
    if (poll == e->polled)
        return;
    struct epoll_event event = {.events = EPOLLIN | (poll ? EPOLLOUT : 0), .data.ptr = e};
    epoll_ctl(t->epoll, EPOLL_CTL_MOD, e->link.fd, &event);
    e->polled = poll;
}

void fxs_engine_send(struct fxs_engines *t, struct fxs_engine *e, struct fx_link_head *head,
                     zmq_msg_t *frames)
{
    sent(t, e, fxs_link_send(&e->link, head, frames));
}

void fxs_engine_flush(struct fxs_engines *t, struct fxs_engine *e)
{
    sent(t, e, fxs_link_flush(&e->link));
}

static void close_link(struct fxs_engines *t, struct fxs_engine *e)
{
    epoll_ctl(t->epoll, EPOLL_CTL_DEL, e->link.fd, NULL);
    fxs_link_close(&e->link);
    e->polled = e->later = false;
}

void fxs_engine_cut(struct fxs_engines *t, struct fxs_engine *e, const char *why)
{
    if (e->state != FXS_RUNNING)
        return;
    fxs_log(FXS_DEBUG, "engines", "link closed tenant=%s pid=%d reason=\"%s\"", e->tenant,
            (int)e->pid, why);
    close_link(t, e);
    e->state = FXS_DYING;
    /* One that is ending anyway keeps its own exit status. */
    kill(e->pid, SIGKILL);
}

static void describe(struct fxs_engine *e, int status)
{
    if (WIFSIGNALED(status))
        snprintf(e->death, sizeof(e->death), "signal %d, %s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(e->death, sizeof(e->death), "exit status %d", WEXITSTATUS(status));
}

void fxs_engines_reap(struct fxs_engines *t, int64_t now,
                      void (*died)(void *ctx, struct fxs_engine *e), void *ctx)
{
    struct fxs_engine *e, *next;
    int status;
    HASH_ITER(hh, t->by_tenant, e, next)
    {
        if (e->state == FXS_DOWN || waitpid(e->pid, &status, WNOHANG) != e->pid)
            continue;
        describe(e, status);
        bool failed = WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
        fxs_log(failed ? FXS_ERROR : FXS_INFO, "engines", "ended tenant=%s pid=%d how=\"%s\"",
                e->tenant, (int)e->pid, e->death);
        died(ctx, e);
        if (e->state == FXS_RUNNING)
            close_link(t, e);
        e->state = FXS_DOWN;
        e->pid = 0;
        /* A new one would most likely end the same way: not too often. */
        if (!e->answered && now - e->started < YOUNG)
            e->not_yet = now + BACK_OFF;
    }
}

size_t fxs_engines_running(const struct fxs_engines *t)
{
    size_t n = 0;
    for (struct fxs_engine *e = t->by_tenant; e; e = e->hh.next)
        n += e->state != FXS_DOWN;
    return n;
}

void fxs_engines_kill(struct fxs_engines *t)
{
    for (struct fxs_engine *e = t->by_tenant; e; e = e->hh.next)
        if (e->state != FXS_DOWN)
            kill(e->pid, SIGKILL);
}
