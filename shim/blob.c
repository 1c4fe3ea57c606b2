/* SPDX-License-Identifier: Apache-2.0 */
/* Large arrays, in pieces.  Several pieces are under way at once, so that neither side
 * waits for the other, and never the whole, so that neither has to hold it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc.h"

enum { WINDOW = 4 };

/* A request made while another's header is being packed needs a header of its own. */
static msgpack_sbuffer set_aside(struct fx_thread *self)
{
    msgpack_sbuffer saved = self->header;
    msgpack_sbuffer_init(&self->header);
    return saved;
}

static void put_back(struct fx_thread *self, msgpack_sbuffer saved)
{
    msgpack_sbuffer_destroy(&self->header);
    self->header = saved;
}

static void pack_uint(struct fx_rpc *r, const char *key, uint64_t v)
{
    fx_pack_str(&r->pk, key);
    msgpack_pack_uint64(&r->pk, v);
}

/* The client names its uploads; all threads of a process share a session. */
static uint64_t blob_id(void)
{
    static uint64_t last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED) | (uint64_t)getpid() << 40;
}

/* Requests are answered in order; r->id is the one that is waited for. */
static int receive(struct fx_rpc *r, uint64_t id)
{
    uint64_t newest = r->id;
    r->id = id;
    int rc = fx_rpc_recv(r);
    r->id = newest;
    return rc;
}

static int drop_rest(struct fx_rpc *r)
{
    size_t size;
    int rc;
    while ((rc = fx_rpc_frame(r, &size)) == 0) {
        char *skip = malloc(size ? size : 1);
        rc = skip ? fx_rpc_read(r, skip, size) : -1;
        free(skip);
        if (rc != 0)
            break;
    }
    return rc == 1 ? 0 : -1;
}

static int upload_piece(struct fx_rpc *r, uint64_t id, const char *data, size_t size, size_t total,
                        size_t offset)
{
    pack_uint(r, "id", id);
    pack_uint(r, "size", total);
    pack_uint(r, "offset", offset);
    r->payload.frames[0] = (struct fx_frame){data, size};
    r->payload.n = 1;
    return fx_rpc_send(r);
}

uint64_t fx_upload(const void *data, size_t size)
{
    struct fx_rpc r;
    struct fx_thread *self = fx_self();
    if (!self)
        return 0;
    msgpack_sbuffer saved = set_aside(self);
    uint64_t ids[WINDOW], blob = 0, ok = 1;
    size_t sent = 0, acked = 0, n = (size + FX_PIECE - 1) / FX_PIECE;
    if (fx_rpc_begin(&r, "upload", 3) != 0) {
        put_back(self, saved);
        return 0;
    }
    blob = blob_id();
    while (ok && acked < n) {
        if (sent < n && sent - acked < WINDOW) {
            size_t off = sent * (size_t)FX_PIECE;
            size_t len = size - off < FX_PIECE ? size - off : FX_PIECE;
            if (sent > 0)
                fx_rpc_again(&r, "upload", 3);
            ids[sent++ % WINDOW] = r.id;
            ok = upload_piece(&r, blob, (const char *)data + off, len, size, off) == 0;
        } else {
            ok = receive(&r, ids[acked++ % WINDOW]) == 0 && drop_rest(&r) == 0;
        }
    }
    fx_rpc_end(&r);
    put_back(self, saved);
    return ok ? blob : 0;
}

static int ask_piece(struct fx_rpc *r, uint64_t id, size_t offset, size_t len)
{
    pack_uint(r, "id", id);
    pack_uint(r, "offset", offset);
    pack_uint(r, "size", len);
    return fx_rpc_send(r);
}

static void release(uint64_t id)
{
    struct fx_rpc r;
    if (fx_rpc_begin(&r, "release", 1) == 0) {
        pack_uint(&r, "id", id);
        if (fx_rpc_send(&r) == 0)
            fx_rpc_recv(&r);
        fx_rpc_end(&r);
    }
}

/* Fetch the pieces in order; each is delivered to `data` or to `sink`. */
static int download(uint64_t id, char *data, size_t size, fx_sink_fn sink, void *ctx)
{
    struct fx_rpc r;
    uint64_t ids[WINDOW];
    size_t asked = 0, got = 0, n = (size + FX_PIECE - 1) / FX_PIECE;
    char *piece = sink ? malloc(FX_PIECE) : NULL;
    int rc = 0;
    if ((sink && !piece) || fx_rpc_begin(&r, "download", 3) != 0) {
        free(piece);
        return -1;
    }
    while (rc == 0 && got < n) {
        if (asked < n && asked - got < WINDOW) {
            size_t off = asked * (size_t)FX_PIECE;
            if (asked > 0)
                fx_rpc_again(&r, "download", 3);
            ids[asked++ % WINDOW] = r.id;
            rc = ask_piece(&r, id, off, size - off < FX_PIECE ? size - off : FX_PIECE);
        } else {
            size_t off = got * (size_t)FX_PIECE, len;
            size_t want = size - off < FX_PIECE ? size - off : FX_PIECE;
            rc = receive(&r, ids[got++ % WINDOW]);
            if (rc == 0 && (fx_rpc_frame(&r, &len) != 0 || len != want))
                rc = fx_rpc_nonsense(&r, "a piece of a large array has the wrong size");
            char *to = sink ? piece : data + off;
            if (rc == 0)
                rc = fx_rpc_read(&r, to, want);
            if (rc == 0)
                rc = drop_rest(&r);
            if (rc == 0 && sink)
                rc = sink(ctx, piece, want);
        }
    }
    /* Pieces that were asked for and not wanted any more are still on their way. */
    while (rc != 0 && r.conn && r.conn == r.self->conn && got < asked)
        if (receive(&r, ids[got++ % WINDOW]) == 0 && drop_rest(&r) != 0)
            break;
    fx_rpc_end(&r);
    free(piece);
    return rc;
}

int fx_download(uint64_t id, void *data, size_t size)
{
    int rc = download(id, data, size, NULL, NULL);
    if (rc == 0)
        release(id);
    return rc;
}

int fx_download_to(uint64_t id, size_t size, fx_sink_fn sink, void *ctx)
{
    int rc = download(id, NULL, size, sink, ctx);
    struct fx_thread *self = fx_self();
    if (self->conn)
        release(id);
    return rc;
}

int fx_payload_pack(msgpack_packer *pk, struct fx_payload *p, const void *data, size_t size)
{
    if (size > FX_PIECE || p->n == FX_FRAMES_MAX - 1) {
        uint64_t id = fx_upload(data, size);
        if (!id)
            return -1;
        msgpack_pack_array(pk, 2);
        fx_pack_str(pk, "upload");
        msgpack_pack_uint64(pk, id);
        return 0;
    }
    msgpack_pack_uint32(pk, (uint32_t)p->n);
    p->frames[p->n++] = (struct fx_frame){data, size};
    return 0;
}
