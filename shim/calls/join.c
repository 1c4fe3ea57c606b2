/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/calls/join.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "shim/calls/array.h"
#include "shim/calls/handle.h"
#include "shim/faissx.h"
#include "shim/transport/repeat.h"

enum {
    IN_A_ROW = 2, /* adds that must succeed first */
    SMALL = 4096, /* bytes of one add, at most */
    JOIN_BYTES = 64 << 10,
    JOIN_CALLS = 512 /* of one request, at most */
};

/* The adds that are kept for one index.  `lock` is held while they are sent, so that other threads
 * wait for that. */
struct fx_join {
    pthread_mutex_t lock;
    struct fx_obj *obj; /* held while it is listed */
    struct fx_join *prev, *next;
    int listed; /* with joins.lock */
    int row;    /* adds that have succeeded in a row, up to IN_A_ROW */
    int op;
    int ncalls;
    size_t n;            /* vectors */
    size_t floats, room; /* in x, and how many fit */
    float *x;
    idx_t *ids;
    size_t room_ids;  /* how many fit in ids */
    uint32_t *counts; /* vectors of each call */
};

/* The order of locks is in init.h: that of an index's adds comes before joins.lock. */
static struct {
    pthread_mutex_t lock;
    struct fx_join *list; /* those with calls, oldest first */
    int count;            /* of them; atomic */
    int failed;           /* an error is to be reported; atomic */
    struct fx_error why;  /* the error */
    size_t limit;         /* bytes; atomic */
    int never;            /* atomic */
} joins = {.lock = PTHREAD_MUTEX_INITIALIZER};

void fx_join_configure(size_t limit)
{
    if (!__atomic_load_n(&joins.never, __ATOMIC_RELAXED))
        __atomic_store_n(&joins.limit, limit, __ATOMIC_RELAXED);
}

void fx_join_never(void)
{
    __atomic_store_n(&joins.never, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&joins.limit, 0, __ATOMIC_RELAXED);
}

static void empty(struct fx_join *j)
{
    free(j->x);
    free(j->ids);
    free(j->counts);
    j->x = NULL;
    j->ids = NULL;
    j->counts = NULL;
    j->room = j->room_ids = 0;
}

void fx_join_free(struct fx_join *j)
{
    if (!j)
        return;
    pthread_mutex_destroy(&j->lock);
    empty(j);
    free(j);
}

int fx_join_is_add(int op)
{
    return (fx_fns[op].flags & FX_JOIN) != 0;
}

void fx_join_note(struct fx_obj *o, int op)
{
    struct fx_join **at = fx_obj_join(o), *j = __atomic_load_n(at, __ATOMIC_ACQUIRE);
    /* Nothing is kept for an object that is older than a fork, and in the child the lock may be one
     * that another thread of the parent held. */
    if (fx_obj_shared(o))
        return;
    if (!j && fx_join_is_add(op) && (j = calloc(1, sizeof *j))) {
        struct fx_join *none = NULL;
        pthread_mutex_init(&j->lock, NULL);
        j->obj = o;
        if (!__atomic_compare_exchange_n(at, &none, j, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            fx_join_free(j);
            j = none;
        }
    }
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    if (!fx_join_is_add(op))
        j->row = 0;
    else if (j->row < IN_A_ROW)
        j->row++;
    pthread_mutex_unlock(&j->lock);
}

/* --- sending --- */

static void unlist(struct fx_join *j)
{
    pthread_mutex_lock(&joins.lock);
    if (j->listed) {
        DL_DELETE(joins.list, j);
        j->listed = 0;
        __atomic_sub_fetch(&joins.count, 1, __ATOMIC_RELEASE);
    } else {
        j = NULL;
    }
    pthread_mutex_unlock(&joins.lock);
    if (j)
        fx_obj_release(j->obj);
}

/* Are there ids?  The functions are of (index, n, x[, ids]). */
static int has_ids(int op)
{
    return fx_fns[op].nparams > 3;
}

/* One request, for which the server makes all calls. */
static int pack_joined(struct fx_rpc *r, void *ctx)
{
    const struct fx_join *j = ctx;
    fx_pack_str(&r->pk, "args");
    msgpack_pack_array(&r->pk, fx_fns[j->op].nparams);
    msgpack_pack_uint64(&r->pk, fx_obj_id(j->obj));
    msgpack_pack_uint64(&r->pk, j->n);
    int rc = fx_array_pack(&r->pk, &r->payload, j->x, j->floats * sizeof *j->x);
    if (rc == 0 && has_ids(j->op))
        rc = fx_array_pack(&r->pk, &r->payload, j->ids, j->n * sizeof *j->ids);
    fx_pack_str(&r->pk, "calls");
    msgpack_pack_array(&r->pk, (size_t)j->ncalls);
    for (int i = 0; i < j->ncalls; i++)
        msgpack_pack_uint32(&r->pk, j->counts[i]);
    return rc;
}

static int index_ready(void *ctx, int running)
{
    const struct fx_join *j = ctx;
    return fx_object_ready(j->obj, fx_fns[j->op].params[0].name, fx_fns[j->op].name, running);
}

static int send_joined(struct fx_join *j)
{
    struct fx_rpc r;
    struct fx_request q = {.operation = fx_fns[j->op].name,
                           .keys = 2,
                           .ready = index_ready,
                           .pack = pack_joined,
                           .ctx = j,
                           .changes = 1};
    return fx_rpc_call(&r, &q);
}

/* With its lock. */
static int send_kept(struct fx_join *j)
{
    struct fx_thread *self = fx_self();
    int rc = -1;
    if (self) {
        self->joining = 1;
        rc = send_joined(j);
        self->joining = 0;
    }
    if (rc != 0)
        j->row = 0;
    j->ncalls = 0;
    j->n = j->floats = 0;
    unlist(j); /* not earlier: other threads wait for those that are listed */
    return rc;
}

/* --- keeping --- */

static int reserve_add(struct fx_join *j, size_t floats, size_t ids)
{
    if (!j->counts && !(j->counts = malloc(JOIN_CALLS * sizeof *j->counts)))
        return -1;
    if (floats > j->room) {
        float *x = realloc(j->x, (JOIN_BYTES + SMALL) + floats * sizeof *x);
        if (!x)
            return -1;
        j->x = x;
        j->room = (JOIN_BYTES + SMALL) / sizeof *x + floats;
    }
    if (ids > j->room_ids) {
        idx_t *more = realloc(j->ids, 2 * ids * sizeof *more);
        if (!more)
            return -1;
        j->ids = more;
        j->room_ids = 2 * ids;
    }
    return 0;
}

static void keep_add(struct fx_join *j, int op, size_t n, size_t d, const float *x,
                     const idx_t *ids)
{
    memcpy(j->x + j->floats, x, n * d * sizeof *x);
    if (ids)
        memcpy(j->ids + j->n, ids, n * sizeof *ids);
    j->op = op;
    j->floats += n * d;
    j->n += n;
    j->counts[j->ncalls] = (uint32_t)n;
    if (j->ncalls++ > 0)
        return;
    fx_obj_hold(j->obj);
    pthread_mutex_lock(&joins.lock);
    DL_APPEND(joins.list, j);
    j->listed = 1;
    __atomic_add_fetch(&joins.count, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&joins.lock);
}

int fx_join_add(struct fx_obj *o, int op, const union fx_val *v)
{
    size_t limit = __atomic_load_n(&joins.limit, __ATOMIC_RELAXED);
    struct fx_join *j =
        fx_join_is_add(op) ? __atomic_load_n(fx_obj_join(o), __ATOMIC_ACQUIRE) : NULL;
    const idx_t *ids = has_ids(op) ? v[3].p : NULL;
    union fx_val d;
    if (!j || !limit || __atomic_load_n(&joins.failed, __ATOMIC_ACQUIRE) || v[1].i <= 0 ||
        v[1].i > SMALL || !v[2].p || (has_ids(op) && !ids) || !fx_obj_current(o) ||
        fx_obj_shared(o) || !fx_obj_fixed(o, FX_OP_Index_d, &d) || d.i <= 0 || d.i > SMALL ||
        (size_t)(v[1].i * d.i) > SMALL / sizeof(float))
        return 0;
    size_t n = (size_t)v[1].i, floats = n * (size_t)d.i;
    int kept = 0, rc = 0;
    pthread_mutex_lock(&j->lock);
    if (j->row >= IN_A_ROW) {
        if (j->ncalls && j->op != op)
            rc = send_kept(j);
        if (rc == 0 && reserve_add(j, j->floats + floats, ids ? j->n + n : 0) == 0) {
            keep_add(j, op, n, (size_t)d.i, v[2].p, ids);
            if (j->ncalls == JOIN_CALLS || j->floats * sizeof(float) >= limit)
                rc = send_kept(j);
            kept = 1;
        }
    }
    pthread_mutex_unlock(&j->lock);
    return rc == 0 ? kept : -1;
}

/* --- settling --- */

/* Move this thread's last error to joins.why. */
static void remember_failure(void)
{
    pthread_mutex_lock(&joins.lock);
    if (!joins.failed) { /* the first one is the cause of those that follow */
        fx_error_save(&joins.why);
        __atomic_store_n(&joins.failed, 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&joins.lock);
}

/* The oldest, with its object held; or NULL. */
static struct fx_join *oldest(void)
{
    pthread_mutex_lock(&joins.lock);
    struct fx_join *j = joins.list;
    if (j)
        fx_obj_hold(j->obj);
    pthread_mutex_unlock(&joins.lock);
    return j;
}

static int report_failure(int tell)
{
    static const char no_memory[] = "faissx: out of memory";
    int rc = 0;
    pthread_mutex_lock(&joins.lock);
    if (joins.failed) {
        const char *text = joins.why.text ? joins.why.text : no_memory;
        fx_set_error(joins.why.text ? joins.why.error : FAISSX_E_MEMORY, joins.why.code, text,
                     strlen(text));
        rc = -1;
        if (tell) {
            free(joins.why.text);
            joins.why.text = NULL;
            __atomic_store_n(&joins.failed, 0, __ATOMIC_RELEASE);
        }
    }
    pthread_mutex_unlock(&joins.lock);
    return rc;
}

int fx_join_settle(int tell)
{
    struct fx_join *j;
    int n = __atomic_load_n(&joins.count, __ATOMIC_ACQUIRE);
    if (n == 0 && !__atomic_load_n(&joins.failed, __ATOMIC_ACQUIRE))
        return 0;
    if (fx_self() && fx_self()->joining)
        return 0;
    for (; n > 0 && (j = oldest()); n--) { /* not those that other threads add meanwhile */
        struct fx_obj *o = j->obj;
        pthread_mutex_lock(&j->lock);
        int rc = j->ncalls ? send_kept(j) : 0;
        empty(j); /* there may be many indexes: keep no memory for each */
        pthread_mutex_unlock(&j->lock);
        if (rc != 0)
            remember_failure();
        fx_obj_release(o);
    }
    return report_failure(tell);
}

/* --- fork --- */

void fx_join_fork_prepare(void)
{
    fx_join_settle(0); /* the child sees the same indexes */
    pthread_mutex_lock(&joins.lock);
}

void fx_join_fork_done(int in_child)
{
    struct fx_join *j, *tmp;
    if (in_child) { /* the parent sends what its other threads keep */
        DL_FOREACH_SAFE(joins.list, j, tmp)
        {
            pthread_mutex_init(&j->lock, NULL);
            j->ncalls = 0;
            j->n = j->floats = 0;
            j->listed = 0;
            fx_obj_release(j->obj); /* frees j, perhaps */
        }
        joins.list = NULL;
        joins.count = 0;
    }
    pthread_mutex_unlock(&joins.lock);
}
