/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "server/engine/dialect/dialect.h"
#include "server/engine/guard/room.h"
#include "server/engine/objects/download.h"
#include "server/engine/run/exchange.h"
#include "server/engine/run/request.h"

int fxe_fail(struct fxe_req *r, const char *kind, const char *fmt, ...)
{
    char text[4096] = "faissx: ";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + 8, sizeof text - 8, fmt, ap);
    va_end(ap);
    r->failed = true;
    r->code = STD_EXCEPT;
    r->kind = kind;
    free(r->message);
    r->message = strdup(text);
    return -1;
}

void fxe_fail_text(struct fxe_req *r, int code, const char *text)
{
    r->failed = true;
    r->code = code;
    r->kind = NULL;
    free(r->message);
    r->message = strdup(text ? text : "");
}

void fxe_fail_faiss(struct fxe_req *r, int code)
{
    const char *why = fxe_engine.lib.api.get_last_error();
    struct rlimit data;
    char text[256];
    /* FAISS's C API has no other text if memory runs out. */
    if (code == STD_EXCEPT && why && strcmp(why, "std::exception") == 0 &&
        getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_cur != RLIM_INFINITY) {
        snprintf(text, sizeof text, "%s (%zu of the engine's %zu MiB of memory are left)", why,
                 fxe_room() >> 20, (size_t)data.rlim_cur >> 20);
        why = text;
    }
    fxe_fail_text(r, code, why);
}

int fxe_require(struct fxe_req *r, int op)
{
    char text[8192];
    if (fx_library_has(&fxe_engine.lib, op))
        return 0;
    fx_library_missing(&fxe_engine.lib, op, text, sizeof text);
    fxe_fail(r, "missing", "%s", text + strlen("faissx: "));
    r->code = FAISS_EXCEPT;
    return -1;
}

msgpack_packer fxe_reply_key(struct fxe_req *r, const char *key)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, &r->extra, msgpack_sbuffer_write);
    fx_pack_str(&pk, key);
    r->nextra++;
    return pk;
}

int fxe_reply_array(struct fxe_req *r, void *data, size_t size)
{
    if (r->nout == FX_FRAMES_MAX - 1) {
        free(data);
        return fxe_fail(r, "limit", "the reply has more than %d arrays", r->nout);
    }
    r->out[r->nout++] = (struct fxe_out){data, size};
    return 0;
}

int fxe_reply_copy(struct fxe_req *r, const void *data, size_t size)
{
    void *copy = fxe_room_realloc(NULL, size ? size : 1);
    if (!copy)
        return fxe_fail(r, "limit", "the server has no memory for %zu bytes of results", size);
    if (data && size)
        memcpy(copy, data, size);
    return fxe_reply_array(r, copy, data ? size : 0);
}

static void pack_download(msgpack_packer *pk, uint64_t id, size_t size)
{
    msgpack_pack_array(pk, 3);
    fx_pack_str(pk, "download");
    msgpack_pack_uint64(pk, id);
    msgpack_pack_uint64(pk, size);
}

int fxe_reply_download(struct fxe_req *r, uint64_t id, size_t size)
{
    msgpack_packer pk = fxe_reply_key(r, "big");
    msgpack_pack_array(&pk, 1);
    pack_download(&pk, id, size);
    r->download = id;
    return fxe_reply_array(r, NULL, 0);
}

/* Keeps a file that is too large for a message here, as a blob that the client downloads in pieces.
 * Not the results of a call: the client reads those directly into its caller's memory.  Nor what a
 * caller gets who has had an error already: he would never free it. */
static void pack_big(struct fxe_req *r)
{
    int big = 0;
    if (r->piece_of || r->fn || !r->operation->needs_session ||
        __atomic_load_n(&r->given_up, __ATOMIC_RELAXED))
        return;
    for (int i = 0; i < r->nout; i++)
        big |= r->out[i].size > FX_PIECE;
    if (!big)
        return;
    msgpack_packer pk = fxe_reply_key(r, "big");
    msgpack_pack_array(&pk, (size_t)r->nout);
    for (int i = 0; i < r->nout; i++) {
        uint64_t id = 0;
        if (r->out[i].size > FX_PIECE)
            id = fxe_download_put(r->session, r->out[i].data, r->out[i].size);
        if (!id) {
            msgpack_pack_nil(&pk);
            continue;
        }
        r->download = id;
        pack_download(&pk, id, r->out[i].size);
        r->out[i] = (struct fxe_out){NULL, 0};
    }
}

static void pack_printed(msgpack_packer *pk, const struct fxe_printed *p)
{
    char more[80] = "";
    if (p->lost)
        snprintf(more, sizeof more, "\nfaissx: %zu more bytes are in the server's log\n", p->lost);
    fx_pack_str(pk, "printed");
    msgpack_pack_str(pk, p->size + strlen(more));
    msgpack_pack_str_body(pk, p->text, p->size);
    msgpack_pack_str_body(pk, more, strlen(more));
}

static void pack_header(struct fxe_req *r, msgpack_sbuffer *buf)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, buf, msgpack_sbuffer_write);
    int prints = r->printed.size != 0;
    if (!r->failed) {
        msgpack_pack_map(&pk, 2 + r->nextra + prints + r->kept);
    } else {
        int lost = r->kind && strcmp(r->kind, "session") == 0;
        msgpack_pack_map(&pk, (r->kind ? 5 : 4) + 2 * lost + !!r->made + prints);
        if (lost) { /* tell the client how its session was lost */
            fx_pack_str(&pk, "tenant");
            fx_pack_str(&pk, fxe_engine.options.tenant);
            fx_pack_str(&pk, "previous");
            fx_pack_str(&pk, fxe_engine.options.previous);
        }
        if (r->made) {
            fx_pack_str(&pk, "made");
            msgpack_pack_int(&pk, 1);
        }
        fx_pack_str(&pk, "code");
        msgpack_pack_int(&pk, r->code);
        fx_pack_str(&pk, "message");
        fx_pack_str(&pk, r->message ? r->message : "");
        if (r->kind) {
            fx_pack_str(&pk, "kind");
            fx_pack_str(&pk, r->kind);
        }
    }
    if (prints)
        pack_printed(&pk, &r->printed);
    fx_pack_str(&pk, "status");
    fx_pack_str(&pk, r->failed ? "error" : "ok");
    fx_pack_str(&pk, "request_id");
    msgpack_pack_uint64(&pk, r->request_id);
    if (r->kept && !r->failed) {
        fx_pack_str(&pk, "kept");
        msgpack_pack_uint64(&pk, r->upload);
    }
    if (!r->failed)
        msgpack_sbuffer_write(buf, r->extra.data ? r->extra.data : "", r->extra.size);
}

int fxe_reply_pack(struct fxe_req *r, struct fx_frame *frames)
{
    int n = 1;
    if (r->reply.size == 0) {
        if (!r->failed)
            pack_big(r);
        pack_header(r, &r->reply);
    }
    frames[0] = (struct fx_frame){r->reply.data, r->reply.size};
    for (int i = 0; i < r->nout && !r->failed; i++)
        frames[n++] = (struct fx_frame){r->out[i].data, r->out[i].size};
    return n;
}

int fxe_reply_send(struct fxe_req *r)
{
    struct fx_frame frames[FX_FRAMES_MAX];
    int n = 1;
    if (r->conn->dialect)
        frames[0] = fxd_reply(r);
    else
        n = fxe_reply_pack(r, frames);
    return fxe_exchange_reply(r, frames, n);
}
