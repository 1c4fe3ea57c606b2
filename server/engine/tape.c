/* SPDX-License-Identifier: Apache-2.0 */
#include "tape.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 1 << 18, SECONDS = 600 };

static const size_t LONGEST = (size_t)1 << 30; /* bytes that are kept; more is not tried */

/* --- the child: ask for n bytes, get the number that there are, and those --- */

static int transfer(int fd, char *at, size_t n, int sends)
{
    while (n > 0) {
        ssize_t done = sends ? send(fd, at, n, MSG_NOSIGNAL) : recv(fd, at, n, MSG_WAITALL);
        if (done <= 0)
            return -1;
        at += done;
        n -= (size_t)done;
    }
    return 0;
}

static size_t ask(void *ctx, void *to, size_t n)
{
    size_t got = 0;
    (void)ctx;
    while (got < n) {
        uint64_t want = n - got < PIECE ? n - got : PIECE, have;
        if (transfer(FXE_TRIAL_SOCKET, (char *)&want, sizeof want, 1) != 0 ||
            transfer(FXE_TRIAL_SOCKET, (char *)&have, sizeof have, 0) != 0 || have > want ||
            transfer(FXE_TRIAL_SOCKET, (char *)to + got, have, 0) != 0)
            break;
        got += have;
        if (have < want)
            break;
    }
    return got;
}

struct loading {
    void (*load)(fxe_read_fn, void *, void *);
    void *arg;
};

static void load_in_child(void *arg)
{
    struct loading *l = arg;
    l->load(ask, NULL, l->arg);
}

/* --- the engine --- */

struct service {
    struct fxe_tape *tape;
    int socket;
};

static int serve(void *ctx)
{
    struct service *s = ctx;
    struct fxe_tape *t = s->tape;
    uint64_t want = 0;
    if (transfer(s->socket, (char *)&want, sizeof want, 0) != 0)
        return -1;
    char *more =
        want <= PIECE && t->size + want <= LONGEST ? realloc(t->data, t->size + want) : NULL;
    if (!more)
        return -1;
    t->data = more;
    uint64_t have = t->read(t->ctx, t->data + t->size, want);
    t->size += have;
    /* A child that is gone does not read this; its end is noticed. */
    if (transfer(s->socket, (char *)&have, sizeof have, 1) == 0)
        transfer(s->socket, t->data + t->size - have, have, 1);
    return 0;
}

enum fxe_trial fxe_tape_try(struct fxe_tape *t, void (*load)(fxe_read_fn, void *, void *),
                            void *arg, char *why, size_t len)
{
    int pair[2];
    struct loading l = {load, arg};
    *why = '\0';
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return FXE_TRIAL_UNKNOWN;
    struct service service = {t, pair[0]};
    struct fxe_served served = {pair[0], pair[1], serve, &service};
    enum fxe_trial end = fxe_trial_served(load_in_child, &l, SECONDS, &served, why, len);
    close(pair[0]);
    close(pair[1]);
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
