/* SPDX-License-Identifier: Apache-2.0 */
/* index_replace: vectors with ids that may be there take the places of those that have them. */
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/removal.h"
#include "server/engine/catalogue/vectors.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/room.h"

/* A new vector, which is row `row` of the request's. */
struct fresh {
    idx_t id;
    size_t row;
    idx_t place; /* of the last vector that has its id, or -1 */
};

static int no_memory(struct fxe_req *r)
{
    return fxe_fail(r, "limit", "index_replace: the server is out of memory");
}

static int by_id(const void *x, const void *y)
{
    const struct fresh *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

static int by_row(const void *x, const void *y)
{
    const struct fresh *a = x, *b = y;
    return (a->row > b->row) - (a->row < b->row);
}

static int sort(struct fxe_req *r, const idx_t *ids, size_t n, struct fresh **sorted)
{
    struct fresh *f = *sorted = malloc(n * sizeof *f + 1);
    if (!f)
        return no_memory(r);
    for (size_t i = 0; i < n; i++)
        f[i] = (struct fresh){ids[i], i, -1};
    qsort(f, n, sizeof *f, by_id);
    for (size_t i = 1; i < n; i++)
        if (f[i].id == f[i - 1].id)
            return fxe_fail(r, "argument", "index_replace: ids has %lld more than once",
                            (long long)f[i].id);
    return 0;
}

/* Finds the places of the vectors that have these ids, which are sorted.  Those that have the id of
 * a later one, too, are listed in s->at. */
static int find_old(struct fxe_req *r, struct fxe_some *s, struct fresh *fresh, size_t n,
                    size_t *found)
{
    *found = 0;
    free(s->at);
    s->m = 0;
    s->at = malloc(s->n * sizeof *s->at + 1);
    if (!s->at)
        return no_memory(r);
    for (size_t i = 0; i < n; i++)
        fresh[i].place = -1;
    for (size_t i = 0; i < s->n && n > 0; i++) {
        struct fresh key = {.id = s->ids[i]}, *f = bsearch(&key, fresh, n, sizeof key, by_id);
        if (!f)
            continue;
        if (f->place >= 0)
            s->at[s->m++] = f->place;
        else
            ++*found;
        f->place = (idx_t)i;
    }
    return 0;
}

/* The new vectors whose ids are there, or those whose ids are not, in the order of the request.
 * Returns how many these are. */
static size_t pick(const struct fxe_req *r, const struct fresh *fresh, size_t n, size_t d,
                   bool there, float *x, idx_t *ids)
{
    const float *all = r->v[2].p;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if ((fresh[i].place >= 0) != there)
            continue;
        memcpy(x + m * d, all + fresh[i].row * d, d * sizeof *x);
        ids[m++] = there ? fresh[i].place : fresh[i].id;
    }
    return m;
}

/* What is not there is added first: that changes no place, and may fail before anything is removed.
 */
static int replace_in_lists(struct fxe_req *r, struct fxe_some *s, struct fresh *fresh, size_t n)
{
    size_t d = (size_t)fxe_index_d(s->o);
    float *x = malloc(n * d * sizeof *x + 1);
    idx_t *ids = malloc(n * sizeof *ids + 1);
    int rc = x && ids ? 0 : no_memory(r);
    if (rc == 0) {
        qsort(fresh, n, sizeof *fresh, by_row);
        rc = fxe_add_some(r, s->o, x, ids, pick(r, fresh, n, d, false, x, ids));
    }
    if (rc == 0) {
        size_t m = pick(r, fresh, n, d, true, x, ids);
        r->halfway = true;
        rc = fxe_remove_batch(r, &s->inner, ids, m) || fxe_add_some(r, &s->inner, x, ids, m) ? -1
                                                                                             : 0;
        if (rc == 0)
            r->halfway = false;
    }
    free(x);
    free(ids);
    return rc;
}

/* Of several vectors with one id, all but the last are removed like any others. */
static int remove_doubles(struct fxe_req *r, struct fxe_some *s, const struct fxe_lists *l)
{
    struct fxe_obj *o = s->o;
    int rc = fxe_some_remove(r, s, l);
    fxe_some_free(s);
    fxe_some_of(s, o);
    return rc;
}

static int by_number(const void *a, const void *b)
{
    idx_t x = *(const idx_t *)a, y = *(const idx_t *)b;
    return (x > y) - (x < y);
}

/* Returns 1 if the new vectors have been added, too. */
static int replace_in_map(struct fxe_req *r, struct fxe_some *s, struct fresh *fresh, size_t n)
{
    struct fxe_lists l = {.n = 0};
    size_t found = 0;
    int rc = find_old(r, s, fresh, n, &found);
    if (rc != 0 || found == 0)
        return rc; /* many indexes cannot remove vectors */
    if (!fxe_has_lists(&s->inner))
        return fxe_remove_batch(r, s->o, r->v[3].p, n);
    rc = fxe_lists_open(r, &s->inner, &l);
    if (rc == 0)
        rc = fxe_some_check(r, s, &l);
    if (rc == 0 && s->m) {
        qsort(s->at, s->m, sizeof *s->at, by_number);
        rc = remove_doubles(r, s, &l);
        if (rc == 0)
            rc = find_old(r, s, fresh, n, &found);
    }
    if (rc == 0)
        rc = replace_in_lists(r, s, fresh, n);
    fxe_lists_free(&l);
    return rc == 0 ? 1 : -1;
}

static int replace(struct fxe_req *r, struct fxe_obj *o, size_t n)
{
    struct fxe_some s;
    struct fresh *fresh = NULL;
    int rc = sort(r, r->v[3].p, n, &fresh);
    if (rc == 0 && fxe_is_tight(r, fxe_obj_target(o), fxe_act_of(r->op)))
        rc = fxe_fail(r, "limit",
                      "index_replace: there may be too little memory for %zu vectors, and none was "
                      "removed (%zu bytes are left)",
                      n, fxe_room());
    if (rc == 0) {
        rc = fxe_some_of(&s, o) ? replace_in_map(r, &s, fresh, n)
                                : fxe_remove_batch(r, o, r->v[3].p, n);
        fxe_some_free(&s);
    }
    free(fresh);
    return rc;
}

int fxe_replace_first(struct fxe_req *r)
{
    struct fxe_obj *o = r->obj[0];
    if (!fxe_is_binary(o) && !fxe_own_ids(o->ptr) && !fxe_id_map_of(o))
        return fxe_fail(r, "argument",
                        "index_replace: the ids of this index are its vectors' positions; expected "
                        "one with ids of its own, such as 'IDMap2,Flat'");
    return replace(r, o, (size_t)r->v[1].i);
}
