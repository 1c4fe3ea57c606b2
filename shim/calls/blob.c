/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/calls/blob.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "faiss_c_compat.h"
#include "proto/content.h"
#include "proto/memfd.h"
#include "shim/calls/sent.h"
#include "shim/faissx.h"
#include "shim/transport/repeat.h"
#include "shim/transport/session.h"

enum {
    WINDOW = 4, /* pieces under way at a time */
    LEFT = 64
};

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

/* The client names its uploads, in 63 bits: unique in the session, which parent and child of a fork
 * share, and in which a process may have the number of one that has ended. */
static uint64_t new_id(void)
{
    static uint64_t last;
    uint64_t id;
    if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id) /* no kernel does that */
        id = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED) | (uint64_t)getpid() << 40;
    return id & INT64_MAX;
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

static void pack_place(struct fx_rpc *r, uint64_t id, size_t total, size_t offset)
{
    pack_uint(r, "id", id);
    pack_uint(r, "size", total);
    pack_uint(r, "offset", offset);
}

static int upload_piece(struct fx_rpc *r, uint64_t id, const char *data, size_t size, size_t total,
                        size_t offset)
{
    pack_place(r, id, total, offset);
    r->payload.frames[0] = (struct fx_frame){data, size};
    r->payload.n = 1;
    return fx_rpc_send(r);
}

struct upload {
    uint64_t id;
    const char *data;
    int file;            /* what `data` maps, or -1; */
    char *piece;         /* then pieces are read into this */
    size_t size, acked;  /* bytes, and pieces that the server has */
    unsigned generation; /* of the session that the call is made in */
    int fd;              /* all of it in a memfd, or -1 */
};

/* A mapping of a file that somebody cuts short raises a signal when it is touched. */
static const char *piece_of(struct upload *u, size_t offset, size_t size)
{
    if (u->file < 0)
        return u->data + offset;
    if (!u->piece && !(u->piece = malloc(FX_PIECE))) {
        fx_fail(FAISSX_E_MEMORY, "out of memory");
        return NULL;
    }
    for (size_t got = 0; got < size;) {
        ssize_t n = pread(u->file, u->piece + got, size - got, (off_t)(offset + got));
        if (n <= 0) {
            fx_fail_code(FAISSX_E_FAISS, FAISS_EXCEPT,
                         "cannot read %zu bytes at %zu of the file: %s", size, offset,
                         n < 0 ? strerror(errno) : "it has become shorter");
            return NULL;
        }
        got += (size_t)n;
    }
    return u->piece;
}

/* The header of the first request has been begun. */
static int upload_pieces(struct fx_rpc *r, struct upload *u)
{
    uint64_t first = r->id;
    size_t sent = u->acked, n = (u->size + FX_PIECE - 1) / FX_PIECE;
    int rc = 0;
    while (rc == 0 && u->acked < n) {
        if (sent < n && sent - u->acked < WINDOW) {
            size_t off = sent * (size_t)FX_PIECE;
            size_t len = u->size - off < FX_PIECE ? u->size - off : FX_PIECE;
            const char *piece = piece_of(u, off, len);
            if (!piece)
                return -1;
            if (r->outcome != FX_NOT_MADE)
                fx_rpc_again(r, "upload", 3);
            sent++;
            rc = upload_piece(r, u->id, piece, len, u->size, off);
        } else {
            r->oldest = first;
            rc = fx_rpc_recv(r) == 0 ? drop_rest(r) : -1;
            u->acked += rc == 0;
        }
    }
    return rc;
}

static int upload_whole(struct fx_rpc *r, struct upload *u)
{
    pack_place(r, u->id, u->size, 0);
    r->fd = u->fd;
    return fx_rpc_send(r) == 0 && fx_rpc_recv(r) == 0 ? drop_rest(r) : -1;
}

/* A memfd cannot be passed if the connection is another kind of socket than before: pieces can. */
static int upload(struct fx_rpc *r, struct upload *u)
{
    int rc;
    r->repeats = 1;
    while ((rc = u->fd >= 0 && r->self->channel.near ? upload_whole(r, u) : upload_pieces(r, u)) !=
               0 &&
           fx_rpc_recover(r) == 0) {
        if (r->self->channel.generation != u->generation)
            return fx_fail(FAISSX_E_SESSION, "the session was lost while an array was sent");
        r->outcome = FX_NOT_MADE;
        fx_rpc_again(r, "upload", 3);
    }
    return rc;
}

/* --- blobs that the server still has --- */

/* Uploads, downloads and streams of calls that failed while there was no connection. */
static struct {
    pthread_mutex_t lock;
    struct {
        uint64_t id;
        unsigned generation;
    } of[LEFT];
    int n;
} left = {.lock = PTHREAD_MUTEX_INITIALIZER};

void fx_blobs_release_left(void)
{
    while (__atomic_load_n(&left.n, __ATOMIC_RELAXED) > 0) {
        uint64_t id = 0;
        pthread_mutex_lock(&left.lock);
        if (left.n > 0 && left.of[--left.n].generation == fx_session_generation())
            id = left.of[left.n].id;
        pthread_mutex_unlock(&left.lock);
        if (id)
            fx_blob_release(id);
    }
}

static void remember_left(uint64_t id)
{
    pthread_mutex_lock(&left.lock);
    if (left.n < LEFT) { /* others are freed with the session */
        left.of[left.n].id = id;
        left.of[left.n].generation = fx_session_generation();
        __atomic_store_n(&left.n, left.n + 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&left.lock);
}

void fx_blob_drop(uint64_t id)
{
    if (fx_self()->channel.conn)
        fx_blob_release(id);
    else
        remember_left(id);
}

void fx_uploads_drop(struct fx_payload *p)
{
    for (int i = 0; i < p->nuploads; i++)
        fx_blob_drop(p->uploads[i]);
    p->nuploads = 0;
}

/* Returns 1 if the server still has the array from upload `same`: it is upload u->id now; 0 if it
 * is to be sent, with the last error as before; or -1 if there is no time for that. */
static int is_there(const struct upload *u, uint64_t same)
{
    struct fx_rpc r;
    struct fx_error before;
    uint8_t secret[FX_SECRET_SIZE], hash[FX_HASH_SIZE];
    uint64_t had = 0;
    unsigned failures = fx_self()->failures;
    if (getrandom(secret, sizeof secret, 0) != (ssize_t)sizeof secret)
        return 0;
    fx_content_hash_secretly(u->data, u->size, secret, hash);
    fx_error_save(&before);
    int late = 0;
    if (fx_rpc_begin(&r, "upload", 5) == 0) {
        r.repeats = 1; /* that is: the array is sent */
        pack_uint(&r, "id", u->id);
        pack_uint(&r, "size", u->size);
        pack_uint(&r, "same", same);
        fx_pack_str(&r.pk, "secret");
        fx_pack_bin(&r.pk, secret, sizeof secret);
        fx_pack_str(&r.pk, "hash");
        fx_pack_bin(&r.pk, hash, sizeof hash);
        if (r.generation == u->generation) {
            if (fx_rpc_send(&r) == 0 && fx_rpc_recv(&r) == 0)
                fx_header_uint(&r.reply, "had", &had);
            else
                late = fx_error_kind() == FAISSX_E_TIMEOUT;
        }
        fx_rpc_end(&r);
    }
    if (late) {
        free(before.text);
        return -1;
    }
    fx_error_restore(&before);
    fx_self()->failures = failures;
    return had == 1;
}

static int send_it(struct upload *u)
{
    struct fx_rpc r;
    int rc;
    if (fx_rpc_begin(&r, "upload", 3) != 0)
        return -1;
    if (r.generation == u->generation) {
        u->fd = r.self->channel.near ? fx_memfd_make(u->data, u->size) : -1;
        rc = upload(&r, u);
    } else {
        rc = fx_fail(FAISSX_E_SESSION, "the session was lost before an array was sent");
    }
    if (rc == 0)
        fx_rpc_overcome(&r);
    if (u->fd >= 0)
        close(u->fd);
    free(u->piece);
    fx_rpc_end(&r);
    return rc;
}

/* Sends the array from another host, unless the server has it. */
static int send_or_ask(struct upload *u)
{
    struct fx_sent array = fx_sent_of(u->data, u->size, u->id, u->generation);
    uint64_t same = fx_self()->channel.again ? fx_sent_take(&array) : 0;
    int there = same ? is_there(u, same) : 0;
    if (there < 0 || (there == 0 && send_it(u) != 0))
        return -1;
    fx_sent_note(&array);
    return 0;
}

uint64_t fx_upload(const void *data, size_t size, int file)
{
    struct fx_thread *self = fx_self();
    if (!self)
        return 0;
    struct upload u = {.id = new_id(),
                       .data = data,
                       .size = size,
                       .file = file,
                       .generation = self->channel.generation,
                       .fd = -1};
    msgpack_sbuffer saved = set_aside(self);
    fx_blobs_release_left();
    int rc = self->channel.near || file >= 0 ? send_it(&u) : send_or_ask(&u);
    if (rc != 0)
        remember_left(u.id);
    put_back(self, saved);
    return rc == 0 ? u.id : 0;
}

static int ask_piece(struct fx_rpc *r, uint64_t id, size_t offset, size_t len)
{
    pack_uint(r, "id", id);
    pack_uint(r, "offset", offset);
    pack_uint(r, "size", len);
    return fx_rpc_send(r);
}

/* Leaves the last error alone, which is about what came before. */
void fx_blob_release(uint64_t id)
{
    struct fx_rpc r;
    struct fx_error before;
    fx_error_save(&before);
    if (fx_rpc_begin(&r, "release", 1) == 0) {
        pack_uint(&r, "id", id);
        if (fx_rpc_send(&r) == 0)
            fx_rpc_recv(&r);
        fx_rpc_end(&r);
        fx_rpc_overcome(&r);
    }
    fx_error_restore(&before);
}

/* A download.  Pieces may arrive in any order.  A sink gets them in theirs: those that arrive too
 * early wait in `slots`. */
struct download {
    struct fx_rpc r;
    uint64_t id, requests[WINDOW]; /* of the blob; of the pieces that were asked for last */
    size_t size, n;                /* bytes and pieces */
    size_t asked, delivered;
    char *data; /* where all of it goes, or NULL: to the sink */
    fx_sink_fn sink;
    void *ctx;
    char *slots[WINDOW];
    int full[WINDOW];
};

static size_t piece_size(const struct download *d, size_t k)
{
    size_t off = k * (size_t)FX_PIECE;
    return d->size - off < FX_PIECE ? d->size - off : FX_PIECE;
}

/* The server is waited for, not the sink. */
static int deliver(struct download *d, const char *piece)
{
    struct fx_away away = fx_thread_leave(d->r.self);
    int rc = d->sink(d->ctx, piece, piece_size(d, d->delivered));
    d->r.deadline += fx_thread_back(d->r.self, away);
    return rc;
}

static int take_piece(struct download *d)
{
    size_t len, k;
    d->r.oldest = d->requests[d->delivered % WINDOW];
    if (fx_rpc_recv(&d->r) != 0)
        return -1;
    for (k = d->delivered; k < d->asked && d->requests[k % WINDOW] != d->r.answered;)
        k++;
    int rc = k < d->asked ? fx_rpc_frame(&d->r, &len) : 1;
    if (rc < 0)
        return -1;
    if (rc != 0 || len != piece_size(d, k))
        return fx_rpc_malformed(&d->r, "a piece of a large array has the wrong size");
    char *to = d->data ? d->data + k * (size_t)FX_PIECE : d->slots[k % WINDOW];
    if (fx_rpc_read(&d->r, to, len) != 0 || drop_rest(&d->r) != 0)
        return -1;
    d->full[k % WINDOW] = 1;
    while (d->delivered < d->asked && d->full[d->delivered % WINDOW]) {
        size_t slot = d->delivered % WINDOW;
        d->full[slot] = 0;
        if (d->sink && deliver(d, d->slots[slot]) != 0)
            return -1;
        d->delivered++;
    }
    return 0;
}

/* The header of the first request has been begun. */
static int download_pieces(struct download *d)
{
    int rc = 0, first = 1;
    d->asked = d->delivered;
    memset(d->full, 0, sizeof d->full);
    while (rc == 0 && d->delivered < d->n) {
        if (d->asked < d->n && d->asked - d->delivered < WINDOW) {
            if (!first)
                fx_rpc_again(&d->r, "download", 3);
            first = 0;
            d->requests[d->asked % WINDOW] = d->r.id;
            rc = ask_piece(&d->r, d->id, d->asked * (size_t)FX_PIECE, piece_size(d, d->asked));
            d->asked++;
        } else {
            rc = take_piece(d);
        }
    }
    return rc;
}

static int download(struct download *d)
{
    int rc = 0;
    fx_blobs_release_left();
    d->n = (d->size + FX_PIECE - 1) / FX_PIECE;
    for (int i = 0; i < WINDOW && d->sink && rc == 0; i++)
        rc = (d->slots[i] = malloc(FX_PIECE)) ? 0 : fx_fail(FAISSX_E_MEMORY, "out of memory");
    if (rc == 0 && fx_rpc_begin(&d->r, "download", 3) == 0) {
        unsigned generation = d->r.generation;
        d->r.repeats = 1;
        while ((rc = download_pieces(d)) != 0 && fx_rpc_recover(&d->r) == 0) {
            if (d->r.self->channel.generation != generation) {
                rc = fx_fail(FAISSX_E_SESSION, "the session was lost while an array was fetched");
                break;
            }
            fx_rpc_again(&d->r, "download", 3);
        }
        if (rc == 0)
            fx_rpc_overcome(&d->r);
        fx_rpc_end(&d->r);
    } else {
        rc = -1;
    }
    for (int i = 0; i < WINDOW; i++)
        free(d->slots[i]);
    return rc;
}

int fx_download(uint64_t id, void *data, size_t size)
{
    struct download d = {.id = id, .size = size, .data = data};
    int rc = download(&d);
    fx_blob_drop(id);
    return rc;
}

int fx_download_to(uint64_t id, size_t size, fx_sink_fn sink, void *ctx)
{
    struct download d = {.id = id, .size = size, .sink = sink, .ctx = ctx};
    int rc = download(&d);
    fx_blob_drop(id); /* also when the sink has failed */
    return rc;
}
