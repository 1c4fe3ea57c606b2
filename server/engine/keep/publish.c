/* SPDX-License-Identifier: Apache-2.0 */
/* Names of indexes in the store. */
#include <stdlib.h>

#include "server/engine/guard/guard.h"
#include "server/engine/keep/keep.h"
#include "server/engine/keep/written.h"
#include "server/engine/run/answers.h"

struct fxe_publishing {
    struct fxe_kept *k; /* not kept yet; NULL: it is, or its file is gone */
    struct fxe_written file;
};

static int cannot_store(struct fxe_req *r, const char *why)
{
    msgpack_sbuffer_clear(&r->reply); /* it may have been packed for the snapshot */
    return fxe_fail(r, "limit", "%s: the index could not be stored: %s", r->operation->name, why);
}

static int write_file(struct fxe_req *r, struct fxe_publishing *p, struct fxe_obj *o)
{
    char why[FXS_STORE_WHY];
    p->k->obj = o;
    if (fxe_guard_save(r, o) != 0)
        return -1;
    return fxe_written_file(&p->file, p->k, o, why) == 0 ? 0 : cannot_store(r, why);
}

int fxe_keep_write(struct fxe_req *r, struct fxe_obj *o, struct fxe_publishing **out)
{
    *out = NULL;
    fxe_lock();
    bool is_kept = o->kept != NULL;
    fxe_unlock();
    if (!fxe_keep_store() || is_kept)
        return 0;
    struct fxe_publishing *p = calloc(1, sizeof *p);
    if (!p || !(p->k = calloc(1, sizeof *p->k))) {
        free(p);
        return fxe_fail(r, "limit", "the server is out of memory");
    }
    if (write_file(r, p, o) != 0) {
        free(p->k);
        free(p);
        return -1;
    }
    *out = p;
    return 0;
}

void fxe_keep_written(struct fxe_publishing *p)
{
    if (!p)
        return;
    if (p->k)
        fxe_written_drop(&p->file);
    free(p->k);
    free(p);
}

static int commit(struct fxe_req *r, struct fxe_publishing *p, const char *name)
{
    char why[FXS_STORE_WHY];
    struct fxe_kept *k = p->k;
    p->k = NULL; /* whether it succeeds or not, the file is not p's any more */
    if (fxe_written_commit(&p->file, name, r, why) != 0) {
        free(k);
        return cannot_store(r, why);
    }
    fxe_lock();
    fxe_keep_adopt(k);
    fxe_unlock();
    return 0;
}

int fxe_keep_publish(struct fxe_req *r, struct fxe_obj *o, const char *name,
                     struct fxe_publishing *p)
{
    char why[FXS_STORE_WHY];
    struct fxe_publishing *now = NULL;
    if (!fxe_keep_store())
        return 0;
    if (o->kept) /* it was before, or somebody else has published it meanwhile */
        return fxs_store_name(fxe_keep_store(), o->kept->entry, name, why) == FXS_STORE_OK
                   ? 0
                   : cannot_store(r, why);
    if (!p && fxe_keep_write(r, o, &now) != 0) /* it was kept, and has been unpublished meanwhile */
        return -1;
    int rc = commit(r, p ? p : now, name);
    fxe_keep_written(now);
    return rc;
}

int fxe_keep_rename(struct fxe_req *r, const char *name, const char *to)
{
    char why[FXS_STORE_WHY];
    struct fx_frame frames[FX_FRAMES_MAX];
    struct fxs_caller caller = {.number = 0};
    void *answer = NULL;
    size_t size = 0;
    if (!fxe_keep_store())
        return 0;
    if (fxe_answers_caller(r, &caller)) {
        int n = fxe_reply_pack(r, frames);
        answer = fxe_answer_pack(frames, n, &size);
    }
    enum fxs_store_rc rc = fxs_store_rename(fxe_keep_store(), name, to, &caller, answer, size, why);
    free(answer);
    if (rc == FXS_STORE_OK || rc == FXS_STORE_NONE)
        return 0;
    msgpack_sbuffer_clear(&r->reply);
    return fxe_fail(r, "limit", "%s: %s", r->operation->name, why);
}
