/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "request.h"

int fxe_check(struct fxe_req *r)
{
    for (int i = 0; i < r->fn->nparams; i++) {
        const struct fx_param *p = &r->fn->params[i];
        /* A negative count passes FAISS's loops and wraps in its allocations. */
        if (p->kind == FX_INT && r->v[i].i < 0 && (p->name[0] == 'n' && p->name[1] == '\0'))
            return fxe_fail(r, "argument", "%s: n is %lld", r->fn->name, (long long)r->v[i].i);
    }
    return 0;
}
