/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tells one index file from another: a hash of all its bytes, and one of some 100 pages of
 * it, which can be had without reading the rest.
 *
 * The hashes are XXH3's, which find accidents and not attacks: see docs/remote.md.
 */
#ifndef FX_CONTENT_H
#define FX_CONTENT_H

#include <stddef.h>
#include <stdint.h>

enum {
    FX_HASH_SIZE = 16,
    FX_FILE_SIZE = 2 * FX_HASH_SIZE, /* of what a client calls a file: its identity and its pages */
    FX_CONTENT_MIN = 1 << 20,        /* bytes: less is not worth a question */
    FX_PAGE = 4096
};

struct fx_content {
    uint64_t size;
    uint8_t hash[FX_HASH_SIZE];  /* of all bytes */
    uint8_t pages[FX_HASH_SIZE]; /* of the pages */
};

/* Takes the bytes one after the other.  fx_digest_new returns NULL if memory is out; the other two
 * do nothing with NULL, and fx_digest_end returns -1.  It frees the digest; c may be NULL. */
struct fx_digest;
struct fx_digest *fx_digest_new(void);
void fx_digest_add(struct fx_digest *d, const void *data, size_t n);
int fx_digest_end(struct fx_digest *d, struct fx_content *c);

/* The hash of the pages, read by read_at, which returns 0 if it has read FX_PAGE bytes at `offset`.
 * Returns 0, or -1 if it has not. */
int fx_content_pages(int (*read_at)(void *ctx, void *page, uint64_t offset), void *ctx,
                     uint64_t size, uint8_t pages[FX_HASH_SIZE]);

/* A hash that depends on a secret, which is random and used once: who does not know it can hardly
 * find two arrays that have the same hash more often than for one secret in 2^32. */
enum { FX_SECRET_SIZE = 192 };
void fx_content_hash_secretly(const void *data, size_t n, const void *secret,
                              uint8_t hash[FX_HASH_SIZE]);

/* The hash of a few bytes. */
void fx_content_hash(const void *data, size_t n, uint8_t hash[FX_HASH_SIZE]);

#endif
