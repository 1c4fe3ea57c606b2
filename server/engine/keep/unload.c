/* SPDX-License-Identifier: Apache-2.0 */
/* Frees indexes in memory that are also on disk, the least recently used first.  The next request
 * that needs one reads it again. */
#include "server/engine/guard/room.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/again.h"
#include "server/engine/training/training.h"
#include "server/log.h"

bool fxe_is_only_copy(const struct fxe_kept *k)
{
    return k->unlogged > k->unlogged_stored ||
           (fxe_engine.options.durability.mode == FXS_SNAPSHOT && k->log_bytes);
}

/* Nothing points into it, and no request has it or waits for it. */
static bool is_idle(const struct fxe_kept *k)
{
    const struct fxe_obj *o = k->obj;
    const struct fxe_group *g = o->group;
    if (o->training && (o->training->due || o->training->runs))
        return false;
    return o->ptr && !o->calls && !o->nborrowed && !o->nkeeps && !fxe_obj_is_within_others(o) &&
           !k->users && !g->writer && !g->readers && !g->waiting;
}

/* Those that are mapped go last: freeing them gives little. */
static bool is_before(const struct fxe_kept *a, const struct fxe_kept *b)
{
    return a->obj->mapped != b->obj->mapped ? b->obj->mapped : a->used_ms < b->used_ms;
}

/* Locks the index that has not been used for longest, of those that are idle and whose changes are
 * all on disk; or returns NULL. */
static struct fxe_kept *take_oldest(struct fxe_needs *needs)
{
    struct fxe_kept *oldest = NULL;
    fxe_lock();
    for (struct fxe_kept *k = fxe_keep_first(); k; k = k->next)
        if (is_idle(k) && !fxe_is_only_copy(k) && (!oldest || is_before(k, oldest)))
            oldest = k;
    if (oldest) {
        fxe_needs_add(needs, oldest->obj, true);
        fxe_needs_take(NULL, needs, true); /* it is free: nobody is queued */
        fxe_obj_hold(oldest->obj);
        fxe_keep_use(oldest);
    }
    fxe_unlock();
    return oldest;
}

static bool unload_oldest(void)
{
    struct fxe_needs needs = {.n = 0};
    struct fxe_obj *doomed = NULL;
    struct fxe_kept *k = take_oldest(&needs);
    if (!k)
        return false;
    struct fxe_obj *o = k->obj;
    uint64_t entry = k->entry, bytes = k->snapshot_bytes;
    fxe_keep_drop(k);
    fxe_lock();
    fxe_needs_give(&needs);
    fxe_obj_let_go(o, &doomed);
    fxe_keep_leave(k);
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
    fxs_log(FXS_INFO, "engine", "event=unloaded entry=%llu bytes=%llu", (unsigned long long)entry,
            (unsigned long long)bytes);
    return true;
}

void fxe_unload_for(size_t bytes)
{
    while (fxe_room() < bytes && (fxe_again_drop_all() || (fxe_keep_store() && unload_oldest())))
        ;
}

bool fxe_make_room_for(size_t bytes)
{
    if (fxe_room() >= bytes)
        return true;
    fxe_unload_for(bytes);
    return fxe_room() >= bytes;
}
