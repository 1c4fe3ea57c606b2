/* SPDX-License-Identifier: Apache-2.0 */
#include "server/front/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "proto/wire.h"
#include "proto/zmtp.h"
#include "server/front/dialect.h"
#include "server/front/handshake.h"
#include "server/front/secure.h"
#include "server/front/state.h"
#include "server/log.h"

/* --- life --- */

static void on_guest(void *ctx, struct fxs_event *s, uint32_t events);

int fxs_guest_send(const struct fxs_guest *g, const void *data, size_t n)
{
    return send(g->source.fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n ? 0 : -1;
}

/* From now on the guest waits for an engine. */
static void begin_waiting(struct fxs_front *f, struct fxs_guest *g)
{
    DL_DELETE(f->guests.oldest, g);
    f->guests.n--;
    g->state = FXS_GUEST_WAITING;
    g->has_key = true;
    g->deadline = f->now + FXS_GUEST_WAIT_MS;
    DL_APPEND(f->guests.waiting, g);
}

/* It has waited in vain: it gets time to read the error, and counts as one without a key. */
static void end_waiting(struct fxs_front *f, struct fxs_guest *g)
{
    DL_DELETE(f->guests.waiting, g);
    g->has_key = false;
    g->deadline = f->now + FXS_GUEST_MS;
    DL_APPEND(f->guests.oldest, g);
    f->guests.n++;
}

void fxs_guest_new(struct fxs_front *f, int fd, bool tcp, bool near, const char *peer)
{
    while (f->guests.n >= f->options->max_unauthenticated)
        fxs_guest_close(f, f->guests.oldest, "too many unauthenticated connections");
    struct fxs_guest *g = malloc(sizeof *g);
    if (!g) {
        close(fd);
        return;
    }
    memset(g, 0, offsetof(struct fxs_guest, record.bytes)); /* the buffer is not used yet */
    g->source = (struct fxs_event){fd, on_guest};
    fxs_handshake_begin(f, g);
    g->deadline = f->now + FXS_GUEST_MS;
    g->tcp = tcp;
    g->record.near = near;
    strcpy(g->record.peer, peer);
    if (fxs_watch(f, &g->source, EPOLL_CTL_ADD, EPOLLIN) != 0) {
        free(g);
        close(fd);
        return;
    }
    DL_APPEND(f->guests.oldest, g);
    f->guests.n++;
    f->accepted++;
}

/* Takes the guest out of all lists, closes its descriptor and puts it on the list `gone`. */
static void leave_list(struct fxs_front *f, struct fxs_guest *g)
{
    if (g->engine)
        fxs_engine_forget(g->engine, g);
    /* Needed before close(): if an engine has the connection open, epoll would still report it. */
    fxs_watch(f, &g->source, EPOLL_CTL_DEL, 0);
    close(g->source.fd);
    struct fxs_guest **list = g->has_key ? &f->guests.waiting : &f->guests.oldest;
    DL_DELETE(*list, g);
    f->guests.n -= !g->has_key;
    g->state = FXS_GUEST_GONE;
    LL_PREPEND(f->guests.gone, g);
}

void fxs_guest_count(struct fxs_front *f, struct fxs_guest *g)
{
    f->refused += !g->refused;
    g->refused = true;
}

void fxs_guest_close(struct fxs_front *f, struct fxs_guest *g, const char *why)
{
    fxs_log(FXS_DEBUG, "front", "event=closed peer=\"%s\" mechanism=%s why=\"%s\"", g->record.peer,
            g->record.curve ? "CURVE" : "NULL", why);
    if (!g->answered)
        fxs_guest_count(f, g);
    leave_list(f, g);
}

/* The peer has closed the connection: nothing was refused, unless it got an error before. */
static void went_away(struct fxs_front *f, struct fxs_guest *g)
{
    fxs_log(FXS_DEBUG, "front", "event=closed peer=\"%s\" mechanism=%s why=\"%s\"", g->record.peer,
            g->record.curve ? "CURVE" : "NULL", "it closed the connection");
    leave_list(f, g);
}

void fxs_guest_left(struct fxs_front *f, struct fxs_guest *g)
{
    leave_list(f, g);
}

void fxs_guests_bury(struct fxs_front *f)
{
    struct fxs_guest *g;
    while ((g = f->guests.gone)) {
        LL_DELETE(f->guests.gone, g);
        if (f->secure)
            fx_curve_forget(g, sizeof *g);
        free(g);
    }
}

int64_t fxs_guests_expire(struct fxs_front *f)
{
    struct fxs_guest *g;
    while ((g = f->guests.waiting) && f->now >= g->deadline)
        fxs_guest_refuse(f, g, "engine", "the engine did not start in time; try again later");
    while ((g = f->guests.oldest) && f->now >= g->deadline)
        fxs_guest_close(f, g, "no valid first message in time");
    int64_t first = g ? g->deadline : INT64_MAX;
    g = f->guests.waiting;
    return g && g->deadline < first ? g->deadline : first;
}

/* --- refusing --- */

/* Closing it at once would reset it if the peer is sending, and the peer might not read the error.
 */
void fxs_guest_drain(struct fxs_front *f, struct fxs_guest *g)
{
    if (g->engine)
        fxs_engine_forget(g->engine, g);
    if (g->has_key)
        end_waiting(f, g);
    g->state = FXS_GUEST_REFUSED;
    shutdown(g->source.fd, SHUT_WR);
    fxs_watch(f, &g->source, EPOLL_CTL_MOD, EPOLLIN);
}

void fxs_guest_refuse(struct fxs_front *f, struct fxs_guest *g, const char *kind, const char *why)
{
    int rc = g->record.dialect ? fxs_dialect_error(f, g, NULL, why)
                               : fxs_answer_error(f, g, kind, "%s", why);
    if (rc != 0)
        fxs_guest_close(f, g, why);
    else
        fxs_guest_drain(f, g);
}

/* --- reading --- */

void fxs_guest_consume(struct fxs_guest *g, size_t n)
{
    g->record.size -= (uint32_t)n;
    memmove(g->record.bytes, g->record.bytes + n, g->record.size);
    if (g->record.curve)
        g->record.clear -= (uint32_t)n;
}

/* Handles a whole command at the beginning of the buffer.  Returns false if the guest was closed or
 * refused. */
static bool command(struct fxs_front *f, struct fxs_guest *g, const struct fx_zmtp_head *h)
{
    const uint8_t *body = g->record.bytes + h->len, *rest;
    size_t n = h->size;
    uint8_t pong[FX_ZMTP_PONG_MAX];
    if (g->state == FXS_GUEST_HELLO || g->state == FXS_GUEST_INITIATE)
        return fxs_handshake_curve(f, g, h);
    if (g->state == FXS_GUEST_READY && (rest = fx_zmtp_command(body, &n, "READY"))) {
        if (!fxs_handshake_metadata(f, g, rest, n))
            return false;
        g->state = FXS_GUEST_MESSAGE;
    } else if ((rest = fx_zmtp_command(body, &n, "PING"))) {
        size_t size = fx_zmtp_pong(pong, rest, n);
        if (size && (g->record.curve ? fxs_secure_command(g, pong, size)
                                     : fxs_guest_send(g, pong, size)) != 0) {
            fxs_guest_close(f, g, "the PONG could not be sent");
            return false;
        }
    } else if (fx_zmtp_command(body, &n, "ERROR")) {
        fxs_guest_close(f, g, "it sent a ZMTP ERROR");
        return false;
    }
    fxs_guest_consume(g, h->len + h->size);
    return true;
}

/* The first message, in the buffer. */
struct message {
    const uint8_t *header;
    size_t header_size;
    size_t size; /* of the message, framing included */
    bool delimited;
};

enum found { INCOMPLETE, COMPLETE, IS_COMMAND, TOO_LARGE, MALFORMED };

/* Looks for a command or a whole message at the beginning of the buffer.  `h` is the head of the
 * last frame that was looked at. */
static enum found find_message(const struct fxs_guest *g, struct message *m, struct fx_zmtp_head *h)
{
    const uint8_t *p = g->record.bytes;
    size_t have = g->record.curve ? g->record.clear : g->record.size, at = 0;
    *m = (struct message){0};
    for (int frame = 0;; frame++) {
        int rc = fx_zmtp_head(p + at, have - at, h);
        if (rc < 0 || (rc == 1 && h->flags & FX_ZMTP_COMMAND && at > 0))
            return MALFORMED;
        if (rc == 0)
            return have == FXS_HANDOVER_BYTES ? TOO_LARGE : INCOMPLETE;
        if (h->size > FXS_HANDOVER_BYTES - at - h->len)
            return TOO_LARGE;
        if (have - at < h->len + h->size)
            return INCOMPLETE;
        if (h->flags & FX_ZMTP_COMMAND)
            return IS_COMMAND;
        if (frame == 0 && h->size == 0) {
            m->delimited = true;
        } else if (!m->header) {
            m->header = p + at + h->len;
            m->header_size = h->size;
        }
        at += h->len + h->size;
        m->size = at;
        if (!(h->flags & FX_ZMTP_MORE))
            return COMPLETE;
    }
}

/* Returns the string value of a key.  A value of another type gives a text that matches no key and
 * no tenant. */
static struct fxs_text header_text(const struct fx_header *h, const char *key)
{
    struct fxs_text t = {NULL, 0};
    const msgpack_object *o = fx_header_get(h, key);
    if (!o || o->type == MSGPACK_OBJECT_NIL)
        return t;
    if (!fx_header_str(h, key, &t.data, &t.size))
        t = (struct fxs_text){"", SIZE_MAX};
    return t;
}

/* Hands the guest to the engine of `tenant`, as soon as that runs. */
static void hand_over(struct fxs_front *f, struct fxs_guest *g, const char *tenant, unsigned key)
{
    char why[512];
    struct fxs_engine *e = fxs_engine_of(&f->engines, tenant);
    g->record.kind = FXS_CONNECTION;
    g->record.key = key;
    if (!e) {
        fxs_guest_refuse(f, g, "limit", "the server is out of memory");
    } else if (fxs_engine_need(f, e, why, sizeof why) != 0) {
        fxs_guest_refuse(f, g, "engine", why);
    } else if (e->nwaiting >= f->most_waiting) {
        fxs_guest_refuse(f, g, "limit",
                         "too many connections wait for this tenant's engine; try again later");
    } else {
        if (g->record.curve)
            fxs_log(FXS_DEBUG, "front", "event=admitted peer=\"%s\" mechanism=CURVE tenant=%s%s",
                    g->record.peer, tenant, g->client ? " by=curve-key" : "");
        begin_waiting(f, g);
        fxs_watch(f, &g->source, EPOLL_CTL_MOD, 0);
        fxs_engine_take(f, e, g);
    }
}

/* The same about one of the dialect. */
static int decide_dialect(struct fxs_front *f, struct fxs_guest *g, const struct message *m,
                          const struct fx_header *h)
{
    const char *tenant, *wrong;
    unsigned key;
    g->record.dialect = 1;
    if (!m->delimited)
        return fxs_dialect_error(f, g, NULL, "Malformed request");
    if (f->stopping)
        return fxs_dialect_error(f, g, NULL, "the server is stopping");
    wrong = fxs_dialect_check(g->client ? NULL : f->auth, h, &tenant, &key);
    if (!wrong && g->client)
        fxs_secure_admit(g, &tenant, &key);
    if (wrong) /* any ping is answered, as the original does */
        return fx_header_is(h, "action", "ping") ? fxs_dialect_pong(g)
                                                 : fxs_dialect_error(f, g, "AUTH_ERROR", wrong);
    hand_over(f, g, tenant, key);
    return 1;
}

/* Decides about a whole message.  Returns 0 if it has been answered and another may follow, 1 if
 * the guest must not be read from any more, -1 if the answer could not be sent. */
static int decide(struct fxs_front *f, struct fxs_guest *g, const struct message *m,
                  const struct fx_header *h)
{
    const char *tenant, *wrong;
    unsigned key;
    bool ping = fx_header_is(h, "operation", "ping");
    bool health = fx_header_is(h, "operation", "health");
    struct fxs_text api_key = header_text(h, "api_key");
    g->has_id = fx_header_uint(h, "request_id", &g->id);
    if (!m->delimited)
        return fxs_answer_error(f, g, "protocol", "the message does not begin with an empty frame");
    /* With a key they go the way of other requests: the client wants to know if it is valid. */
    if ((ping || health) && (!f->auth || !api_key.data || f->stopping))
        return ping ? fxs_answer_ok(f, g) : fxs_answer_health(f, g);
    if (f->stopping)
        return fxs_answer_error(f, g, "shutdown", "the server is stopping");
    wrong = g->client
                ? fxs_secure_check(f, g, api_key, header_text(h, "tenant_id"), &tenant, &key)
                : fxs_auth_check(f->auth, api_key, header_text(h, "tenant_id"), &tenant, &key);
    if (wrong)
        return fxs_answer_error(f, g, "auth", "%s", wrong);
    hand_over(f, g, tenant, key);
    return 1;
}

static int first_message(struct fxs_front *f, struct fxs_guest *g, const struct message *m)
{
    struct fx_header h = {0};
    const char *why = "the message has no header";
    int rc;
    g->has_id = false;
    g->record.dialect = 0;
    if (!m->header || fx_header_read(&h, m->header, m->header_size, &why) != 0)
        rc = m->header && fxs_begins_dialect(m->header, m->header_size)
                 ? fxs_dialect_error(f, g, NULL, "Malformed request")
                 : fxs_answer_error(f, g, "protocol", "%s", why);
    else if (fxs_is_dialect(&h))
        rc = decide_dialect(f, g, m, &h);
    else
        rc = decide(f, g, m, &h);
    fx_header_free(&h);
    return rc;
}

/* Does the message in the buffer begin as one of the dialect? */
static bool begins_dialect(const struct fxs_guest *g)
{
    struct fx_zmtp_head h;
    size_t at = 0, have = g->record.size;
    const uint8_t *p = g->record.bytes;
    for (int frame = 0; frame < 2; frame++) {
        if (fx_zmtp_head(p + at, have - at, &h) != 1)
            return false;
        at += h.len;
        if (h.size > 0)
            return fxs_begins_dialect(p + at, have - at);
    }
    return false;
}

/* The first message does not fit the buffer.  Without authentication nothing in it is needed here,
 * and the engine reads the rest. */
static void too_large(struct fxs_front *f, struct fxs_guest *g)
{
    char why[160];
    g->has_id = false;
    /* Under CURVE that frame is not open yet: a large one of the dialect has to come later. */
    g->record.dialect = !g->record.curve && begins_dialect(g);
    if (!f->auth && !f->stopping) {
        hand_over(f, g, FXS_TENANT_DEFAULT, 0);
        return;
    }
    snprintf(
        why, sizeof why,
        "the first message of a connection is larger than %d bytes: send hello or attach%s first",
        FXS_HANDOVER_BYTES, f->auth && !g->client ? ", with the API key," : "");
    fxs_guest_refuse(f, g, f->stopping ? "shutdown" : "auth", why);
}

/* Under CURVE: opens the next frame of the first message.  Returns false if there is none yet, or
 * the guest was closed or refused. */
static bool open_next(struct fxs_front *f, struct fxs_guest *g)
{
    const char *why;
    switch (fxs_secure_open(g, &why)) {
    case FXS_OPENED:
        return true;
    case FXS_TOO_LARGE:
        too_large(f, g);
        return false;
    case FXS_WRONG:
        fxs_guest_close(f, g, why);
        return false;
    default:
        return false;
    }
}

/* Handles the next command or message in the buffer.  Returns false if there is nothing more to do
 * now. */
static bool step(struct fxs_front *f, struct fxs_guest *g)
{
    struct fx_zmtp_head h;
    struct message m;
    int rc;
    if (g->state == FXS_GUEST_GREETING)
        return fxs_handshake_greeting(f, g);
    switch (find_message(g, &m, &h)) {
    case INCOMPLETE:
        return g->record.curve && open_next(f, g);
    case IS_COMMAND:
        return command(f, g, &h);
    case MALFORMED:
        fxs_handshake_refuse(f, g, "not a ZMTP 3 frame");
        return false;
    case TOO_LARGE:
        if (h.flags & FX_ZMTP_COMMAND || g->state < FXS_GUEST_MESSAGE)
            fxs_handshake_refuse(f, g, "the command is too large");
        else
            too_large(f, g);
        return false;
    case COMPLETE:
        break;
    }
    if (g->state < FXS_GUEST_MESSAGE) {
        fxs_handshake_refuse(f, g, "a message came before READY");
        return false;
    }
    rc = first_message(f, g, &m);
    if (rc == 0)
        fxs_guest_consume(g, m.size);
    else if (rc < 0)
        fxs_guest_close(f, g, "the reply could not be sent");
    return rc == 0;
}

static void on_guest(void *ctx, struct fxs_event *s, uint32_t events)
{
    struct fxs_front *f = ctx;
    struct fxs_guest *g = (struct fxs_guest *)s;
    if (g->state == FXS_GUEST_GONE)
        return; /* an earlier event of this round has closed it */
    if (g->state == FXS_GUEST_WAITING) {
        if (events & (EPOLLHUP | EPOLLERR))
            went_away(f, g);
        return;
    }
    if (g->state == FXS_GUEST_REFUSED)
        g->record.size = 0;
    /* One recv() each time, so that other guests have their turn. */
    ssize_t n = recv(s->fd, g->record.bytes + g->record.size, FXS_HANDOVER_BYTES - g->record.size,
                     MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        went_away(f, g);
        return;
    }
    g->record.size += (uint32_t)n;
    g->total += (size_t)n;
    while (g->state <= FXS_GUEST_MESSAGE && step(f, g))
        ;
    if ((g->state <= FXS_GUEST_MESSAGE || g->state == FXS_GUEST_REFUSED) &&
        g->total > FXS_GUEST_READ_MAX)
        fxs_guest_close(f, g, "too many bytes without a valid key");
}
