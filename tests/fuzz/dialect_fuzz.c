/* SPDX-License-Identifier: Apache-2.0 */
/* Reads arbitrary bytes as a message of the dialect.  What is read must agree with itself. */
#include <string.h>

#include "seed.h"
#include "server/engine/dialect/read.h"

static void seeds(const char *dir)
{
    msgpack_sbuffer b;
    msgpack_packer pk;
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 5);
    fx_pack_str(&pk, "action");
    fx_pack_str(&pk, "add_with_ids");
    fx_pack_str(&pk, "index_id");
    fx_pack_str(&pk, "x");
    fx_pack_str(&pk, "vectors");
    msgpack_pack_array(&pk, 2);
    for (int i = 0; i < 2; i++) {
        msgpack_pack_array(&pk, 2);
        msgpack_pack_double(&pk, 0.5);
        msgpack_pack_int(&pk, i);
    }
    fx_pack_str(&pk, "ids");
    msgpack_pack_array(&pk, 2);
    msgpack_pack_int64(&pk, -70000);
    msgpack_pack_int64(&pk, 5);
    fx_pack_str(&pk, "params");
    msgpack_pack_map(&pk, 1);
    fx_pack_str(&pk, "nprobe");
    msgpack_pack_int(&pk, 3);
    seed(dir, "add", b.data, b.size);
    msgpack_sbuffer_destroy(&b);
    seed(dir, "lie", "\x81\xa7vectors\xdd\xff\xff\xff\xff", 14);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *dir = seed_dir(*argc, *argv);
    if (dir)
        seeds(dir);
    return 0;
}

static volatile double sink; /* so that every number is really read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fxd_map m;
    double sum = 0;
    if (fxd_map_read(&m, data, n) == 0) {
        for (int i = 0; i < FXD_LISTS; i++) {
            const struct fxd_rows *l = &m.lists[i];
            require(!l->rows.x || (l->given && !l->why[0]));
            require(!l->given || l->why[0] || l->rows.x);
            for (size_t k = 0; l->rows.x && k < l->rows.n * l->rows.d; k++)
                sum += (double)l->rows.x[k];
        }
        for (size_t i = 0; i < m.nids; i++)
            sum += (double)m.ids[i];
        require(m.fields.map->size <= 64);
    }
    sink = sum;
    fxd_map_free(&m);
    return 0;
}
