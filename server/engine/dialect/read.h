/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a message of the dialect: a map.  Lists of numbers go straight into arrays
 * (proto/numbers.h); all other values are few and small, and are decoded as a header is.
 *
 * No state; any thread.
 */
#ifndef FXD_READ_H
#define FXD_READ_H

#include "proto/numbers.h"
#include "proto/wire.h"

/* The lists of numbers that a message can have. */
enum fxd_list { FXD_VECTORS, FXD_QUERIES, FXD_TRAINING, FXD_VECTOR, FXD_LISTS };

struct fxd_map {
    struct fx_header fields; /* all other values */
    msgpack_sbuffer bytes;   /* of these */
    struct fxd_rows {
        bool given;
        struct fx_rows rows;
        char why[FX_NUMBERS_WHY]; /* if it could not be read: the reason, else "" */
    } lists[FXD_LISTS];
    bool has_ids;
    int64_t *ids;
    size_t nids;
    char ids_why[FX_NUMBERS_WHY];
};

/* Is it UTF-8, as Python reads it? */
bool fxd_is_utf8(const char *s, size_t n);

/* Reads a map.  Returns 0; or -1 if it is malformed, nested too deeply, has a key twice, or text
 * that is not UTF-8.  Free it with fxd_map_free in both cases. */
int fxd_map_read(struct fxd_map *m, const void *data, size_t size);
void fxd_map_free(struct fxd_map *m);

#endif
