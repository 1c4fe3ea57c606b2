/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots in the background: when they are due, a child process writes, which is a copy of the
 * engine as it was when it was forked.  An index is locked, for reading, only while the kernel
 * makes that copy, so neither searches nor changes wait for the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/engine/keep/keep.h"
#include "server/engine/keep/unnamed.h"
#include "server/engine/keep/written.h"
#include "server/log.h"

enum {
    LOG_MIN = 64 << 20, /* bytes: a shorter log needs no snapshot, */
    LOG_FACTOR = 2,     /* nor one that is less than so many times the last snapshot, */
    BUSY_MS = 10000,    /* unless running it again takes so long; */
    WORTH = 8,          /* after --snapshot-interval, a log of this part of the last one does; */
    CHEAP_BYTES = 16 << 20, /* at the end: a log that is shorter */
    CHEAP_MS = 200,         /* and sooner run again than this is left */
    HOLD_SECONDS = 10,      /* to wait for an index that a call changes */
    PAUSE_MS = 30000,       /* after a snapshot that failed */
    RETRY_MS = 2000,        /* the first time, if somebody has asked for it */
    CHILD_NICE = 10
};

static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER; /* engine.lock */

static struct {
    bool running, ending;
    bool all;    /* every index that has changed is due, however little, until none is left */
    pid_t child; /* that writes a snapshot, or 0 */
    pthread_cond_t ended;
} thread = {.ended = PTHREAD_COND_INITIALIZER}; /* engine.lock */

/* --- in a child --- */

struct outcome {
    int failed;
    struct fxs_snapshot_sum sum;
    char why[FXS_STORE_WHY];
};

/* The child must not keep clients' connections open. */
static void close_sockets(void)
{
    struct rlimit limit;
    struct stat st;
    int end = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (int)limit.rlim_cur : 1024;
    for (int fd = 3, misses = 0; fd < end && misses < 4096; fd++) {
        misses = fstat(fd, &st) == 0 ? 0 : misses + 1;
        if (misses == 0 && S_ISSOCK(st.st_mode))
            close(fd);
    }
}

_Noreturn static void child(const struct fxe_obj *o, struct fxs_snapshot *w, int out)
{
    struct outcome end = {.failed = 1};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fxs_store_forked(fxe_keep_store());
    setpriority(PRIO_PROCESS, 0, CHILD_NICE);
    close_sockets();
    if (fxe_written_bytes(o, w, end.why) == 0)
        end.failed = fxs_snapshot_end(w, &end.sum, end.why) != FXS_STORE_OK;
    _exit(write(out, &end, sizeof end) == sizeof end ? 0 : 1);
}

/* Reads what the child has to say; it may die instead. */
static void await(pid_t pid, int in, struct outcome *end)
{
    int status;
    *end = (struct outcome){.failed = 1};
    ssize_t n = read(in, end, sizeof *end); /* less than PIPE_BUF: written at once */
    fxe_lock();
    thread.child = 0; /* before its number may be given to another process */
    fxe_unlock();
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (n != sizeof *end) {
        end->failed = 1;
        snprintf(end->why, sizeof end->why, "the process that wrote it ended with status 0x%x",
                 (unsigned)status);
    }
}

/* Forks a child that writes the index, with the lock of the index only as long as that takes. */
static pid_t start_child(struct fxe_kept *k, struct fxs_snapshot *w, int out, struct fxe_moment *m,
                         char *why)
{
    struct fxe_req *hold = fxe_hold(k, HOLD_SECONDS);
    pid_t pid = -1;
    if (!hold) {
        fxe_lock();
        if (!k->gone && !thread.ending)
            snprintf(why, FXS_STORE_WHY, "other calls had the index for %d seconds", HOLD_SECONDS);
        fxe_unlock();
        return -1;
    }
    fxe_lock();
    bool absent = k->gone || !k->obj->ptr || k->replacing;
    if (!absent)
        fxe_moment_take(k, k->obj, m);
    fxe_unlock();
    if (!absent && (pid = fork()) == 0)
        child(k->obj, w, out);
    if (!absent && pid < 0)
        snprintf(why, FXS_STORE_WHY, "cannot start a process: %s", strerror(errno));
    fxe_lock();
    thread.child = pid > 0 && !thread.ending ? pid : 0;
    if (pid > 0 && thread.ending)
        kill(pid, SIGKILL);
    fxe_unlock();
    fxe_hold_end(hold);
    return pid;
}

static void snapshot_in_child(struct fxe_kept *k)
{
    struct fxe_written s = {.k = k};
    struct outcome end = {.failed = 1};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        fxs_log(FXS_WARN, "engine", "event=no-snapshot entry=%llu why=\"no pipe: %s\"",
                (unsigned long long)k->entry, strerror(errno));
        return;
    }
    if (fxs_snapshot_begin(fxe_keep_store(), &s.w, end.why) == FXS_STORE_OK) {
        pid_t pid = start_child(k, &s.w, ends[1], &s.m, end.why);
        close(ends[1]);
        ends[1] = -1;
        if (pid > 0)
            await(pid, ends[0], &end);
        s.sum = end.sum;
        if (pid > 0 && !end.failed)
            end.failed = fxe_written_try_commit(&s, end.why) != 0;
        else
            fxe_written_drop(&s);
    }
    close(ends[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    if (end.failed && *end.why)
        fxs_log(FXS_WARN, "engine", "event=no-snapshot entry=%llu why=\"%s\"",
                (unsigned long long)k->entry, end.why);
    else if (!end.failed)
        fxs_log(FXS_INFO, "engine", "event=snapshot entry=%llu bytes=%llu ms=%lld",
                (unsigned long long)k->entry, (unsigned long long)end.sum.bytes,
                (long long)(fxe_now_ms() - s.m.begun_ms));
}

/* --- the thread --- */

static bool is_due(const struct fxe_kept *k, int64_t now)
{
    uint64_t most = k->snapshot_bytes * LOG_FACTOR;
    int64_t interval = (int64_t)fxe_engine.options.snapshot_interval * 1000;
    if (!k->log_bytes || k->gone || !k->obj->ptr || now < k->not_before_ms)
        return false;
    if (thread.all)
        return true;
    if (interval && now - k->snapshot_ms >= interval &&
        (fxe_engine.options.durability.mode == FXS_SNAPSHOT ||
         k->log_bytes * WORTH >= k->snapshot_bytes))
        return true;
    return k->log_bytes >= (most > LOG_MIN ? most : LOG_MIN) || k->busy_ms >= BUSY_MS;
}

void fxe_snapshot_later(struct fxe_kept *k)
{
    fxe_lock();
    k->unlogged++;
    k->log_bytes++;        /* it has changed, */
    k->busy_ms += BUSY_MS; /* so that no little log can stand for it */
    k->not_before_ms = fxe_now_ms() + RETRY_MS;
    fxe_unlock();
}

void fxe_snapshot_if_due(struct fxe_kept *k)
{
    if (is_due(k, fxe_now_ms()))
        pthread_cond_signal(&wanted);
}

void fxe_snapshots_wake(void)
{
    pthread_cond_signal(&wanted);
}

bool fxe_keep_is_saved(void)
{
    if (fxe_engine.options.durability.mode != FXS_SNAPSHOT)
        return !fxs_store_has_unwritten(fxe_keep_store());
    const struct fxe_kept *k = fxe_keep_first();
    /* One that is not in memory is as it is on disk: its records are of a run that had them. */
    while (k && (!k->log_bytes || !k->obj->ptr))
        k = k->next;
    if (k) {
        thread.all = true;
        pthread_cond_signal(&wanted);
    }
    return !k;
}

static struct fxe_kept *next_due(void)
{
    int64_t now = fxe_now_ms();
    struct fxe_kept *k = fxe_keep_first();
    while (k && !is_due(k, now))
        k = k->next;
    return k;
}

static void *run(void *arg)
{
    (void)arg;
    fxe_lock();
    while (!thread.ending) {
        fxe_unlock();
        bool removed = fxe_unnamed_remove_one();
        fxe_lock();
        if (removed)
            continue;
        struct fxe_kept *k = next_due();
        if (!k) {
            thread.all = false;
            struct timespec t;
            clock_gettime(CLOCK_REALTIME, &t);
            t.tv_sec += 1;
            pthread_cond_timedwait(&wanted, &fxe_engine.lock, &t);
            continue;
        }
        fxe_keep_use(k);
        fxe_unlock();
        snapshot_in_child(k);
        fxe_lock();
        if (is_due(k, fxe_now_ms())) /* it failed */
            k->not_before_ms = fxe_now_ms() + PAUSE_MS;
        fxe_keep_leave(k);
    }
    thread.running = false;
    pthread_cond_signal(&thread.ended);
    fxe_unlock();
    return NULL;
}

void fxe_snapshots_start(void)
{
    pthread_t t;
    int rc = pthread_create(&t, NULL, run, NULL);
    if (rc != 0) {
        fxs_log(FXS_ERROR, "engine", "event=no-thread errno=%d", rc);
        return;
    }
    pthread_detach(t);
    fxe_lock();
    thread.running = true; /* it ends only when fxe_snapshots_stop asks it to */
    fxe_unlock();
}

void fxe_snapshots_stop(void)
{
    fxe_lock();
    thread.ending = true;
    if (thread.child)
        kill(thread.child, SIGKILL);
    pthread_cond_signal(&wanted);
    while (thread.running)
        pthread_cond_wait(&thread.ended, &fxe_engine.lock);
    fxe_unlock();
}

void fxe_snapshots_at_end(void)
{
    char why[FXS_STORE_WHY];
    bool always = fxe_engine.options.durability.mode == FXS_SNAPSHOT;
    for (struct fxe_kept *k = fxe_keep_first(); k; k = k->next) {
        fxe_lock();
        /* By a call that nobody waits for.  A training that was stopped only reads. */
        bool used = k->users > (k->still ? 1 : 0) || k->obj->group->writer || k->replacing;
        fxe_unlock();
        if (used || !k->obj->ptr || !k->log_bytes ||
            (!always && k->log_bytes < CHEAP_BYTES && k->busy_ms < CHEAP_MS))
            continue;
        if (fxe_snapshot_now(k, NULL, NULL, why) != 0)
            fxs_log(FXS_WARN, "engine", "event=no-snapshot entry=%llu why=\"%s\"",
                    (unsigned long long)k->entry, why);
    }
}
