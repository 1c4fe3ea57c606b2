/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "attack.h"

static void pair_str(struct bytes *h, const char *key, const char *value)
{
    mp_str(h, key);
    mp_str(h, value);
}

static void pair_uint(struct bytes *h, const char *key, uint64_t value)
{
    mp_str(h, key);
    mp_uint(h, value);
}

/* Appends the delimiter, the header and, unless payload is NULL, a payload frame; frees the header.
 */
static void put_message(struct bytes *b, struct bytes *header, const void *payload, size_t n)
{
    put_frame(b, MORE, "", 0);
    put_frame(b, payload ? MORE : 0, header->p, header->n);
    if (payload)
        put_frame(b, 0, payload, n);
    bytes_free(header);
}

void put_simple(struct bytes *b, const char *operation, const char *key, uint64_t id)
{
    struct bytes h = {0};
    mp_map(&h, key ? 3 : 2);
    pair_str(&h, "operation", operation);
    pair_uint(&h, "request_id", id);
    if (key)
        pair_str(&h, "api_key", key);
    put_message(b, &h, NULL, 0);
}

void put_hello(struct bytes *b, const char *key, uint64_t id)
{
    struct bytes h = {0};
    mp_map(&h, key ? 4 : 3);
    pair_str(&h, "operation", "hello");
    pair_uint(&h, "request_id", id);
    pair_uint(&h, "protocol", 1);
    if (key)
        pair_str(&h, "api_key", key);
    put_message(b, &h, NULL, 0);
}

void put_attach(struct bytes *b, const char *key, const uint8_t *token, uint64_t id)
{
    struct bytes h = {0};
    mp_map(&h, key ? 4 : 3);
    pair_str(&h, "operation", "attach");
    pair_uint(&h, "request_id", id);
    mp_str(&h, "session");
    mp_bin(&h, token, TOKEN);
    if (key)
        pair_str(&h, "api_key", key);
    put_message(b, &h, NULL, 0);
}

struct bytes call_header(const char *function, const uint8_t *token, uint64_t id, unsigned nargs)
{
    struct bytes h = {0};
    mp_map(&h, 4);
    pair_str(&h, "operation", function);
    pair_uint(&h, "request_id", id);
    mp_str(&h, "session");
    mp_bin(&h, token, TOKEN);
    mp_str(&h, "args");
    mp_array(&h, nargs);
    return h;
}

void put_factory(struct bytes *b, const uint8_t *token, uint64_t id)
{
    struct bytes h = call_header("faiss_index_factory", token, id, 4);
    mp_true(&h);
    mp_int(&h, D);
    mp_str(&h, "Flat");
    mp_int(&h, 1);
    put_message(b, &h, NULL, 0);
}

void put_add(struct bytes *b, const uint8_t *token, uint64_t id, uint64_t index, const float *x,
             size_t n)
{
    struct bytes h = call_header("faiss_Index_add", token, id, 3);
    mp_uint(&h, index);
    mp_int(&h, (int64_t)n);
    mp_uint(&h, 0);
    put_message(b, &h, x, n * D * sizeof *x);
}

void put_search(struct bytes *b, const uint8_t *token, uint64_t id, uint64_t index, const float *x,
                size_t n, size_t k)
{
    struct bytes h = call_header("faiss_Index_search", token, id, 6);
    mp_uint(&h, index);
    mp_int(&h, (int64_t)n);
    mp_uint(&h, 0);
    mp_int(&h, (int64_t)k);
    mp_true(&h);
    mp_true(&h);
    put_message(b, &h, x, n * D * sizeof *x);
}

/* The C API's FaissClusteringParameters. */
struct clustering {
    int niter, nredo, verbose, spherical, int_centroids, update_index, frozen_centroids, min, max,
        seed;
    size_t decode_block_size;
};

void put_clustering(struct bytes *b, const uint8_t *token, uint64_t id, unsigned nredo)
{
    struct clustering p = {.niter = 25,
                           .nredo = (int)nredo,
                           .min = 39,
                           .max = 256,
                           .seed = 1234,
                           .decode_block_size = 32768};
    struct bytes h = call_header("faiss_Clustering_new_with_params", token, id, 4);
    mp_true(&h);
    mp_int(&h, D);
    mp_int(&h, 32);
    mp_uint(&h, 0);
    put_message(b, &h, &p, sizeof p);
}

void put_train(struct bytes *b, const uint8_t *token, uint64_t id, uint64_t clustering,
               uint64_t index, const float *x, size_t n)
{
    struct bytes h = call_header("faiss_Clustering_train", token, id, 4);
    mp_uint(&h, clustering);
    mp_int(&h, (int64_t)n);
    mp_uint(&h, 0);
    mp_uint(&h, index);
    put_message(b, &h, x, n * D * sizeof *x);
}

float *vectors(size_t n, uint32_t seed)
{
    float *x = malloc(n * D * sizeof *x);
    uint32_t s = seed * 2654435761u + 1;
    if (!x)
        die("out of memory for %zu vectors", n);
    for (size_t i = 0; i < n * D; i++) {
        s = s * 1664525u + 1013904223u;
        x[i] = (float)(s >> 8) / (float)(1 << 24);
    }
    return x;
}
