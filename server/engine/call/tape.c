/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/tape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/log.h"

/* A piece and its size fit into the pipe, which is empty when the child asks for them: the engine
 * never waits for the child to read. */
enum { PIECE = 1 << 15, SECONDS = 600 };

static const size_t LONGEST = (size_t)1 << 30; /* bytes kept; a longer load is not tried */

static int read_exactly(int fd, void *to, size_t n)
{
    for (char *at = to; n > 0;) {
        ssize_t got = read(fd, at, n);
        if (got <= 0)
            return -1;
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

static int write_exactly(int fd, const void *from, size_t n)
{
    return n == 0 || write(fd, from, n) == (ssize_t)n ? 0 : -1;
}

/* --- the child: sends the number of bytes it wants, receives their number and the bytes --- */

static size_t read_through_engine(void *ctx, void *to, size_t n)
{
    size_t got = 0;
    (void)ctx;
    while (got < n) {
        uint64_t want = n - got < PIECE ? n - got : PIECE, have;
        if (write_exactly(FXE_TRIAL_OUT, &want, sizeof want) != 0 ||
            read_exactly(FXE_TRIAL_IN, &have, sizeof have) != 0 || have > want ||
            read_exactly(FXE_TRIAL_IN, (char *)to + got, have) != 0)
            break;
        got += have;
        if (have < want)
            break;
    }
    return got;
}

struct tape_load {
    void (*load)(fxe_read_fn, void *, void *);
    void *arg;
};

static void load_in_child(void *arg)
{
    struct tape_load *l = arg;
    l->load(read_through_engine, NULL, l->arg);
}

/* --- the engine --- */

struct service {
    struct fxe_tape *tape;
    int in, out;
};

static int serve(void *ctx)
{
    struct service *s = ctx;
    struct fxe_tape *t = s->tape;
    uint64_t want = 0;
    if (read_exactly(s->in, &want, sizeof want) != 0)
        return -1;
    char *more =
        want <= PIECE && t->size + want <= LONGEST ? realloc(t->data, t->size + want) : NULL;
    if (!more)
        return -1;
    t->data = more;
    uint64_t have = t->read(t->ctx, t->data + t->size, want);
    t->size += have;
    /* Ignore errors here: fxe_trial_served notices the child's death. */
    if (write_exactly(s->out, &have, sizeof have) == 0)
        write_exactly(s->out, t->data + t->size - have, have);
    return 0;
}

enum fxe_trial fxe_tape_try(struct fxe_tape *t, void (*load)(fxe_read_fn, void *, void *),
                            void *arg, char *why, size_t len)
{
    int asks[2] = {-1, -1}, answers[2] = {-1, -1};
    struct tape_load l = {load, arg};
    enum fxe_trial end = FXE_TRIAL_UNKNOWN;
    *why = '\0';
    if (pipe2(asks, O_CLOEXEC) == 0 && pipe2(answers, O_CLOEXEC) == 0) {
        struct service service = {t, asks[0], answers[1]};
        struct fxe_served served = {asks[0], {answers[0], asks[1]}, serve, &service};
        end = fxe_trial_served(load_in_child, &l, SECONDS, &served, why, len);
        asks[1] = answers[0] = -1; /* the child's ends: fxe_trial_served closed them */
    } else {
        fxs_log(FXS_WARN, "engine", "event=no-trial errno=%d", errno);
    }
    const int fds[] = {asks[0], asks[1], answers[0], answers[1]};
    for (int i = 0; i < 4; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return end;
}

size_t fxe_tape_read(void *tape, void *to, size_t n)
{
    struct fxe_tape *t = tape;
    size_t kept = t->size - t->at < n ? t->size - t->at : n;
    if (kept)
        memcpy(to, t->data + t->at, kept);
    t->at += kept;
    return kept + (kept < n ? t->read(t->ctx, (char *)to + kept, n - kept) : 0);
}

void fxe_tape_free(struct fxe_tape *t)
{
    free(t->data);
}
