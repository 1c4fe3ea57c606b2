/* SPDX-License-Identifier: Apache-2.0 */
/* What check.c (scalars and objects) and check_arrays.c share. */
#ifndef FXE_CHECK_ARGS_H
#define FXE_CHECK_ARGS_H

#include <stdio.h>
#include <string.h>

#include "server/engine/run/request.h"

static inline int refuse(struct fxe_req *r, const char *why)
{
    return fxe_fail(r, "argument", "%s: %s", r->fn->name, why);
}

static inline int param(const struct fxe_req *r, const char *name)
{
    for (int i = 0; i < r->fn->nparams; i++)
        if (strcmp(r->fn->params[i].name, name) == 0)
            return i;
    return -1;
}

static inline int64_t scalar(const struct fxe_req *r, const char *name)
{
    int i = param(r, name);
    return i < 0 ? 0 : r->v[i].i;
}

/* How many vectors is the call about?  0 where that is not known. */
static inline int64_t rows(const struct fxe_req *r)
{
    return r->fn->rows < 0 ? 0 : r->v[r->fn->rows].i;
}

/* Is the server's FAISS at least 1.`minor`? */
static inline int since(int minor)
{
    int major = 0, have = 0;
    sscanf(fxe_engine.lib.version, "%d.%d", &major, &have);
    return major > 1 || have >= minor;
}

/* Is the index one (through the library's cast, where it has it)? */
#define IS(Class, index) (fxe_api()->Class##_cast && fxe_api()->Class##_cast(index))

int fxe_is_fast_scan(FaissIndex *index);

/* check_arrays.c: do the keys of the index mean something else than positions?  And keys
 * that must be positions. */
int fxe_own_ids(FaissIndex *index);
int fxe_check_keys(struct fxe_req *r, int64_t first, int64_t n);

#endif
