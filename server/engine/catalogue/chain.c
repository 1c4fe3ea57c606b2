/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/catalogue/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/call/files.h"
#include "server/engine/catalogue/catalogue.h"
#include "server/engine/guard/guard.h"
#include "server/engine/guard/room.h"
#include "server/engine/training/training.h"

enum { LITTLE = 1 << 20, PIECE = 1 << 16 };

struct file {
    unsigned char *data;
    size_t size, room, most; /* bytes: there are, were allocated, may be allocated */
    enum fxe_transforms_state state;
    bool too_large;
    struct fxe_transforms *t;
};

/* FAISS stops writing when this returns 0. */
static ssize_t put(void *ctx, const char *data, size_t n)
{
    struct file *f = ctx;
    size_t want = f->size + n;
    if (f->state != FXE_TRANSFORMS_MORE || f->too_large)
        return 0;
    if (want > f->room) {
        size_t room = want + f->room;
        if (room > f->most)
            f->most = fxe_room_for(2 * room) / 2;
        unsigned char *more = room <= f->most ? realloc(f->data, room) : NULL;
        if (!more) {
            f->too_large = true;
            return 0;
        }
        f->data = more;
        f->room = room;
    }
    memcpy(f->data + f->size, data, n);
    f->size = want;
    f->state = fxe_transforms_read(f->data, f->size, f->t);
    return f->state == FXE_TRANSFORMS_MORE ? (ssize_t)n : 0;
}

/* --- reading --- */

static int explain(struct fxe_req *r, const struct file *f)
{
    if (f->state == FXE_TRANSFORMS_COMPLETE)
        return 0;
    if (f->state == FXE_TRANSFORMS_WRONG)
        return fxe_fail(r, "unsupported", "%s: %s", r->operation->name, f->t->why);
    if (f->too_large)
        return fxe_fail(r, "limit", "%s: the server has no memory for a copy of the transforms",
                        r->operation->name);
    return fxe_fail(r, "unsupported", "%s: the transforms of this index cannot be read",
                    r->operation->name);
}

static int read_from(struct fxe_req *r, struct fxe_obj *o, struct fxe_chain *c)
{
    struct file f = {.t = &c->t, .most = fxe_room() / 2};
    if (fxe_guard_save(r, o) != 0)
        return -1;
    FILE *out = fopencookie(&f, "w", (cookie_io_functions_t){.write = put});
    if (!out)
        return fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name);
    setvbuf(out, NULL, _IOFBF, PIECE);
    fxe_api()->write_index(o->ptr, out); /* fails where it was stopped */
    fclose(out);
    int rc = explain(r, &f);
    if (rc == 0) {
        c->size = c->t.end - c->t.begin;
        memmove(f.data, f.data + c->t.begin, c->size);
        c->bytes = f.data;
    } else {
        free(f.data);
    }
    return rc;
}

int fxe_chain_read(struct fxe_req *r, struct fxe_obj *o, struct fxe_chain *c)
{
    const struct fxe_training *t = fxe_training_of(o);
    *c = (struct fxe_chain){.size = 0};
    if (!t)
        return read_from(r, fxe_obj_target(o), c);
    struct fxe_obj next = {.cls = FX_CLASS_Index};
    next.ptr = fxe_training_make(r, next.cls, fxe_index_d(o), METRIC_L2, t->plan.description);
    int rc = next.ptr ? read_from(r, &next, c) : -1;
    fxe_obj_free_temporary(&next);
    return rc;
}

void fxe_chain_free(struct fxe_chain *c)
{
    free(c->bytes);
    *c = (struct fxe_chain){.size = 0};
}

/* --- a file with them --- */

static void append(unsigned char **at, const void *data, size_t n)
{
    memcpy(*at, data, n);
    *at += n;
}

static void append_header(unsigned char **at, const char *letters, int d)
{
    static const int64_t none = 0, unused = 1 << 20;
    static const int32_t metric = METRIC_L2;
    append(at, letters, 4);
    append(at, &d, sizeof d);
    append(at, &none, sizeof none);
    append(at, &unused, sizeof unused);
    append(at, &unused, sizeof unused);
    append(at, "\1", 1);
    append(at, &metric, sizeof metric);
}

void *fxe_chain_over_flat(struct fxe_req *r, const struct fxe_chain *c)
{
    static const uint64_t vectors = 0;
    unsigned char *bytes = malloc(c->size + LITTLE), *at = bytes;
    void *ptr = NULL;
    if (!bytes) {
        fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name);
        return NULL;
    }
    append_header(&at, "IxPT", c->t.d);
    append(&at, &c->t.n, sizeof c->t.n);
    append(&at, c->bytes, c->size);
    append_header(&at, "IxF2", fxe_chain_d_out(c));
    append(&at, &vectors, sizeof vectors);
    int rc = fxe_load_bytes(FX_CLASS_Index, bytes, (size_t)(at - bytes), &ptr);
    free(bytes);
    if (rc == 0 && ptr)
        return ptr;
    const char *text = rc == FAISS_EXCEPT ? fxe_api()->get_last_error() : NULL;
    fxe_fail(r, "limit", "%s: the transforms could not be copied: %s", r->operation->name,
             text ? text : "the server has no memory for a copy");
    return NULL;
}
