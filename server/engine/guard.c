/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <math.h>
#include <stdlib.h>

#include "catch.h"
#include "check_args.h"
#include "joined.h"
#include "refusal.h"
#include "room.h"
#include "shape.h"
#include "trial.h"

enum {
    SHAPES = 4096,     /* beyond which nothing is remembered of a shape */
    WORK = 100000000,  /* multiplications that a first trial may take */
    COPIED = 1 << 24,  /* numbers in an index that a first trial may copy */
    STRINGS = 1 << 14, /* factory strings that are remembered */
    LONGEST = 1024,    /* characters of a factory string */
    PARTS = 32,        /* and what it nests */
    BLAS = 20,         /* queries from which FAISS uses it */
    LITTLE = 64 << 20,
    MUCH = 1 << 20,   /* bytes of memory */
    CENTROID_MIN = 39 /* vectors for each centroid, or FAISS warns */
};

static const double FIRST_SECONDS = 1, EACH_SECONDS = 600, HANG_SECONDS = 10;

/* What is known of an act in given circumstances: nothing; it works; it is to be tried each
 * time; it is refused. */
enum { UNKNOWN, FINE, ASK, REFUSED };

struct fxe_shape {
    uint8_t *known[FXE_NACTS]; /* FXE_CIRCUMSTANCES each, when first needed */
    UT_hash_handle hh;
    char text[];
};

static struct {
    pthread_mutex_t lock;
    struct fxe_shape *shapes;
    struct fxe_shape *strings; /* of the factory: known[0] is used alone */
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- shapes --- */

static struct fxe_shape *intern(struct fxe_shape **table, unsigned most, const char *text)
{
    struct fxe_shape *s = NULL;
    size_t n = strlen(text);
    pthread_mutex_lock(&memory.lock);
    HASH_FIND(hh, *table, text, n, s);
    if (!s && HASH_COUNT(*table) < most && (s = calloc(1, sizeof *s + n + 1))) {
        memcpy(s->text, text, n);
        HASH_ADD(hh, *table, text[0], n, s);
    }
    pthread_mutex_unlock(&memory.lock);
    return s;
}

static uint8_t *known(struct fxe_shape *s, enum fxe_act act, unsigned given)
{
    uint8_t *all = __atomic_load_n(&s->known[act], __ATOMIC_ACQUIRE);
    if (!all) {
        uint8_t *none = NULL;
        if (!(all = calloc(1, FXE_CIRCUMSTANCES)))
            return NULL;
        if (!__atomic_compare_exchange_n(&s->known[act], &none, all, 0, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            free(all);
            all = none;
        }
    }
    return &all[given];
}

/* Parts that the object keeps, but that FAISS would not write with it: shards. */
static void add_parts(const struct fxe_obj *o, char *text)
{
    for (int i = 0; i < o->nkeeps; i++) {
        char part[FXE_SHAPE_MAX];
        int root = fx_root(o->keeps[i]->cls);
        if (root != FX_CLASS_Index && root != FX_CLASS_IndexBinary)
            continue;
        fxe_shape_text(api(), o->keeps[i]->ptr, root == FX_CLASS_IndexBinary, part);
        add_parts(o->keeps[i], part);
        if (*part && !strstr(text, part) && strlen(text) + strlen(part) + 2 < FXE_SHAPE_MAX) {
            strcat(text, " ");
            strcat(text, part);
        }
    }
}

static struct fxe_shape *shape_of(struct fxe_obj *o)
{
    struct fxe_shape *s = __atomic_load_n(&o->shape, __ATOMIC_ACQUIRE);
    char text[FXE_SHAPE_MAX];
    if (s)
        return s;
    fxe_shape_text(api(), o->ptr, fx_root(o->cls) == FX_CLASS_IndexBinary, text);
    int whole = strncmp(text, "N5faiss", 7) != 0;
    if (!whole)
        add_parts(o, text);
    s = intern(&memory.shapes, SHAPES, text);
    if (s && whole) /* others get more parts */
        __atomic_store_n(&o->shape, s, __ATOMIC_RELEASE);
    return s;
}

/* --- what is asked for --- */

static enum fxe_act act_of(int op)
{
    switch (op) {
    case FX_OP_Index_train:
    case FX_OP_IndexBinary_train:
        return FXE_ACT_train;
    case FX_OP_Index_add:
    case FX_OP_IndexBinary_add:
        return FXE_ACT_add;
    case FX_OP_Index_add_with_ids:
    case FX_OP_IndexBinary_add_with_ids:
        return FXE_ACT_add_with_ids;
    case FX_OP_Index_search:
    case FX_OP_Index_assign:
    case FX_OP_IndexBinary_search:
    case FX_OP_IndexBinary_assign:
        return FXE_ACT_search;
    case FX_OP_Index_search_with_params:
    case FX_OP_IndexBinary_search_with_params:
        return FXE_ACT_params;
    case FX_OP_Index_range_search:
    case FX_OP_IndexBinary_range_search:
        return FXE_ACT_range;
    case FX_OP_Index_reconstruct:
    case FX_OP_Index_reconstruct_n:
    case FX_OP_Index_reconstruct_batch:
    case FX_OP_IndexBinary_reconstruct:
    case FX_OP_IndexBinary_reconstruct_n:
        return FXE_ACT_reconstruct;
    case FX_OP_Index_compute_residual:
    case FX_OP_Index_compute_residual_n:
        return FXE_ACT_residual;
    case FX_OP_Index_sa_encode:
        return FXE_ACT_encode;
    case FX_OP_Index_sa_decode:
        return FXE_ACT_decode;
    case FX_OP_ParameterSpace_set_index_parameter:
    case FX_OP_ParameterSpace_set_index_parameter_binary:
    case FX_OP_ParameterSpace_set_index_parameters:
    case FX_OP_ParameterSpace_set_index_parameters_binary:
        return FXE_ACT_set;
    case FX_OP_clone_index:
    case FX_OP_clone_index_binary:
        return FXE_ACT_clone;
    case FX_OP_IndexIVF_merge_from:
    case FX_OP_Index_merge_from:
    case FX_OP_IndexBinaryIVF_merge_from:
        return FXE_ACT_merge;
    case FX_OP_IndexIVF_copy_subset_to:
        return FXE_ACT_copy_subset;
    case FX_OP_IndexIVF_make_direct_map:
    case FX_OP_IndexIVF_set_direct_map:
    case FX_OP_IndexBinaryIVF_make_direct_map:
    case FX_OP_IndexBinaryIVF_set_direct_map:
        return FXE_ACT_direct_map;
    case FX_OP_Index_remove_ids:
    case FX_OP_IndexBinary_remove_ids:
        return FXE_ACT_remove;
    case FX_OP_Index_reset:
    case FX_OP_IndexBinary_reset:
        return FXE_ACT_reset;
    case FX_OP_IndexIVF_search_preassigned:
    case FX_OP_IndexIVF_search_preassigned_with_params:
    case FX_OP_IndexBinaryIVF_search_preassigned:
    case FX_OP_IndexBinaryIVF_search_preassigned_with_params:
        return FXE_ACT_preassigned;
    case FX_OP_IndexIVFFlat_add_core:
    case FX_OP_IndexIVFFlat_update_vectors:
    case FX_OP_IndexIVFScalarQuantizer_add_core:
    case FX_OP_IndexIVF_train_encoder:
    case FX_OP_Clustering_train:
    case FX_OP_IndexIVF_search_closest_eligible_centroids:
        return FXE_ACT_other;
    }
    return FXE_ACT_none;
}

/* The first index among the arguments. */
static struct fxe_obj *index_of(const struct fxe_req *r)
{
    for (int i = 0; i < r->fn->nparams; i++) {
        int root = r->obj[i] ? fx_root(r->obj[i]->cls) : -1;
        if (root == FX_CLASS_Index || root == FX_CLASS_IndexBinary)
            return r->obj[i]->alias ? r->obj[i]->keeps[0] : r->obj[i];
    }
    return NULL;
}

static int is_binary(const struct fxe_obj *o)
{
    return fx_root(o->cls) == FX_CLASS_IndexBinary;
}

static int64_t ntotal_of(const struct fxe_obj *o)
{
    return is_binary(o) ? api()->IndexBinary_ntotal(o->ptr) : api()->Index_ntotal(o->ptr);
}

static int d_of(const struct fxe_obj *o)
{
    return is_binary(o) ? api()->IndexBinary_d(o->ptr) : api()->Index_d(o->ptr);
}

/* Are there numbers that are not finite, or whose squares' sums may not be? */
static int odd(const float *x, uint64_t n)
{
    uint32_t most = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    return most > 0x58635fa9; /* 1e15f */
}

static int has_odd(const struct fxe_req *r)
{
    int i = param(r, "x");
    return i >= 0 && r->fn->params[i].elem == FX_F32 && r->v[i].p && odd(r->v[i].p, r->elems[i]);
}

/* A search's parameters, as the client described them (wire.md). */
static unsigned params_of(const struct fxe_req *r)
{
    int i = param(r, "params");
    const msgpack_object *a = i < 0 ? NULL : fxe_call_arg(r, i);
    if (!a || a->type != MSGPACK_OBJECT_ARRAY || a->via.array.size < 2)
        return 0;
    return (a->via.array.ptr[1].type == MSGPACK_OBJECT_NIL ? 0 : FXE_SELECTOR) |
           (a->via.array.size == 7   ? FXE_OF_IVF
            : a->via.array.size == 5 ? FXE_OF_HNSW
                                     : 0);
}

static unsigned circumstances(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act)
{
    int64_t ntotal = ntotal_of(o), n = scalar(r, "n");
    unsigned given = ntotal == 0 ? FXE_EMPTY : 0;
    int trained =
        is_binary(o) ? api()->IndexBinary_is_trained(o->ptr) : api()->Index_is_trained(o->ptr);
    given |= trained ? 0 : FXE_UNTRAINED;
    if (param(r, "n") >= 0 && n == 0)
        given |= FXE_NOTHING;
    if (act == FXE_ACT_train)
        given |= (n == 1 ? FXE_ONE : 0) | (n < CENTROID_MIN ? FXE_FEW : 0);
    if (act == FXE_ACT_search || act == FXE_ACT_params || act == FXE_ACT_range)
        given |= n >= BLAS ? FXE_BATCH : 0;
    if ((act == FXE_ACT_search || act == FXE_ACT_params) && param(r, "k") >= 0)
        given |= (scalar(r, "k") == 0 ? FXE_K0 : 0) |
                 (scalar(r, "k") > ntotal && ntotal > 0 ? FXE_MANY : 0);
    if (act == FXE_ACT_params)
        given |= params_of(r);
    return given | (has_odd(r) ? FXE_ODD : 0);
}

/* --- trials --- */

struct attempt {
    struct fxe_req *r;
    int64_t n; /* of so many vectors; -1: all */
};

static void attempt(void *arg)
{
    struct attempt *a = arg;
    int n = param(a->r, "n");
    if (a->n >= 0 && n >= 0)
        a->r->v[n].i = a->n;
    fxe_call_faiss(a->r);
}

/* For the first trial a few vectors are enough, and work that takes long, or copies much, is
 * left out: -2. */
static int64_t enough(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act)
{
    int64_t n = r->fn ? scalar(r, "n") : 0, ntotal = ntotal_of(o), d = d_of(o);
    int64_t each = (ntotal + 1) * d;
    switch (act) {
    case FXE_ACT_train:
    case FXE_ACT_other:
        return n * d <= 1 << 17 ? -1 : -2;
    case FXE_ACT_add:
    case FXE_ACT_add_with_ids:
        return fxe_is_joined(r) || n <= BLAS ? -1 : BLAS + 12;
    case FXE_ACT_search:
    case FXE_ACT_params:
    case FXE_ACT_range:
    case FXE_ACT_preassigned:
        if (n <= 1)
            return each <= WORK ? -1 : -2;
        n = n < BLAS ? n : n < BLAS + 12 ? n : BLAS + 12;
        return n * each <= WORK ? n : -2;
    case FXE_ACT_merge:
    case FXE_ACT_copy_subset:
    case FXE_ACT_direct_map:
    case FXE_ACT_clone:
    case FXE_ACT_save:
    case FXE_ACT_remove:
        return each <= COPIED ? -1 : -2;
    default:
        return -1;
    }
}

static int refused(struct fxe_req *r, const char *what, const struct fxe_refusal *row,
                   unsigned given, const char *shape)
{
    char name[160];
    const char *until = fxe_refusal_until(row, given, shape);
    fxe_refusal_name(row, shape, name, sizeof name);
    return fxe_fail(r, "argument", "%s: FAISS %s %s on %s%s%s%s; %s%s%s", what,
                    fxe_engine.lib.version,
                    row->verdict == FXE_HANGS ? "never returns" : "ends the process", name,
                    given & FXE_UNTRAINED ? " that is not trained" : "",
                    given & FXE_EMPTY && !(given & FXE_UNTRAINED) ? " without vectors" : "",
                    row->with & FXE_ODD        ? " with numbers that are not finite, or huge"
                    : row->with & FXE_MANY     ? " for more neighbours than it has"
                    : row->with & FXE_FEW      ? " with so few vectors"
                    : row->with & FXE_SELECTOR ? " with a selector"
                                               : "",
                    until ? "it works since FAISS " : "", until ? until : "",
                    until ? "" : "no release that was tried can do it");
}

/* Little memory is left for what the call works with.  FAISS allocates in OpenMP regions,
 * where it cannot fail. */
static int is_tight(const struct fxe_req *r, const struct fxe_obj *o, enum fxe_act act)
{
    uint64_t bytes = act == FXE_ACT_range ? (uint64_t)ntotal_of(o) * 36 : 0;
    for (int i = 0; r->fn && i < r->fn->nparams; i++)
        if (r->fn->params[i].kind == FX_ARRAY)
            bytes += r->elems[i] * fx_elem_size((enum fx_elem)r->fn->params[i].elem);
    return (bytes > MUCH ? fxe_room() : fxe_room_lately()) <
           (4 * bytes > LITTLE ? 4 * bytes : LITTLE);
}

/* Trying it, with *n vectors if that is not negative.  Some calls need many (a graph of
 * neighbours, say): what dies with a few is tried with all. */
struct trying {
    void (*f)(void *);
    void *arg;
    int64_t *n;
    int each, tight;
    char why[1200];
};

static enum fxe_trial run(struct trying *t, double seconds)
{
    enum fxe_trial end = fxe_trial(t->f, t->arg, seconds, t->why, sizeof t->why);
    if (end == FXE_TRIAL_UNKNOWN)
        end = fxe_trial(t->f, t->arg, seconds, t->why, sizeof t->why);
    if (end == FXE_TRIAL_DIED && *t->n >= 0) {
        *t->n = -1;
        end = fxe_trial(t->f, t->arg, EACH_SECONDS, t->why, sizeof t->why);
    }
    return end;
}

/* `row` may be NULL: nothing is known.  What comes out is remembered in *state. */
static int try(struct fxe_req *r, const char *what, const struct fxe_refusal *row, struct trying *t,
               const char *shape, uint8_t *state)
{
    int hangs = row && (row->verdict == FXE_MAY_HANG || row->verdict == FXE_HANGS);
    int each = t->each;
    double seconds = hangs ? HANG_SECONDS : each ? EACH_SECONDS : FIRST_SECONDS;
    enum fxe_trial end = run(t, seconds);
    if (end == FXE_TRIAL_DIED && t->tight)
        return fxe_fail(r, "limit",
                        "%s: the memory that is left, %zu bytes, is not enough: a trial in a copy "
                        "of the engine ended with %s",
                        what, fxe_room(), t->why);
    if (end == FXE_TRIAL_DIED) {
        __atomic_store_n(state, ASK, __ATOMIC_RELAXED);
        return fxe_fail(r, "argument",
                        "%s: FAISS %s would end the engine (%s), as a trial in a copy of it "
                        "showed; the index is %s",
                        what, fxe_engine.lib.version, t->why, shape);
    }
    if (end == FXE_TRIAL_LONG && hangs)
        return fxe_fail(r, "argument",
                        "%s: FAISS %s sometimes never returns from this call, and a trial did not "
                        "in %.0f seconds of processor time; the index is %s",
                        what, fxe_engine.lib.version, seconds, shape);
    if (end == FXE_TRIAL_UNKNOWN && each)
        return fxe_fail(r, "limit",
                        "%s: FAISS %s sometimes ends the process in this call, and the server "
                        "cannot try it in a copy of itself",
                        what, fxe_engine.lib.version);
    if (!each)
        __atomic_store_n(state, FINE, __ATOMIC_RELAXED);
    return 0;
}

/* The table is made of small examples: believe it when a trial has ended badly too. */
static int is_confirmed(void (*f)(void *), void *arg, uint8_t *state)
{
    char why[1200];
    int is = __atomic_load_n(state, __ATOMIC_RELAXED);
    if (is == UNKNOWN) {
        enum fxe_trial end = fxe_trial(f, arg, HANG_SECONDS, why, sizeof why);
        is = end == FXE_TRIAL_ENDED ? ASK : REFUSED;
        if (end != FXE_TRIAL_UNKNOWN)
            __atomic_store_n(state, (uint8_t)is, __ATOMIC_RELAXED);
    }
    return is == REFUSED;
}

/* f(arg) makes the call, with *n vectors if that is not negative. */
static int judge(struct fxe_req *r, const char *what, struct fxe_obj *o, enum fxe_act act,
                 unsigned given, void (*f)(void *), void *arg, int64_t *n)
{
    struct fxe_shape *s = shape_of(o);
    uint8_t *state = s ? known(s, act, given) : NULL;
    int exact;
    if (!state)
        return 0;
    int tight = is_tight(r, o, act);
    if (!tight && __atomic_load_n(state, __ATOMIC_RELAXED) == FINE)
        return 0;
    const struct fxe_refusal *row =
        fxe_refusal(fxe_engine.lib.version, act, given, s->text, &exact);
    int always = row && exact && (row->verdict == FXE_REFUSE || row->verdict == FXE_HANGS);
    if (always && (row->verdict == FXE_HANGS || is_confirmed(f, arg, state)))
        return refused(r, what, row, given, s->text);
    int each = row || tight || __atomic_load_n(state, __ATOMIC_RELAXED) == ASK;
    *n = each ? -1 : enough(r, o, act);
    if (*n == -2) {
        __atomic_store_n(state, FINE, __ATOMIC_RELAXED);
        return 0;
    }
    struct trying t = {f, arg, n, each, tight, ""};
    return try(r, what, row, &t, s->text, state);
}

static int is_gpu(const struct fxe_obj *o)
{
    return strstr(fxe_class_name(o->ptr), "Gpu") != NULL;
}

/* --- factories --- */

static int factory(struct fxe_req *r)
{
    const char *description = r->v[param(r, "description")].p;
    int metric = param(r, "metric"), parts = 1;
    char key[LONGEST + 64], why[1200];
    struct attempt a = {r, -1};
    size_t len = description ? strlen(description) : 0;
    if (!description || !fxe_has_classes())
        return 0;
    if (len > LONGEST)
        return fxe_fail(r, "limit", "%s: a description of %zu characters; at most %d are taken",
                        r->fn->name, len, LONGEST);
    for (const char *c = description; *c; c++)
        parts += *c == ',' || *c == '(';
    if (parts > PARTS)
        return fxe_fail(r, "limit", "%s: a description of %d parts; at most %d are taken",
                        r->fn->name, parts, PARTS);
    snprintf(key, sizeof key, "%d %d %d %s", r->op, metric < 0 ? 0 : (int)r->v[metric].i,
             (int)scalar(r, "d"), description);
    struct fxe_shape *s = intern(&memory.strings, STRINGS, key);
    if (!s || __atomic_load_n(&s->known[0], __ATOMIC_RELAXED))
        return 0;
    if (fxe_trial(attempt, &a, FIRST_SECONDS, why, sizeof why) == FXE_TRIAL_DIED)
        return fxe_fail(r, "argument",
                        "%s: FAISS %s would end the engine (%s), as a trial in a copy of it showed",
                        r->fn->name, fxe_engine.lib.version, why);
    static uint8_t yes;
    __atomic_store_n(&s->known[0], &yes, __ATOMIC_RELAXED);
    return 0;
}

/* --- */

int fxe_guard_call(struct fxe_req *r)
{
    if (r->op == FX_OP_index_factory || r->op == FX_OP_index_binary_factory)
        return factory(r);
    enum fxe_act act = act_of(r->op);
    struct fxe_obj *o = act == FXE_ACT_none ? NULL : index_of(r);
    struct attempt a = {r, -1};
    if (!o || o->hollow || !fxe_has_classes() || is_gpu(o))
        return 0;
    return judge(r, r->fn->name, o, act, circumstances(r, o, act), attempt, &a, &a.n);
}

/* --- files --- */

static void save(void *arg)
{
    const struct fxe_obj *o = arg;
    char text[FXE_SHAPE_MAX];
    fxe_shape_text(api(), o->ptr, is_binary(o), text);
}

int fxe_guard_save(struct fxe_req *r, struct fxe_obj *o)
{
    int64_t n;
    o = o->alias ? o->keeps[0] : o;
    if (o->hollow || !fxe_has_classes() || is_gpu(o))
        return 0;
    unsigned given = ntotal_of(o) == 0 ? FXE_EMPTY : 0;
    return judge(r, is_binary(o) ? "faiss_write_index_binary" : "faiss_write_index", o,
                 FXE_ACT_save, given, save, o, &n);
}

int fxe_guard_load(struct fxe_req *r, void (*load)(void *), void *arg)
{
    char why[1200];
    if (since(15) || !fxe_has_classes() ||
        fxe_trial(load, arg, EACH_SECONDS, why, sizeof why) != FXE_TRIAL_DIED)
        return 0;
    return fxe_fail(r, "argument",
                    "faiss_read_index: FAISS %s would end the engine (%s), as a trial in a copy of "
                    "it showed; the file was cut or changed, or this release cannot read it",
                    fxe_engine.lib.version, why);
}
