/* SPDX-License-Identifier: Apache-2.0 */
#include "old_library.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"

static struct fx_api real;
static _Thread_local const char *text; /* of an error found here, until it is read */

static const char *last_error(void)
{
    const char *t = text;
    text = NULL;
    return t ? t : real.get_last_error();
}

static int fail(const char *why)
{
    text = why;
    return -2;
}

/* The bytes that sa_encode writes for one vector: those that differ from what was there
 * before, for one of two fillings. */
static int measure(const FaissIndex *index, size_t *size)
{
    size_t d = (size_t)real.Index_d(index), room = (1u << 20) + 64 * d;
    uint8_t *a = malloc(room), *b = malloc(room);
    float *x = malloc((d + 1) * sizeof *x);
    int rc = -1;
    if (!a || !b || !x) {
        fail("faissx: faiss_Index_sa_code_size: the server is out of memory");
        goto out;
    }
    for (size_t i = 0; i < d; i++)
        x[i] = 1;
    memset(a, 0x55, room);
    memset(b, 0xaa, room);
    rc = real.Index_sa_encode(index, 1, x, a);
    if (rc == 0)
        rc = real.Index_sa_encode(index, 1, x, b);
    for (*size = room; *size > 0; --*size)
        if (a[*size - 1] != 0x55 || b[*size - 1] != 0xaa)
            break;
out:
    free(a);
    free(b);
    free(x);
    return rc;
}

/* v1.7.3 computes it and forgets to store it. */
static int code_size(const FaissIndex *index, size_t *size)
{
    size_t stored = SIZE_MAX;
    int rc = real.Index_sa_code_size(index, &stored);
    if (rc == 0 && stored == SIZE_MAX) {
        if (!real.Index_is_trained(index))
            return fail("faissx: faiss_Index_sa_code_size: this release of FAISS does not tell "
                        "it, and it cannot be found out before the index is trained");
        rc = measure(index, &stored);
    }
    if (rc == 0)
        *size = stored;
    return rc;
}

void fxe_old_library(struct fx_library *lib)
{
    real = lib->api;
    if (!real.Index_sa_code_size || !real.Index_sa_encode || real.get_version)
        return;
    lib->api.Index_sa_code_size = code_size;
    lib->api.get_last_error = last_error;
}
