/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/files/share.h"

#include <fcntl.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/fd.h"
#include "shim/calls/handle.h"
#include "shim/faissx.h"
#include "shim/settings.h"
#include "shim/transport/repeat.h"

enum {
    SETTLED = 3,     /* seconds after which another change must show in a file's times */
    PIECE = 1 << 20, /* bytes */
    LONGEST_MS = 200 /* between two questions */
};

/* The server is one that cannot be asked. */
static int cannot_ask; /* atomic */

void fx_wanted_pack(struct fx_rpc *r, const struct fx_wanted *w)
{
    fx_pack_str(&r->pk, "class");
    fx_pack_str(&r->pk, fx_classes[w->cls].name);
    fx_pack_str(&r->pk, "flags");
    msgpack_pack_int(&r->pk, w->flags);
}

/* --- sources --- */

int fx_source_of_file(struct fx_source *s, int fd, const struct stat *st)
{
    *s = (struct fx_source){.fd = fd, .size = (uint64_t)st->st_size, .st = *st};
    return S_ISREG(st->st_mode);
}

int fx_source_of_stream(struct fx_source *s, FILE *f)
{
    struct stat st;
    int fd = fileno(f);
    off_t at = fd < 0 || __fpending(f) ? -1 : ftello(f);
    *s = (struct fx_source){.fd = -1};
    if (at < 0 || fstat(fd, &st) != 0 || at > st.st_size || !fx_source_of_file(s, fd, &st))
        return 0;
    s->from = (uint64_t)at;
    s->size -= s->from;
    s->whole = 1;
    return 1;
}

static int read_page(void *ctx, void *page, uint64_t offset)
{
    const struct fx_source *s = ctx;
    return pread(s->fd, page, FX_PAGE, (off_t)(s->from + offset)) == FX_PAGE ? 0 : -1;
}

/* Bytes that name this machine until it is started again. */
static int boot_id(char id[64])
{
    int fd = fx_fd_high(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    ssize_t n = fd < 0 ? -1 : read(fd, id, 64);
    if (fd >= 0)
        close(fd);
    return n >= 36 ? 0 : -1;
}

static int is_settled(const struct stat *st)
{
    time_t now = time(NULL);
    return st->st_mtim.tv_sec <= now - SETTLED && st->st_ctim.tv_sec <= now - SETTLED;
}

/* What the kernel says of the file, and its pages.  Returns 0, or -1 if that does not tell it from
 * others. */
static int identify(struct fx_source *s)
{
    struct {
        char machine[64];
        uint64_t dev, ino, size, from;
        int64_t mtime[2], ctime[2];
    } id;
    memset(&id, 0, sizeof id);
    if (s->fd < 0 || !is_settled(&s->st) || boot_id(id.machine) != 0)
        return -1;
    id.dev = s->st.st_dev;
    id.ino = s->st.st_ino;
    id.size = s->size;
    id.from = s->from;
    id.mtime[0] = s->st.st_mtim.tv_sec;
    id.mtime[1] = s->st.st_mtim.tv_nsec;
    id.ctime[0] = s->st.st_ctim.tv_sec;
    id.ctime[1] = s->st.st_ctim.tv_nsec;
    fx_content_hash(&id, sizeof id, s->file);
    return fx_content_pages(read_page, s, s->size, s->file + FX_HASH_SIZE);
}

/* Did its times change while it was read? */
static int is_unchanged(const struct fx_source *s)
{
    struct stat now;
    return fstat(s->fd, &now) == 0 && now.st_size == s->st.st_size &&
           memcmp(&now.st_mtim, &s->st.st_mtim, sizeof now.st_mtim) == 0 &&
           memcmp(&now.st_ctim, &s->st.st_ctim, sizeof now.st_ctim) == 0;
}

/* Reads a file, because a mapping raises a signal if the file is cut short meanwhile. */
static int hash_all(const struct fx_source *s, uint8_t hash[FX_HASH_SIZE])
{
    struct fx_digest *d = fx_digest_new();
    struct fx_content c;
    char *piece = s->fd >= 0 ? malloc(PIECE) : NULL;
    uint64_t left = s->size;
    if (s->fd < 0) {
        fx_digest_add(d, s->data, s->size);
        left = 0;
    }
    while (left && piece) {
        ssize_t n = pread(s->fd, piece, left < PIECE ? (size_t)left : PIECE,
                          (off_t)(s->from + s->size - left));
        if (n <= 0)
            break;
        fx_digest_add(d, piece, (size_t)n);
        left -= (uint64_t)n;
    }
    free(piece);
    if (fx_digest_end(d, &c) != 0 || left)
        return -1;
    memcpy(hash, c.hash, FX_HASH_SIZE);
    return 0;
}

/* --- asking --- */

struct question {
    const struct fx_source *s;
    const struct fx_wanted *w;
    const uint8_t *name;
    size_t size;
    uint64_t wait; /* milliseconds: another client is sending it */
    int known;
};

static int pack_question(struct fx_rpc *r, void *ctx)
{
    const struct question *q = ctx;
    fx_wanted_pack(r, q->w);
    fx_pack_str(&r->pk, "whole");
    if (q->s->whole)
        msgpack_pack_true(&r->pk);
    else
        msgpack_pack_false(&r->pk);
    fx_pack_str(&r->pk, q->size == FX_FILE_SIZE ? "file" : "hash");
    fx_pack_bin(&r->pk, q->name, q->size);
    return 0;
}

static int take_answer(struct fx_rpc *r, void *ctx)
{
    struct question *q = ctx;
    q->wait = 0;
    q->known = fx_header_get(&r->reply, "out") != NULL;
    if (q->known)
        return fx_take_out_handle(r, q->w->cls, q->w->p_out, q->w->function);
    fx_header_uint(&r->reply, "wait", &q->wait);
    return 0;
}

static void sleep_ms(uint64_t ms)
{
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* A server that does not know the question gets the bytes; any other error is the call's. */
static int ask_once(struct question *q)
{
    struct fx_rpc r;
    struct fx_error before;
    struct fx_request request = {
        .operation = "load_known", .keys = 4, .pack = pack_question, .take = take_answer, .ctx = q};
    fx_error_save(&before);
    int rc = fx_rpc_call(&r, &request);
    if (rc != 0 && fx_error_kind() != FAISSX_E_UNSUPPORTED) {
        free(before.text);
        return -1;
    }
    if (rc != 0)
        __atomic_store_n(&cannot_ask, 1, __ATOMIC_RELAXED);
    fx_error_restore(&before);
    return 0;
}

static int ask(struct fx_source *s, const struct fx_wanted *w, const uint8_t *name, size_t size)
{
    struct question q = {.s = s, .w = w, .name = name, .size = size};
    uint64_t waited = 0, more = 0, most = (uint64_t)fx_settings_timeout_ms();
    s->asked = 1;
    for (;;) {
        int rc = ask_once(&q);
        if (rc != 0 || q.known)
            return rc != 0 ? rc : 1;
        if (!q.wait || waited > most)
            return 0;
        more = more ? 2 * more : q.wait;
        if (more > LONGEST_MS)
            more = LONGEST_MS;
        sleep_ms(more);
        waited += more;
    }
}

/* Is it over a Unix socket, so that sending costs less than hashing? */
static int is_near(void)
{
    const struct fx_thread *self = fx_self();
    return self && self->channel.conn && self->channel.near;
}

int fx_share_ask(struct fx_source *s, const struct fx_wanted *w)
{
    uint8_t hash[FX_HASH_SIZE];
    int rc = 0;
    s->asked = 0;
    if ((s->fd < 0 && !s->data) || s->size < FX_CONTENT_MIN || w->cls == FX_CLASS_VectorTransform ||
        __atomic_load_n(&cannot_ask, __ATOMIC_RELAXED))
        return 0;
    s->has_file = identify(s) == 0;
    if (s->has_file)
        rc = ask(s, w, s->file, sizeof s->file);
    if (rc != 0 || (s->has_file && is_near()) || hash_all(s, hash) != 0)
        return rc;
    rc = ask(s, w, hash, sizeof hash);
    if (rc == 1)
        fx_share_sent(s, w, 1);
    return rc;
}

/* --- after it was sent --- */

struct memory {
    uint64_t id;
    const uint8_t *file; /* or NULL: it is not to be remembered */
};

static int pack_memory(struct fx_rpc *r, void *ctx)
{
    const struct memory *m = ctx;
    fx_pack_str(&r->pk, "handle");
    msgpack_pack_uint64(&r->pk, m->id);
    if (m->file) {
        fx_pack_str(&r->pk, "file");
        fx_pack_bin(&r->pk, m->file, FX_FILE_SIZE);
    }
    return 0;
}

/* If this fails, others send the index again: no harm is done. */
void fx_share_sent(struct fx_source *s, const struct fx_wanted *w, int all)
{
    struct fx_rpc r;
    struct fx_error before;
    if (!s->asked || !s->has_file)
        return;
    struct fx_obj *o = fx_obj_get(*w->p_out);
    if (!o)
        return;
    struct memory m = {fx_obj_id(o), all && is_unchanged(s) ? s->file : NULL};
    struct fx_request q = {.operation = "remember",
                           .keys = m.file ? 2 : 1,
                           .pack = pack_memory,
                           .ctx = &m,
                           .brief = 1};
    fx_error_save(&before);
    fx_rpc_call(&r, &q);
    fx_error_restore(&before);
    fx_obj_release(o);
}
