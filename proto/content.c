/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/content.h"

#include <stdlib.h>
#include <string.h>

/* Into this file, so that the stand-in needs no further library. */
#define XXH_INLINE_ALL
#include <xxhash.h>

/* The pages begin at multiples of a stride, which is doubled whenever there would be more than
 * MOST: so it depends on the size alone, and the size need not be known in advance. */
enum { FIRST_STRIDE = 2 * FX_PAGE, MOST = 128 };

struct fx_digest {
    XXH3_state_t *all;
    uint64_t at, stride;
    int n;
    XXH64_hash_t hashes[MOST + 1]; /* of the pages so far */
    char page[FX_PAGE];            /* the next one, as far as it is known */
};

static void put(uint8_t to[FX_HASH_SIZE], XXH128_hash_t h)
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, h);
    memcpy(to, c.digest, FX_HASH_SIZE);
}

void fx_content_hash(const void *data, size_t n, uint8_t hash[FX_HASH_SIZE])
{
    put(hash, XXH3_128bits(data, n));
}

void fx_content_hash_secretly(const void *data, size_t n, const void *secret,
                              uint8_t hash[FX_HASH_SIZE])
{
    _Static_assert((int)FX_SECRET_SIZE >= (int)XXH3_SECRET_SIZE_MIN, "XXH3 takes the secret");
    put(hash, XXH3_128bits_withSecret(data, n, secret, FX_SECRET_SIZE));
}

struct fx_digest *fx_digest_new(void)
{
    struct fx_digest *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->all = XXH3_createState();
    d->stride = FIRST_STRIDE;
    if (d->all && XXH3_128bits_reset(d->all) == XXH_OK)
        return d;
    XXH3_freeState(d->all);
    free(d);
    return NULL;
}

static void have_page(struct fx_digest *d)
{
    d->hashes[d->n++] = XXH3_64bits(d->page, FX_PAGE);
    if (d->n <= MOST)
        return;
    for (int i = 0; 2 * i < d->n; i++)
        d->hashes[i] = d->hashes[2 * i];
    d->n = (d->n + 1) / 2;
    d->stride *= 2;
}

void fx_digest_add(struct fx_digest *d, const void *data, size_t n)
{
    if (!d || !n)
        return;
    XXH3_128bits_update(d->all, data, n);
    for (;;) {
        uint64_t page = (uint64_t)d->n * d->stride;
        uint64_t from = page > d->at ? page : d->at, to = page + FX_PAGE;
        if (to > d->at + n)
            to = d->at + n;
        if (from < to)
            memcpy(d->page + (from - page), (const char *)data + (from - d->at), to - from);
        if (to < page + FX_PAGE)
            break;
        have_page(d);
    }
    d->at += n;
}

int fx_digest_end(struct fx_digest *d, struct fx_content *c)
{
    if (!d)
        return -1;
    if (c) {
        c->size = d->at;
        put(c->hash, XXH3_128bits_digest(d->all));
        fx_content_hash(d->hashes, (size_t)d->n * sizeof *d->hashes, c->pages);
    }
    XXH3_freeState(d->all);
    free(d);
    return 0;
}

int fx_content_pages(int (*read_at)(void *ctx, void *page, uint64_t offset), void *ctx,
                     uint64_t size, uint8_t pages[FX_HASH_SIZE])
{
    XXH64_hash_t hashes[MOST];
    uint64_t stride = FIRST_STRIDE;
    char page[FX_PAGE];
    int n = 0;
    while (size >= FX_PAGE && (size - FX_PAGE) / stride + 1 > MOST)
        stride *= 2;
    for (uint64_t at = 0; at + FX_PAGE <= size; at += stride) {
        if (read_at(ctx, page, at) != 0)
            return -1;
        hashes[n++] = XXH3_64bits(page, FX_PAGE);
    }
    fx_content_hash(hashes, (size_t)n * sizeof *hashes, pages);
    return 0;
}
