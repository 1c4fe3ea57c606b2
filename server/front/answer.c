/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that the front sends itself.  They are small, and nothing is queued: a guest whose socket
 * does not accept one at once is closed. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "proto/api.h"
#include "proto/zmtp.h"
#include "server/front/state.h"
#include "server/log.h"

/* The same bytes as the one below sends, sealed. */
static int send_sealed(struct fxs_guest *g, const struct fx_frame *frame)
{
    uint8_t room[2048];
    struct fx_curve_message m;
    if (fx_curve_message(&m, frame, 1, room, sizeof room, 2 * sizeof room) != 0)
        return -1;
    int rc = fx_curve_message_next(&g->record.keys, &m) == 1 && fx_curve_message_left(&m) == m.to
                 ? fxs_guest_send(g, m.buf, m.to)
                 : -1;
    fx_curve_message_end(&m);
    return rc;
}

int fxs_answer_send(struct fxs_guest *g, msgpack_sbuffer *buf)
{
    struct fx_zmtp_message m;
    struct fx_frame frame = {buf->data, buf->size};
    int rc = -1;
    if (g->record.curve) {
        rc = send_sealed(g, &frame);
    } else {
        fx_zmtp_message(&m, &frame, 1);
        struct msghdr msg = {.msg_iov = m.iov, .msg_iovlen = (size_t)m.niov};
        size_t want = buf->size + m.iov[0].iov_len;
        ssize_t n = sendmsg(g->source.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        rc = n == (ssize_t)want ? 0 : -1;
    }
    msgpack_sbuffer_destroy(buf);
    return rc;
}

/* Begins a header: the status, the request_id if the request had one, and `more` keys that the
 * caller adds. */
static void begin_header(msgpack_sbuffer *buf, msgpack_packer *pk, const struct fxs_guest *g,
                         const char *status, unsigned more)
{
    msgpack_sbuffer_init(buf);
    msgpack_packer_init(pk, buf, msgpack_sbuffer_write);
    msgpack_pack_map(pk, 1 + g->has_id + more);
    fx_pack_str(pk, "status");
    fx_pack_str(pk, status);
    if (g->has_id) {
        fx_pack_str(pk, "request_id");
        msgpack_pack_uint64(pk, g->id);
    }
}

int fxs_answer_error(struct fxs_front *f, struct fxs_guest *g, const char *kind, const char *format,
                     ...)
{
    char text[1024] = "faissx: ";
    msgpack_sbuffer buf;
    msgpack_packer pk;
    va_list args;
    va_start(args, format);
    vsnprintf(text + 8, sizeof text - 8, format, args);
    va_end(args);
    fxs_guest_count(f, g);
    fxs_log(FXS_DEBUG, "front", "event=refused peer=\"%s\" kind=%s message=\"%s\"", g->record.peer,
            kind, text);
    begin_header(&buf, &pk, g, "error", 3);
    fx_pack_str(&pk, "code");
    msgpack_pack_int(&pk, STD_EXCEPT);
    fx_pack_str(&pk, "kind");
    fx_pack_str(&pk, kind);
    fx_pack_str(&pk, "message");
    fx_pack_str(&pk, text);
    return fxs_answer_send(g, &buf);
}

int fxs_answer_ok(struct fxs_front *f, struct fxs_guest *g)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    (void)f;
    g->answered = true;
    begin_header(&buf, &pk, g, "ok", 0);
    return fxs_answer_send(g, &buf);
}

int fxs_answer_health(struct fxs_front *f, struct fxs_guest *g)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    g->answered = true;
    begin_header(&buf, &pk, g, "ok", 6);
    fx_pack_str(&pk, "version");
    fx_pack_str(&pk, FAISSX_VERSION);
    fx_pack_str(&pk, "uptime");
    msgpack_pack_double(&pk, (double)(f->now - f->started) / 1000);
    fx_pack_str(&pk, "engines");
    msgpack_pack_uint64(&pk, fxs_engines_running(&f->engines));
    fx_pack_str(&pk, "unauthenticated");
    msgpack_pack_int(&pk, f->guests.n);
    fx_pack_str(&pk, "accepted");
    msgpack_pack_uint64(&pk, f->accepted);
    fx_pack_str(&pk, "refused");
    msgpack_pack_uint64(&pk, f->refused);
    return fxs_answer_send(g, &buf);
}
