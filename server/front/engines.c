/* SPDX-License-Identifier: Apache-2.0 */
#include "server/front/engines.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

#include "server/front/state.h"
#include "server/log.h"

enum { LINK_FD = 3, BACK_OFF_MS = 1000, BATCH = 64 };

extern char **environ;

struct fxs_engine *fxs_engine_of(struct fxs_engines *t, const char *tenant)
{
    struct fxs_engine *e;
    HASH_FIND_STR(t->by_tenant, tenant, e);
    if (e || !(e = calloc(1, sizeof *e)))
        return e;
    snprintf(e->tenant, sizeof e->tenant, "%s", tenant);
    e->link.fd = -1;
    HASH_ADD_STR(t->by_tenant, tenant, e);
    return e;
}

void fxs_engines_free(struct fxs_engines *t)
{
    struct fxs_engine *e, *next;
    HASH_ITER(hh, t->by_tenant, e, next)
    {
        if (e->link.fd >= 0)
            close(e->link.fd);
        HASH_DELETE(hh, t->by_tenant, e);
        free(e);
    }
}

/* --- start --- */

/* Runs this program as an engine, with `fd` as its descriptor LINK_FD.  Returns 0 or an errno. */
static int spawn(struct fxs_front *f, struct fxs_engine *e, int fd)
{
    struct fxs_options options = *f->options;
    struct fxs_arguments arguments;
    char dir[PATH_MAX];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t mask, defaults;

    options.link = LINK_FD;
    options.tenant = e->tenant;
    options.near = f->near;
    options.previous = e->death;
    options.store_dir = dir;
    if (fxs_data_dir_of(f, e->tenant, dir, sizeof dir) != 0)
        return errno;
    fxs_options_argv(&options, &arguments);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fd, LINK_FD);
    posix_spawnattr_init(&attr);
    /* A terminal sends SIGINT or SIGHUP, and a service manager SIGTERM, to all processes.  An
     * engine must not die of them before it has finished its requests, so they stay blocked until
     * main() of the engine ignores them. */
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGTERM);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGCHLD);
    posix_spawnattr_setsigmask(&attr, &mask);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    /* A process session of its own: if the kernel schedules by session (autogroup), each tenant
     * gets its share of the processor, however many threads another tenant keeps busy. */
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    int rc =
        posix_spawn(&e->pid, "/proc/self/exe", &actions, &attr, (char **)arguments.argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static void on_link(void *ctx, struct fxs_event *s, uint32_t events);

static int start_engine(struct fxs_front *f, struct fxs_engine *e, char *why, size_t len)
{
    int ends[2], error;
    if (fxs_handover_pair(ends) != 0) {
        error = errno;
        goto fail;
    }
    error = spawn(f, e, ends[1]);
    close(ends[1]);
    if (error) {
        close(ends[0]);
        goto fail;
    }
    e->link = (struct fxs_event){ends[0], on_link};
    e->state = FXS_STARTING;
    e->full = e->was_ready = false;
    e->handed = 0;
    e->started = f->now;
    e->used = 0;
    if (fxs_watch(f, &e->link, EPOLL_CTL_ADD, EPOLLIN) != 0)
        abort(); /* out of memory, or a bug */
    fxs_log(FXS_INFO, "front", "event=engine-started tenant=%s pid=%d", e->tenant, (int)e->pid);
    return 0;
fail:
    e->not_yet = f->now + BACK_OFF_MS;
    snprintf(e->death, sizeof e->death, "%s", strerror(error));
    snprintf(why, len, "the engine of tenant '%s' cannot be started: %s", e->tenant, e->death);
    fxs_log(FXS_ERROR, "front", "event=cannot-start-engine tenant=%s why=\"%s\"", e->tenant,
            e->death);
    return -1;
}

int fxs_engine_need(struct fxs_front *f, struct fxs_engine *e, char *why, size_t len)
{
    if (e->state != FXS_DOWN) /* ended() restarts a dying engine that guests wait for */
        return 0;
    if (f->now >= e->not_yet)
        return start_engine(f, e, why, len);
    snprintf(why, len,
             "the engine of tenant '%s' cannot start (%s; the server's log says more); the next "
             "attempt is possible in %d ms",
             e->tenant, e->death, (int)(e->not_yet - f->now));
    return -1;
}

/* --- handing over --- */

void fxs_engine_forget(struct fxs_engine *e, struct fxs_guest *g)
{
    DL_DELETE2(e->waiting, g, prev_waiting, next_waiting);
    e->nwaiting--;
    g->engine = NULL;
}

static void hand_over_waiting(struct fxs_front *f, struct fxs_engine *e)
{
    struct fxs_guest *g;
    bool full = false;
    while (e->state == FXS_RUNNING && !full && (g = e->waiting)) {
        if (fxs_handover_send(e->link.fd, &g->record, g->source.fd) == 0) {
            e->handed++;
            fxs_guest_left(f, g);
        } else if (errno == EAGAIN)
            full = true;
        else
            return; /* the engine has died: epoll reports the end of the link soon */
    }
    if (full != e->full && e->link.fd >= 0) {
        fxs_watch(f, &e->link, EPOLL_CTL_MOD, EPOLLIN | (full ? EPOLLOUT : 0));
        e->full = full;
    }
}

void fxs_engine_take(struct fxs_front *f, struct fxs_engine *e, struct fxs_guest *g)
{
    g->engine = e;
    DL_APPEND2(e->waiting, g, prev_waiting, next_waiting);
    e->nwaiting++;
    hand_over_waiting(f, e);
}

static void refuse_waiting(struct fxs_front *f, struct fxs_engine *e, const char *kind,
                           const char *why)
{
    while (e->waiting)
        fxs_guest_refuse(f, e->waiting, kind, why);
}

/* --- end --- */

static void close_link(struct fxs_front *f, struct fxs_engine *e)
{
    if (e->link.fd < 0)
        return;
    fxs_watch(f, &e->link, EPOLL_CTL_DEL, 0);
    close(e->link.fd);
    e->link.fd = -1;
}

/* From now on connections wait for the engine that is started when this one has ended. */
static void let_end(struct fxs_engine *e)
{
    struct fxs_handover end = {.kind = FXS_END};
    if (fxs_handover_send(e->link.fd, &end, -1) == 0)
        e->state = FXS_DYING;
}

static void on_link(void *ctx, struct fxs_event *s, uint32_t events)
{
    struct fxs_front *f = ctx;
    struct fxs_engine *e = (struct fxs_engine *)s;
    static struct fxs_handover h; /* the front has one thread */
    int fd, rc = 0;
    if (e->link.fd < 0)
        return; /* an earlier event of this round has closed it */
    for (int i = 0; i < BATCH && (rc = fxs_handover_recv(s->fd, &h, &fd)) == 1; i++) {
        if (fd >= 0)
            close(fd);
        if (h.kind == FXS_READY && e->state == FXS_STARTING)
            e->state = FXS_RUNNING;
        e->was_ready |= h.kind == FXS_READY;
        if (h.kind == FXS_IDLE && e->state == FXS_RUNNING && h.key == e->handed)
            let_end(e);
    }
    if (rc < 0 || events & (EPOLLHUP | EPOLLERR)) {
        close_link(f, e);
        e->state = FXS_DYING;
        if (e->pid) /* else it has been reaped: the number may be another process's by now */
            kill(e->pid, SIGKILL); /* if it has exited already, it keeps its own exit status */
        return;
    }
    hand_over_waiting(f, e);
}

static void describe(struct fxs_engine *e, int status)
{
    if (WIFSIGNALED(status))
        snprintf(e->death, sizeof e->death, "signal %d, %s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(e->death, sizeof e->death, "exit status %d", WEXITSTATUS(status));
}

static void ended(struct fxs_front *f, struct fxs_engine *e, pid_t pid, int status)
{
    char why[512];
    bool failed = WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
    describe(e, status);
    fxs_log(failed ? FXS_ERROR : FXS_INFO, "front",
            "event=engine-ended tenant=%s pid=%d how=\"%s\"", e->tenant, (int)pid, e->death);
    close_link(f, e);
    e->state = FXS_DOWN;
    if (!e->was_ready) { /* a new engine would most likely end the same way */
        e->not_yet = f->now + BACK_OFF_MS;
        snprintf(why, sizeof why,
                 "the engine of tenant '%s' cannot start (%s; the server's log says more)",
                 e->tenant, e->death);
        refuse_waiting(f, e, "engine", why);
    } else if (e->waiting && f->stopping) {
        refuse_waiting(f, e, "shutdown", "the server is stopping");
    } else if (e->waiting && start_engine(f, e, why, sizeof why) != 0) {
        refuse_waiting(f, e, "engine", why);
    }
}

void fxs_engines_reap(struct fxs_front *f)
{
    struct fxs_engine *e, *next;
    int status;
    HASH_ITER(hh, f->engines.by_tenant, e, next)
    {
        pid_t pid = e->pid;
        if (e->state == FXS_DOWN || waitpid(pid, &status, WNOHANG) != pid)
            continue;
        e->pid = 0;
        if (e->link.fd >= 0)
            on_link(f, &e->link, 0); /* a FXS_READY from before its end may still be unread */
        ended(f, e, pid, status);
    }
}

void fxs_engines_stop(struct fxs_front *f)
{
    struct fxs_handover stop = {.kind = FXS_STOP};
    for (struct fxs_engine *e = f->engines.by_tenant; e; e = e->hh.next) {
        refuse_waiting(f, e, "shutdown", "the server is stopping");
        /* If the link is full the engine does not learn of this, and is killed after
         * STOP_PATIENCE_MS. */
        if (e->link.fd >= 0)
            fxs_handover_send(e->link.fd, &stop, -1);
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
