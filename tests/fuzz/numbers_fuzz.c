/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads arbitrary bytes as lists of numbers.  What is read is written, and must be read again as
 * the same.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/numbers.h"
#include "seed.h"

static void seeds(const char *dir)
{
    msgpack_sbuffer b;
    msgpack_packer pk;
    static const float x[] = {1, 2, 0.5F};
    static const int64_t ids[] = {1, -1, 1000, INT64_MIN};
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
    fx_ids_write(&b, ids, 4);
    seed(dir, "ids", b.data, b.size);
    msgpack_sbuffer_clear(&b);
    msgpack_pack_array(&pk, 2);
    fx_floats_write(&b, x, 3);
    fx_floats_write(&b, x, 3);
    seed(dir, "rows", b.data, b.size);
    msgpack_sbuffer_clear(&b);
    msgpack_pack_array(&pk, 3);
    msgpack_pack_double(&pk, 1);
    msgpack_pack_true(&pk);
    msgpack_pack_uint64(&pk, UINT64_MAX);
    seed(dir, "mixed", b.data, b.size);
    msgpack_sbuffer_destroy(&b);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = seed_dir(*argc, *argv);
    if (dir)
        seeds(dir);
    return 0;
}

static void check_rows(const uint8_t *data, size_t size)
{
    const uint8_t *at = data;
    struct fx_rows r, again;
    char why[FX_NUMBERS_WHY] = "";
    msgpack_sbuffer b;
    if (fx_rows_read(&at, data + size, "x", &r, why) != 0) {
        require(at == data && *why && !r.x);
        return;
    }
    require(r.n * r.d <= size && at > data && at <= data + size);
    msgpack_sbuffer_init(&b);
    require(fx_floats_write(&b, r.x, r.n * r.d) == 0);
    at = (const uint8_t *)b.data;
    require(fx_rows_read(&at, at + b.size, "x", &again, why) == 0);
    require(again.n * again.d == r.n * r.d || r.n * r.d == 0);
    require(memcmp(again.x, r.x, r.n * r.d * sizeof *r.x) == 0);
    free(again.x);
    free(r.x);
    msgpack_sbuffer_destroy(&b);
}

static void check_ids(const uint8_t *data, size_t size)
{
    const uint8_t *at = data;
    int64_t *ids, *again;
    size_t n, m;
    char why[FX_NUMBERS_WHY] = "";
    msgpack_sbuffer b;
    if (fx_ids_read(&at, data + size, "ids", &ids, &n, why) != 0) {
        require(at == data && *why && !ids);
        return;
    }
    msgpack_sbuffer_init(&b);
    require(fx_ids_write(&b, ids, n) == 0);
    at = (const uint8_t *)b.data;
    require(fx_ids_read(&at, at + b.size, "ids", &again, &m, why) == 0);
    require(m == n && memcmp(again, ids, n * sizeof *ids) == 0);
    free(again);
    free(ids);
    msgpack_sbuffer_destroy(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_rows(data, size);
    check_ids(data, size);
    return 0;
}
