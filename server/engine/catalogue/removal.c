/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/catalogue/removal.h"

#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/part.h"
#include "server/engine/catalogue/vectors.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/guard.h"
#include "server/engine/guard/room.h"

enum { LARGE = 1 << 24 }; /* bytes: that there is room for fewer is likely */

static int no_memory(struct fxe_req *r)
{
    return fxe_fail(r, "limit", "%s: the server is out of memory", r->operation->name);
}

bool fxe_some_of(struct fxe_some *s, struct fxe_obj *o)
{
    *s = (struct fxe_some){.o = o, .map = fxe_id_map_of(o)};
    if (!s->map)
        return false;
    fxe_api()->IndexIDMap_id_map(s->map, &s->ids, &s->n);
    s->inner.cls = FX_CLASS_Index;
    s->inner.ptr = fxe_api()->IndexIDMap_sub_index(s->map);
    return true;
}

void fxe_some_free(struct fxe_some *s)
{
    free(s->at);
    free(s->moved);
    if (s->inner.ptr)
        fxe_guard_forget(&s->inner);
}

/* --- calls --- */

static int remove_batch(struct fxe_req *r, struct fxe_obj *o, const idx_t *ids, size_t n,
                        bool uneven)
{
    struct fxe_part p;
    msgpack_object *a = fxe_part_begin(
        &p, r, fxe_is_binary(o) ? FX_OP_IndexBinary_remove_ids : FX_OP_Index_remove_ids);
    p.r.uneven = uneven;
    msgpack_object batch[2] = {fxe_text("batch", 5), fxe_part_array(&p, ids, n * sizeof *ids)};
    p.r.obj[0] = o;
    a[1] = fxe_array(batch, 2);
    a[2] = fxe_true();
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    return rc;
}

int fxe_remove_batch(struct fxe_req *r, struct fxe_obj *o, const idx_t *ids, size_t n)
{
    return remove_batch(r, o, ids, n, false);
}

int fxe_add_some(struct fxe_req *r, struct fxe_obj *o, const float *x, const idx_t *ids, size_t n)
{
    struct fxe_part p;
    if (n == 0)
        return 0;
    msgpack_object *a = fxe_part_begin(&p, r, FX_OP_Index_add_with_ids);
    p.r.obj[0] = o;
    a[1] = fxe_int((int64_t)n);
    a[2] = fxe_part_array(&p, x, n * (size_t)fxe_index_d(o) * sizeof *x);
    a[3] = fxe_part_array(&p, ids, n * sizeof *ids);
    int rc = fxe_part_call(&p);
    fxe_part_end(&p);
    return rc;
}

/* --- an IDMap over inverted lists --- */

int fxe_some_check(struct fxe_req *r, const struct fxe_some *s, const struct fxe_lists *l)
{
    if (s->n == l->n && l->plain && s->n == (size_t)fxe_ntotal_of(s->o))
        return 0;
    return fxe_fail(r, "unsupported",
                    "%s: the ids in the index's inverted lists are not the positions in its IDMap, "
                    "so which vector has which id is not known, and nothing was changed; expected "
                    "an index of which faiss_Index_remove_ids has removed nothing, and whose "
                    "vectors are all finite",
                    r->operation->name);
}

/* Finds an id that no vector has: one of the n + 1 smallest. */
static int unused_id(struct fxe_req *r, const struct fxe_some *s, idx_t *id)
{
    unsigned char *used = calloc(s->n / 8 + 1, 1);
    if (!used)
        return no_memory(r);
    for (size_t i = 0; i < s->n; i++) {
        uint64_t above = (uint64_t)s->ids[i] - (uint64_t)INT64_MIN;
        if (above <= s->n)
            used[above / 8] |= (unsigned char)(1u << above % 8);
    }
    *id = INT64_MIN;
    for (size_t i = 0; used[i / 8] & 1u << i % 8; i++)
        ++*id;
    free(used);
    return 0;
}

/* FAISS cuts the map off behind the first `left` when the ids behind them are removed, which are no
 * longer in the lists. */
static int shorten_map(struct fxe_req *r, struct fxe_some *s, size_t left, idx_t none)
{
    for (size_t i = left; i < s->n; i++)
        s->ids[i] = none;
    return remove_batch(r, s->o, &none, 1, true);
}

/* Lists the vectors that get other positions, which are behind the first `left`, in `last`, and
 * reads them.  Returns how many there are, or -1 with the reply set. */
static int64_t read_last(struct fxe_req *r, struct fxe_some *s, size_t left,
                         const struct fxe_lists *l, idx_t *last)
{
    size_t n = 0, d = (size_t)fxe_index_d(s->o), next = 0, size;
    while (next < s->m && (size_t)s->at[next] < left)
        next++;
    for (size_t i = left; i < s->n; i++)
        if (next < s->m && (size_t)s->at[next] == i)
            next++;
        else
            last[n++] = (idx_t)i;
    if (__builtin_mul_overflow(n, d * sizeof(float), &size) || size > SIZE_MAX / 8 ||
        (size > LARGE && size > fxe_room_for(4 * size) / 4) ||
        (n && fxe_is_tight(r, fxe_obj_target(s->o), fxe_act_of(r->op))))
        return fxe_fail(r, "limit",
                        "%s: the server has no memory for %zu vectors that get other positions",
                        r->operation->name, n);
    s->moved = malloc(size + 1);
    if (!s->moved)
        return no_memory(r);
    return fxe_lists_read(r, &s->inner, l, last, n, s->moved) == 0 ? (int64_t)n : -1;
}

int fxe_some_remove(struct fxe_req *r, struct fxe_some *s, const struct fxe_lists *l)
{
    size_t left = s->n - s->m;
    idx_t none = 0, *gone = malloc(2 * s->m * sizeof *gone + 1);
    if (!gone)
        return no_memory(r);
    idx_t *last = gone + s->m;
    int64_t moved = read_last(r, s, left, l, last);
    memcpy(gone, s->at, s->m * sizeof *gone);
    int rc = moved < 0 ? -1 : unused_id(r, s, &none);
    r->halfway = rc == 0;
    if (rc == 0)
        rc = fxe_remove_batch(r, &s->inner, gone, s->m + (size_t)moved);
    if (rc == 0)
        rc = fxe_add_some(r, &s->inner, s->moved, s->at, (size_t)moved);
    for (int64_t i = 0; i < moved && rc == 0; i++)
        s->ids[s->at[i]] = s->ids[last[i]];
    if (rc == 0)
        rc = shorten_map(r, s, left, none);
    if (rc == 0)
        r->halfway = false;
    free(gone);
    return rc;
}

int fxe_remove_first(struct fxe_req *r)
{
    struct fxe_some s;
    struct fxe_lists l = {.n = 0};
    const FaissIDSelector *selector = r->v[1].p;
    int rc = 0;
    if (!selector || !fxe_some_of(&s, r->obj[0]))
        return 0;
    if (!fxe_has_lists(&s.inner) || fxe_require(r, FX_OP_IDSelector_is_member) != 0) {
        fxe_some_free(&s);
        return r->failed ? -1 : 0;
    }
    s.at = malloc(s.n * sizeof *s.at + 1);
    if (!s.at)
        rc = no_memory(r);
    for (size_t i = 0; i < s.n && rc == 0; i++)
        if (fxe_api()->IDSelector_is_member(selector, s.ids[i]))
            s.at[s.m++] = (idx_t)i;
    if (rc == 0 && s.m)
        rc = fxe_lists_open(r, &s.inner, &l);
    if (rc == 0 && s.m)
        rc = fxe_some_check(r, &s, &l);
    if (rc == 0 && s.m)
        rc = fxe_some_remove(r, &s, &l);
    if (rc == 0 && r->v[2].p)
        *(size_t *)r->v[2].p = s.m;
    fxe_lists_free(&l);
    fxe_some_free(&s);
    return rc == 0 ? 1 : -1;
}
