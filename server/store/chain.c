/* SPDX-License-Identifier: Apache-2.0 */
/* An entry's records, each with its checksum and the number of the one before. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/store/scan.h"

enum fxs_store_rc fxs_row_load(struct fxs_store *s, struct fxs_row *row, struct fxs_buffer *b,
                               char *why)
{
    if (row->size > b->cap || !b->data) {
        free(b->data);
        b->cap = 0;
        if (row->size > (uint64_t)4 << 30 ||
            posix_memalign(&b->data, 64, row->size ? row->size : 1) != 0) {
            b->data = NULL;
            return fxs_why(FXS_STORE_MEMORY, why,
                           "no memory for record %" PRIu64 " of %" PRIu64 " bytes", row->number,
                           row->size);
        }
        b->cap = row->size;
    }
    if (row->segment) {
        enum fxs_store_rc rc = fxs_segment_read(s, row, b->data, why);
        if (rc != FXS_STORE_OK)
            return rc;
    } else if (row->size) {
        memcpy(b->data, row->data, row->size);
    }
    row->data = b->data;
    if (fxs_store_moved)
        fxs_store_moved(row->size);
    if (fxs_row_hash(row, &(struct iovec){b->data, row->size}, 1) == row->hash)
        return FXS_STORE_OK;
    return fxs_why(FXS_STORE_DAMAGED, why, "record %" PRIu64 " has a wrong checksum", row->number);
}

struct chain {
    struct fxs_store *s;
    struct fxs_buffer buffer;
    bool first;
    uint64_t *last;
    int (*f)(void *ctx, const struct fxs_row *row);
    void *ctx;
    enum fxs_store_rc rc;
    char *why;
};

static int link_of(void *ctx, const struct fxs_row *from)
{
    struct chain *c = ctx;
    struct fxs_row row = *from;
    if (c->first ? row.previous > *c->last : row.previous != *c->last) {
        c->rc = fxs_why(FXS_STORE_DAMAGED, c->why, "record %" PRIu64 " is missing", row.previous);
        return 1;
    }
    c->rc = fxs_row_load(c->s, &row, &c->buffer, c->why);
    if (c->rc != FXS_STORE_OK)
        return 1;
    c->first = false;
    *c->last = row.number;
    return c->f(c->ctx, &row);
}

enum fxs_store_rc fxs_chain(struct fxs_store *s, uint64_t entry, uint64_t position,
                            int (*f)(void *ctx, const struct fxs_row *row), void *ctx,
                            uint64_t *last, char *why)
{
    struct chain c = {.s = s, .first = true, .last = last, .f = f, .ctx = ctx, .why = why};
    *last = position;
    enum fxs_store_rc rc = fxs_scan_records(s->reader, entry, position, link_of, &c, why);
    free(c.buffer.data);
    return c.rc != FXS_STORE_OK ? c.rc : rc;
}
