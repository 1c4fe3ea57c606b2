/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indexes that stay in their snapshot's file.
 *
 * From release 1.12 on, FAISS can leave the arrays of an index (codes, the graph of HNSW, inverted
 * lists) in a mapped file.  They take no memory but the kernel's page cache, and are there at once.
 * An index is mapped when the first request that needs it only reads, and it has no changes since
 * its snapshot.  FAISS ends the process when a mapped index is changed, and its clone shares the
 * mapping; so before any request that does more than read, the index is read into memory.
 *
 * The older IO_FLAG_MMAP is not used (docs/decisions.md).
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/engine/call/copy.h"
#include "server/engine/call/files.h"
#include "server/engine/catalogue/catalogue.h"
#include "server/engine/keep/keep.h"
#include "server/engine/keep/unnamed.h"

bool fxe_only_reads(const struct fxe_req *r)
{
    static const unsigned never =
        FX_FREE | FX_OWN | FX_OWNED | FX_BORROW | FX_NEW | FX_GPU | FX_RENEW;
    if (!r->fn)
        return r->operation == &fxe_save_operation || fxe_catalogue_only_reads(r->operation);
    if (r->fn->flags & never)
        return false;
    for (int i = 0; i < r->fn->nparams; i++) {
        const struct fx_param *p = &r->fn->params[i];
        if (p->kind == FX_HANDLES || p->kind == FX_OUT_HANDLE || p->kind == FX_LENT || p->kept ||
            (p->kind == FX_HANDLE && p->changed && !fx_classes[p->cls].value))
            return false;
    }
    return true;
}

bool fxe_is_mapped(const struct fxe_obj *o)
{
    return fxe_obj_target((struct fxe_obj *)(uintptr_t)o)->mapped;
}

static bool is_from(int wanted)
{
    int major = 0, minor = 0;
    return sscanf(fxe_engine.lib.version, "%d.%d", &major, &minor) == 2 &&
           (major > 1 || (major == 1 && minor >= wanted));
}

static bool release_maps(void)
{
    return is_from(12);
}

/* Before 1.15, FAISS allocates all inverted lists before the first one becomes a part of the
 * mapping, and does not free them if memory runs out.  Does the file begin like one of an index
 * that has none, and nothing else that is as large? */
static bool takes_no_memory(int fd)
{
    static const char known[][5] = {"IxFI", "IxF2", "IxFl", "IxSQ", "IxPq",
                                    "IHNf", "IHNs", "IBxF", "IBHf"};
    char head[4];
    if (is_from(15))
        return true;
    if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head)
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (memcmp(known[i], head, sizeof head) == 0)
            return true;
    return false;
}

static bool can_map(const struct fxe_kept *k)
{
    return release_maps() && !k->log_bytes && !k->note.plan.enough && !k->obj->nborrowed &&
           !k->obj->nkeeps && !k->obj->lender;
}

bool fxe_can_map(const struct fxe_kept *k)
{
    fxe_lock();
    bool can = can_map(k);
    fxe_unlock();
    return can;
}

bool fxe_may_stay_mapped(const struct fxe_kept *k)
{
    return k->obj->mapped || (!k->obj->ptr && can_map(k));
}

void *fxe_map_snapshot(struct fxe_kept *k, bool *damaged, char *why)
{
    void *ptr = NULL;
    int fd;
    *damaged = fxs_snapshot_file(fxe_keep_store(), k->entry, &fd, why) != FXS_STORE_OK;
    if (*damaged)
        return NULL;
    if (!takes_no_memory(fd) && !fxe_load_has_room(k, why)) {
        close(fd);
        return NULL;
    }
    return fxe_load_mapped(fx_root(k->obj->cls), fd, &ptr) == 0 ? ptr : NULL;
}

static void *copy_mapped(struct fxe_obj *o, char *why)
{
    char reason[FXE_COPY_WHY] = "";
    void *copy = NULL;
    if (fxe_copy_index(o, 0, &copy, reason) == 0)
        return copy;
    snprintf(why, FXS_STORE_WHY, "%s", *reason ? reason : "no memory for a copy");
    return NULL;
}

int fxe_unmap(struct fxe_obj *o, struct fxe_kept *k, char *why)
{
    struct fxe_obj *doomed = NULL;
    void *copy = NULL;
    /* It has no changes since its snapshot.  What the disk gives is verified again. */
    if (!k || fxe_load_snapshot(k, &copy, why) == FXS_STORE_NONE)
        copy = copy_mapped(o, why);
    if (!copy)
        return -1;
    fxe_lock();
    struct fxe_obj old = fxe_obj_replace(o, copy, &doomed);
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
    fxe_obj_free_temporary(&old);
    if (k)
        fxe_unnamed_resolve(k);
    return 0;
}
