/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/catalogue/part.h"

#include <stdlib.h>

#include "server/engine/call/extras.h"
#include "server/engine/catalogue/keys.h"

msgpack_object *fxe_part_begin(struct fxe_part *p, struct fxe_req *of, int op)
{
    *p = (struct fxe_part){.of = of, .msg.nframes = 1};
    msgpack_sbuffer_init(&p->r.extra);
    msgpack_sbuffer_init(&p->r.reply);
    p->r.msg = &p->msg;
    p->r.operation = of->operation;
    p->r.session = of->session;
    p->r.op = op;
    p->r.fn = &fx_fns[op];
    p->args[0] = fxe_array(p->args + 1, p->r.fn->nparams);
    for (int i = 1; i <= FX_PARAMS_MAX; i++)
        p->args[i] = (msgpack_object){.type = MSGPACK_OBJECT_NIL};
    p->r.args = p->args;
    return p->args + 1;
}

msgpack_object fxe_part_array(struct fxe_part *p, const void *data, size_t size)
{
    /* Frame 0 is the header's.  No call has so many arrays that they do not fit. */
    p->msg.frames[p->msg.nframes] = (struct fx_buffer){(void *)(uintptr_t)data, size, 0};
    return fxe_int(p->msg.nframes++ - 1);
}

int fxe_part_call(struct fxe_part *p)
{
    struct fxe_req *r = &p->r, *of = p->of;
    bool missing = !fxe_extra_has(r->op) && fxe_require(r, r->op) != 0;
    if (!missing && fxe_call_resolve(r) == 0)
        fxe_call_make(r);
    if (!r->failed)
        return 0;
    free(of->message);
    of->failed = true;
    of->code = r->code;
    of->kind = r->kind;
    of->message = r->message;
    r->message = NULL;
    return -1;
}

int fxe_part_give(struct fxe_part *p, int i)
{
    void *data = p->r.out[i].data;
    p->r.out[i].data = NULL;
    return fxe_reply_array(p->of, data, p->r.out[i].size);
}

void fxe_part_end(struct fxe_part *p)
{
    fxe_values_free(&p->r.values);
    p->r.msg = NULL; /* not of the heap, nor are its frames this part's */
    fxe_req_clear(&p->r);
}
