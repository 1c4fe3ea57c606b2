/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing lists of numbers as the FAISSx dialect has them: 10,000 vectors of 128
 * doubles in msgpack, 11.5 MB, and 1,000 results of 100.  Beside them the same with msgpack-c,
 * which makes an object of each number.  A worker (see bench.h).
 */
#include <msgpack.h>

#include "bench.h"
#include "proto/numbers.h"

enum { N = 10000, D = 128, RESULTS = 1000, K = 100 };

static msgpack_sbuffer vectors;

static void make_vectors(void)
{
    msgpack_packer pk;
    msgpack_sbuffer_init(&vectors);
    msgpack_packer_init(&pk, &vectors, msgpack_sbuffer_write);
    msgpack_pack_array(&pk, N);
    for (int i = 0; i < N; i++) {
        msgpack_pack_array(&pk, D);
        for (int j = 0; j < D; j++)
            msgpack_pack_double(&pk, (i * 31 + j * 17) % 1000 / 997.0);
    }
}

static double mb_per_s(size_t bytes, int64_t begin)
{
    return (double)bytes * 1000 / (double)(now_ns() - begin);
}

static void read_ours(void)
{
    const uint8_t *at = (const uint8_t *)vectors.data;
    struct fx_rows rows;
    char why[FX_NUMBERS_WHY];
    int64_t begin = now_ns();
    if (fx_rows_read(&at, at + vectors.size, "vectors", &rows, why) != 0)
        die("%s", why);
    report("read_mb_s", mb_per_s(vectors.size, begin));
    free(rows.x);
}

static void read_tree(void)
{
    msgpack_unpacked u;
    float *x = need((size_t)N * D * sizeof *x), *to = x;
    int64_t begin = now_ns();
    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, vectors.data, vectors.size, NULL) != MSGPACK_UNPACK_SUCCESS)
        die("msgpack-c cannot read the vectors");
    for (uint32_t i = 0; i < N; i++)
        for (uint32_t j = 0; j < D; j++)
            *to++ = (float)u.data.via.array.ptr[i].via.array.ptr[j].via.f64;
    msgpack_unpacked_destroy(&u);
    report("read_tree_mb_s", mb_per_s(vectors.size, begin));
    free(x);
}

static void write_ours(void)
{
    static float distances[K];
    static int64_t ids[K];
    msgpack_sbuffer b;
    for (int i = 0; i < K; i++) {
        distances[i] = (float)i / 7;
        ids[i] = i * 997;
    }
    msgpack_sbuffer_init(&b);
    int64_t begin = now_ns();
    for (int i = 0; i < RESULTS; i++)
        if (fx_floats_write(&b, distances, K) != 0 || fx_ids_write(&b, ids, K) != 0)
            die("out of memory");
    report("write_mb_s", mb_per_s(b.size, begin));
    msgpack_sbuffer_destroy(&b);
}

int main(void)
{
    make_vectors();
    while (turn()) {
        read_ours();
        read_tree();
        write_ours();
    }
    return 0;
}
