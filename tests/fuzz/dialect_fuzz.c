/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reader of the dialect's maps. */
#include <stdint.h>

#include "server/engine/dialect/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fxd_map m;
    if (fxd_map_read(&m, data, size) == 0)
        fx_header_get(&m.fields, "action");
    fxd_map_free(&m);
    return 0;
}
