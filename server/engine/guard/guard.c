/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/guard.h"

#include <malloc.h>
#include <stdlib.h>

#include "server/engine/guard/catch.h"
#include "server/engine/guard/check_args.h"
#include "server/engine/guard/clustering.h"
#include "server/engine/guard/description.h"
#include "server/engine/guard/doubt.h"
#include "server/engine/guard/facts.h"
#include "server/engine/guard/known.h"
#include "server/engine/guard/refusal.h"
#include "server/engine/guard/room.h"
#include "server/engine/guard/shape.h"
#include "server/engine/guard/trial.h"
#include "server/engine/objects/again.h"
#include "server/engine/run/wide.h"
#include "server/log.h"

enum { REPEATABLE = 20000 }; /* vectors: up to so many are added by one thread, as in the trial */

static const double FIRST_SECONDS = 1;

/* Returns whether the object, a part of it, or an object it is a part of was made from an odd
 * description. */
static int is_odd(const struct fxe_obj *o)
{
    int is = o->odd;
    for (int i = 0; i < o->nkeeps && !is; i++)
        is = is_odd(o->keeps[i]);
    for (o = o->lender; o && !is; o = o->lender)
        is = o->odd;
    return is;
}

/* --- trials --- */

struct sample {
    struct fxe_req *r;
    struct fxe_obj *o;
    int64_t n; /* vectors; -1: all */
};

static void call_sample_on(struct fxe_req *r, int i, const struct fxe_obj *o);

/* Each shard gets its part of the vectors that are added. */
static void add_to_shard(struct fxe_req *r, int i, const struct fxe_obj *o, int shard)
{
    struct fxe_obj *part = fxe_obj_target(o->keeps[shard]);
    int rows_at = r->fn->rows, x = param(r, "x"), xids = param(r, "xids");
    union fx_val n = r->v[rows_at], from_x = r->v[x], from_ids = xids < 0 ? n : r->v[xids];
    int64_t first = n.i * shard / o->nkeeps, end = n.i * (shard + 1) / o->nkeeps;
    r->v[rows_at].i = end - first;
    r->v[x].p = (float *)from_x.p + first * fxe_api()->Index_d(part->ptr);
    if (xids >= 0 && from_ids.p)
        r->v[xids].p = (idx_t *)from_ids.p + first;
    call_sample_on(r, i, part);
    r->v[rows_at] = n;
    r->v[x] = from_x;
    if (xids >= 0)
        r->v[xids] = from_ids;
}

/* Shards and replicas may have threads, which the child lacks, so their parts are tried. */
static void call_sample_on(struct fxe_req *r, int i, const struct fxe_obj *o)
{
    enum fxe_act act = fxe_act_of(r->op);
    if (!fxe_has_parts(o)) {
        r->v[i].p = o->ptr;
        fxe_call_faiss(r);
        return;
    }
    bool shares = (act == FXE_ACT_add || act == FXE_ACT_add_with_ids) && !fxe_is_binary(o) &&
                  strstr(fxe_class_name(o->ptr), "IndexShards");
    /* A RangeSearchResult takes the results of one search only. */
    for (int k = 0; k < o->nkeeps && (k == 0 || act != FXE_ACT_range); k++)
        if (shares)
            add_to_shard(r, i, o, k);
        else
            call_sample_on(r, i, o->keeps[k]);
}

static void call_sample(void *arg)
{
    struct sample *a = arg;
    int n = a->r->fn->rows, i = 0;
    if (a->n >= 0 && n >= 0)
        a->r->v[n].i = a->n;
    while (i < a->r->fn->nparams && a->r->v[i].p != a->o->ptr)
        i++;
    if (i < a->r->fn->nparams)
        call_sample_on(a->r, i, a->o);
}

/* FAISS reports that memory has run out, if it does so outside an OpenMP region.  The trial has a
 * little less memory than the call, which might come further and end the process. */
static void call_in_little_memory(void *arg)
{
    const struct sample *a = arg;
    call_sample(arg);
    if (a->r->fn->ret.kind == FX_ERR && a->r->v[a->r->fn->nparams].i == STD_EXCEPT) {
        fprintf(stderr, "what():  %s\n", fxe_api()->get_last_error());
        abort();
    }
}

/* Some releases copy only a part of an index, so that the copy and the original share the rest, and
 * free it twice; or they leave a part out, so that every use of the copy ends the process.  So a
 * trial copies the index, resets the copy, which reaches all its parts, frees it, and uses and
 * frees the original.  Freed memory is overwritten, which makes it likely that its use ends the
 * trial. */
static void clone_in_trial(void *arg)
{
    const struct sample *a = arg;
    const struct fx_api *api = fxe_api();
    int binary = fxe_is_binary(a->o), rc;
    void *copy = NULL, *index = a->o->ptr;
    char text[FXE_SHAPE_MAX];
#ifdef M_PERTURB
    mallopt(M_PERTURB, 0xa5);
#endif
    rc = binary ? api->clone_index_binary(index, (FaissIndexBinary **)&copy)
                : api->clone_index(index, (FaissIndex **)&copy);
    if (rc != 0 || !copy)
        return;
    if (binary)
        api->IndexBinary_reset(copy);
    else
        api->Index_reset(copy);
    for (int i = 0; i < 2; i++) {
        if (binary)
            api->IndexBinary_free(i == 0 ? copy : index);
        else
            api->Index_free(i == 0 ? copy : index);
        if (i == 0)
            fxe_shape_text(api, index, binary, text);
    }
}

static int refuse_by_row(struct fxe_req *r, const char *what, const struct fxe_refusal *row,
                         unsigned given, const char *shape)
{
    char name[160];
    const char *until = fxe_refusal_until(fxe_engine.lib.version, row->act, given, shape);
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
                    until ? "" : "it works in no tested release");
}

/* A call that may need a trial: f(arg) makes it, with *n vectors if *n is not negative. */
struct candidate {
    struct fxe_req *r;
    const char *name;
    void (*f)(void *);
    void *arg;
    int64_t *n;
    const char *shape;
    uint8_t *state;
    int each;       /* it must be tried each time */
    int tight, odd; /* memory may not suffice; it may never return */
    int unusual;    /* the result of is_unusual */
    char why[FXE_WHY];
};

static int state_of(const struct candidate *c)
{
    return __atomic_load_n(c->state, __ATOMIC_RELAXED);
}

static void set_state(const struct candidate *c, int state)
{
    __atomic_store_n(c->state, (uint8_t)state, __ATOMIC_RELAXED);
}

/* A call that dies with a few vectors is tried again with all of them: a graph, for example, needs
 * enough vectors. */
static enum fxe_trial run_trial(struct candidate *c, double seconds)
{
    static const char *const ends[] = {"ended", "died", "long", "unknown"};
    enum fxe_trial end = fxe_trial(c->f, c->arg, seconds, c->why, sizeof c->why);
    if (end == FXE_TRIAL_UNKNOWN)
        end = fxe_trial(c->f, c->arg, seconds, c->why, sizeof c->why);
    if (end == FXE_TRIAL_DIED && *c->n >= 0) {
        *c->n = -1;
        end = fxe_trial(c->f, c->arg, FXE_TRIAL_SECONDS, c->why, sizeof c->why);
    }
    fxs_log(FXS_DEBUG, "engine", "event=trial of=%s index=\"%s\" end=%s why=\"%s\"", c->name,
            c->shape, ends[end], c->why);
    return end;
}

static double vectors(const struct candidate *c)
{
    return c->r->fn ? (double)rows(c->r) : 0;
}

static double ntotal_with(const struct candidate *c)
{
    struct fxe_obj *o = fxe_index_of(c->r);
    return vectors(c) + (o ? (double)fxe_ntotal_of(o) : 0);
}

static bool lacks_memory(const struct candidate *c, enum fxe_trial end)
{
    return end == FXE_TRIAL_DIED && (c->tight || strstr(c->why, "bad_alloc"));
}

/* Tries the call.  Returns 0, or -1 with the reply set if it must not be made.  `row` is what the
 * table has on the call, or NULL. */
static int judge_by_trial(struct candidate *c, const struct fxe_refusal *row)
{
    const char *version = fxe_engine.lib.version;
    int hangs = c->odd || (row && (row->verdict == FXE_MAY_HANG || row->verdict == FXE_HANGS));
    double seconds = hangs     ? FXE_HANG_SECONDS + FXE_HANG_SECONDS_EACH * vectors(c)
                     : c->each ? FXE_TRIAL_SECONDS
                               : FIRST_SECONDS;
    enum fxe_trial end = run_trial(c, seconds);
    if (lacks_memory(c, end) && fxe_again_drop_all())
        end = run_trial(c, seconds);
    if (lacks_memory(c, end))
        return fxe_fail(c->r, "limit",
                        "%s: there is not enough memory (%zu bytes are left): a trial in a copy of "
                        "the engine ended with: %s",
                        c->name, fxe_room(), c->why);
    if (end == FXE_TRIAL_DIED) {
        set_state(c, FXE_ASK);
        return fxe_fail(
            c->r, "argument",
            "%s: FAISS %s would end the engine; a trial in a copy of it ended with: %s; "
            "the index is %s",
            c->name, version, c->why, c->shape);
    }
    if (end == FXE_TRIAL_LONG && hangs)
        return fxe_fail(c->r, "argument",
                        "%s: FAISS %s sometimes never returns from this call, and a trial did not "
                        "return in %.0f seconds of processor time; the index is %s",
                        c->name, version, seconds, c->shape);
    if (end == FXE_TRIAL_UNKNOWN && c->each)
        return fxe_fail(c->r, "limit",
                        "%s: FAISS %s sometimes ends the process in this call, and the engine "
                        "could not try the call in a copy of itself",
                        c->name, version);
    if (!c->each)
        set_state(c, FXE_FINE);
    /* The trial had one thread.  With several the call could end differently: an exception inside
     * an OpenMP region ends the process, and whether an NSG graph can be built depends on the order
     * in which threads reach its nodes.  And each thread takes memory of its own.  So one thread
     * makes the call, unless the graph is large and would take too long. */
    if (c->r->fn && (row || c->tight || c->unusual || (hangs && ntotal_with(c) <= REPEATABLE)))
        fxe_wide_alone(c->r);
    return 0;
}

/* The table was made with small indexes, so a row is believed only after a trial has ended badly
 * too. */
static int is_confirmed(struct candidate *c)
{
    int is = state_of(c);
    if (is == FXE_UNKNOWN) {
        enum fxe_trial end = run_trial(c, FXE_HANG_SECONDS);
        is = end == FXE_TRIAL_ENDED ? FXE_ASK : FXE_REFUSED;
        if (end != FXE_TRIAL_UNKNOWN)
            set_state(c, is);
    }
    return is == FXE_REFUSED;
}

static int is_nsg(const char *shape)
{
    return fxe_shape_matches(shape, "INSf") || fxe_shape_matches(shape, "INSp") ||
           fxe_shape_matches(shape, "INSs");
}

/* Returns whether the act may build an NSG graph.  If none exists for the vectors, FAISS never
 * returns. */
static int builds(enum fxe_act act)
{
    return act == FXE_ACT_add || act == FXE_ACT_add_with_ids || act == FXE_ACT_train;
}

/* Returns whether training the index is k-means over Flat indexes and nothing else: it adds up
 * vectors, but not their squares, as PCA and additive quantizers do. */
static bool only_clusters(const char *shape)
{
    static const char *const those[] = {"IwFl", "IwPQ", "IxF2", "IxFI", "IxFl", "IxMp", "IxM2"};
    return fxe_shape_consists_of(shape, those, sizeof those / sizeof *those);
}

/* Returns whether the act is known to work in these circumstances, which may include FXE_ODD. */
static int is_fine(struct fxe_shape *s, enum fxe_act act, unsigned given)
{
    uint8_t *state = fxe_known(s, act, given);
    int exact;
    if (state && act != FXE_ACT_clone && __atomic_load_n(state, __ATOMIC_RELAXED) == FXE_UNKNOWN &&
        !fxe_refusal_find(fxe_engine.lib.version, act, given, s->text, &exact) &&
        fxe_refusal_knows(fxe_engine.lib.version, s->text))
        __atomic_store_n(state, FXE_FINE, __ATOMIC_RELAXED);
    return state && __atomic_load_n(state, __ATOMIC_RELAXED) == FXE_FINE;
}

/* Returns whether no life has such arguments, so that the table says nothing about them: less than
 * no neighbours, and no vectors to train an index again. */
static int is_unusual(const struct fxe_req *r, enum fxe_act act)
{
    return (param(r, "k") >= 0 && scalar(r, "k") < 0) || (act == FXE_ACT_train && rows(r) == 0);
}

static int judge(struct candidate *c, struct fxe_obj *o, enum fxe_act act, unsigned given)
{
    const char *version = fxe_engine.lib.version;
    struct fxe_shape *s = fxe_known_shape(o);
    int exact;
    if (!s)
        return 0;
    /* Looking at all numbers takes as long as copying them: do so only where it matters. */
    if (c->r->fn &&
        (s->encodes_finite || !(is_fine(s, act, given) && is_fine(s, act, given | FXE_ODD))))
        given |= fxe_has_odd(c->r, act == FXE_ACT_train && !only_clusters(s->text)) ? FXE_ODD : 0;
    if (!(c->state = fxe_known(s, act, given)))
        return 0;
    c->shape = s->text;
    if (s->spoils && act != FXE_ACT_train && act != FXE_ACT_save && act != FXE_ACT_clone)
        return fxe_fail(
            c->r, "argument",
            "%s: FAISS's FastScan classes of additive quantizers work with METRIC_L2 and "
            "METRIC_INNER_PRODUCT only; with others they spoil memory (the index is %s)",
            c->name, s->text);
    if (given & FXE_ODD && fxe_needs_finite(s, act))
        return fxe_fail(c->r, "argument",
                        "%s: the vectors have numbers that are not finite, or huge, for which "
                        "FAISS's residual quantizers give codes and lists that do not exist (the "
                        "index is %s)",
                        c->name, s->text);
    /* Of an index that was made of its parts, fxe_check_parts knows what they have now. */
    if (s->uneven && o->nkeeps == 0 && fxe_ntotal_of(o) > 0 && act != FXE_ACT_save &&
        act != FXE_ACT_reset)
        return fxe_fail(c->r, "argument",
                        "%s: the index comes from a file in which a refined index has fewer "
                        "vectors than the index in it; reset it first (the index is %s)",
                        c->name, s->text);
    c->tight = fxe_is_tight(c->r, o, act) || fxe_may_outgrow(c->r, o, act, s->text);
    c->odd = is_odd(o) || (builds(act) && is_nsg(s->text)) ||
             (act == FXE_ACT_train && given & FXE_ODD); /* k-means may split clusters for ever */
    c->unusual = c->r->fn && is_unusual(c->r, act);
    bool unproven = fxe_is_unproven(o, act, s);
    if (state_of(c) == FXE_FINE && !c->tight && !c->odd && !c->unusual && !unproven)
        return 0;
    const struct fxe_refusal *row = fxe_refusal_find(version, act, given, s->text, &exact);
    if (row && given & FXE_ODD) /* what ends with a crash may as well not end */
        c->odd = 1;
    int always = row && exact && (row->verdict == FXE_REFUSE || row->verdict == FXE_HANGS);
    if (always && (row->verdict == FXE_HANGS || is_confirmed(c)))
        return refuse_by_row(c->r, c->name, row, given, s->text);
    c->each = row || c->tight || c->odd || c->unusual || unproven || state_of(c) == FXE_ASK;
    *c->n = c->each ? -1 : fxe_trial_size(c->r, o, act);
    if (!c->each && *c->n == -2 && act == FXE_ACT_clone)
        return 0; /* it is large; a smaller one may be tried later */
    if (!c->each &&
        (*c->n == -2 || (act != FXE_ACT_clone && fxe_refusal_knows(version, s->text)))) {
        set_state(c, FXE_FINE);
        return 0;
    }
    if (c->tight && c->f == call_sample)
        c->f = call_in_little_memory;
    if (judge_by_trial(c, row) != 0)
        return -1;
    if (unproven)
        c->r->unproven = o;
    /* Its centroids may not be numbers from now on, for which the table has no rows. */
    if (act == FXE_ACT_train && given & FXE_ODD)
        o->odd = 1;
    return 0;
}

static int needs_none(const struct fxe_obj *o)
{
    return !o || o->hollow || !fxe_has_classes() || fxe_is_gpu(o);
}

int fxe_guard_call(struct fxe_req *r)
{
    if (r->fn->flags & FX_FACTORY)
        return fxe_check_description(r);
    if (r->uneven) /* the end of a change that has begun, which only cuts the map off */
        return 0;
    if (fxe_guard_clustering(r) != 0)
        return -1;
    enum fxe_act act = fxe_act_of(r->op);
    struct fxe_obj *o = act == FXE_ACT_none ? NULL : fxe_index_of(r);
    if (needs_none(o))
        return 0;
    struct sample a = {r, o, -1};
    struct candidate c = {.r = r, .name = r->fn->name, .f = call_sample, .arg = &a, .n = &a.n};
    if ((r->op == FX_OP_clone_index || r->op == FX_OP_clone_index_binary) && !fxe_has_parts(o))
        c.f = clone_in_trial;
    return judge(&c, o, act, fxe_circumstances(r, o, act));
}

int fxe_guard_free(struct fxe_obj *o, void (*free_object)(void *))
{
    struct fxe_shape *s = __atomic_load_n(&o->shape, __ATOMIC_ACQUIRE);
    int root = fx_root(o->cls), exact;
    char why[FXE_WHY];
    if (!s || needs_none(o) || (root != FX_CLASS_Index && root != FX_CLASS_IndexBinary))
        return 0;
    unsigned given = fxe_ntotal_of(o) == 0 ? FXE_EMPTY : 0;
    uint8_t *state = fxe_known(s, FXE_ACT_free, given);
    if (!state || __atomic_load_n(state, __ATOMIC_RELAXED) == FXE_FINE)
        return 0;
    if (!fxe_refusal_find(fxe_engine.lib.version, FXE_ACT_free, given, s->text, &exact)) {
        __atomic_store_n(state, FXE_FINE, __ATOMIC_RELAXED);
        return 0;
    }
    if (fxe_trial(free_object, o, FXE_TRIAL_SECONDS, why, sizeof why) == FXE_TRIAL_ENDED)
        return 0;
    fxs_log(FXS_WARN, "engine", "event=not-freed index=\"%s\" why=\"%s\"", s->text, why);
    return -1;
}

/* --- files --- */

static void save_in_trial(void *arg)
{
    const struct fxe_obj *o = arg;
    char text[FXE_SHAPE_MAX];
    fxe_shape_text(fxe_api(), o->ptr, fxe_is_binary(o), text);
}

int fxe_guard_save(struct fxe_req *r, struct fxe_obj *o)
{
    int64_t n = -1;
    o = o->alias ? o->keeps[0] : o;
    if (needs_none(o))
        return 0;
    struct candidate c = {.r = r, .f = save_in_trial, .arg = o, .n = &n};
    c.name = fxe_is_binary(o) ? "faiss_write_index_binary" : "faiss_write_index";
    return judge(&c, o, FXE_ACT_save, fxe_ntotal_of(o) == 0 ? FXE_EMPTY : 0);
}

int fxe_guard_loads(void)
{
    return !since(15) && fxe_has_classes();
}

int fxe_guard_unloadable(struct fxe_req *r, const char *why)
{
    return fxe_fail(
        r, "argument",
        "faiss_read_index: FAISS %s would end the engine; a trial in a copy of it ended "
        "with: %s; the file is truncated or damaged, or this release cannot read it",
        fxe_engine.lib.version, why);
}

int fxe_guard_load(struct fxe_req *r, void (*load)(void *), void *arg)
{
    char why[FXE_WHY];
    if (!fxe_guard_loads() ||
        fxe_trial(load, arg, FXE_TRIAL_SECONDS, why, sizeof why) != FXE_TRIAL_DIED)
        return 0;
    return fxe_guard_unloadable(r, why);
}
