/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indexes that are read: before their bytes are sent, the server is asked whether it has them.
 *
 * A file on this machine is asked for by what the kernel says of it (device, number, size, times)
 * and a hash of some of its pages.  If it was changed so lately that its times need not tell, or
 * sending it costs more than reading it, all of it is hashed.  The server believes what a client
 * says of a file only as far as the pages, and hashes itself what it gets.
 *
 * A struct fx_source belongs to one thread.
 */
#ifndef FX_SHARE_H
#define FX_SHARE_H

#include <stdio.h>
#include <sys/stat.h>

#include "proto/content.h"

struct fx_rpc;

/* What is to be read, and where its handle goes. */
struct fx_wanted {
    int cls, flags;
    void **p_out;
    const char *function;
};

/* Packs the keys `class` and `flags`. */
void fx_wanted_pack(struct fx_rpc *r, const struct fx_wanted *w);

struct fx_source {
    int fd;           /* a regular file, not owned; -1: none */
    const void *data; /* else memory; NULL: neither, and nothing is asked */
    uint64_t from, size;
    int whole; /* the index has to end where the source ends */
    struct stat st;
    uint8_t file[FX_FILE_SIZE];
    int has_file, asked;
};

/* What is left of a stream if it is a regular file.  Returns whether it is. */
int fx_source_of_stream(struct fx_source *s, FILE *f);
int fx_source_of_file(struct fx_source *s, int fd, const struct stat *st);

/* Returns 1 if the server has the index: *w->p_out is its handle.  0: it has to be sent, and then
 * call fx_share_sent.  -1 with the error set. */
int fx_share_ask(struct fx_source *s, const struct fx_wanted *w);

/* The index has been sent, and `handle` is its handle.  `all`: it was all of the source. */
void fx_share_sent(struct fx_source *s, const struct fx_wanted *w, int all);

#endif
