/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "server/engine/keep/keep.h"
#include "server/engine/run/answers.h"

/* The client sends this key with a request that it has sent before. */
static bool is_again(const struct fxe_req *r)
{
    const msgpack_object *o = fx_header_get(&r->header, "again");
    return o && o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean;
}

static enum fxe_asked known(struct fxe_req *r, void *answer, size_t size)
{
    if (fxe_answer_send(r, answer, size) == 0)
        r->repeated = 1;
    else
        fxe_fail(r, "limit", "the call was made, but its results are lost");
    free(answer);
    return FXE_ASKED_KNOWN;
}

enum fxe_asked fxe_keep_asked(struct fxe_req *r)
{
    struct fxs_caller caller;
    char why[FXS_STORE_WHY] = "its record is gone";
    void *answer = NULL;
    size_t size;
    uint64_t entry, number;
    if (!fxe_keep_store() || !is_again(r) || r->keep == FXE_KEEP_RECORDED ||
        !fxe_answers_caller(r, &caller))
        return FXE_ASKED_NEW;
    enum fxs_store_rc rc =
        fxs_store_find_answer(fxe_keep_store(), &caller, &answer, &size, &entry, &number, why);
    if (rc == FXS_STORE_NONE && r->keep != FXE_KEEP_ASKED)
        return FXE_ASKED_NEW;
    if (rc == FXS_STORE_OK && answer)
        return known(r, answer, size);
    if (rc == FXS_STORE_OK && !*why && r->keep == FXE_KEEP_RECORD)
        return FXE_ASKED_RECORD;
    if (rc == FXS_STORE_OK && *why) {
        fxe_fail(r, "unsupported", "the change was set aside, and is not made: %s", why);
        return FXE_ASKED_KNOWN;
    }
    fxe_fail(r, "limit", "it is not known whether the call was made before the engine ended: %s",
             rc == FXS_STORE_OK ? "its record has no answer" : why);
    return FXE_ASKED_KNOWN;
}
