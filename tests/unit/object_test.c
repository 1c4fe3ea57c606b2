/* SPDX-License-Identifier: Apache-2.0 */
/* The table of objects, with a FAISS that only records what is freed.  No object is freed twice,
 * while a call uses it, or before an object with a pointer to it; and in the end all are freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/objects/object.h"
#include "server/engine/run/lock.h"

enum { THINGS = 4096, KEEPS = 8 };

/* An object of the fake FAISS. */
struct thing {
    int freed;                   /* 1 for the first that was freed, and so on; 0: not freed */
    int used;                    /* number of calls that use it now */
    struct thing *holds[KEEPS];  /* objects that it points to but does not free */
    struct thing *inside[KEEPS]; /* objects that it frees with itself */
    int nholds, ninside;
};

static struct thing things[THINGS];
static int nthings, nfreed;
static size_t before; /* objects in the table at the start of a test */

static struct thing *new_thing(void)
{
    assert_in_range(nthings, 0, THINGS - 1);
    return &things[nthings++];
}

static void free_thing(struct thing *t)
{
    assert_int_equal(t->freed, 0);
    assert_int_equal(t->used, 0);
    for (int i = 0; i < nthings; i++)
        for (int j = 0; j < things[i].nholds && !things[i].freed; j++)
            assert_ptr_not_equal(things[i].holds[j], t); /* the pointer would dangle */
    t->freed = ++nfreed;
    for (int i = 0; i < t->ninside; i++)
        free_thing(t->inside[i]);
}

static void faiss_free(FaissIndex *index)
{
    free_thing((struct thing *)index);
}

/* --- what the server does --- */

static struct fxe_session *new_session(void)
{
    struct fxe_session *s = calloc(1, sizeof *s);
    assert_non_null(s);
    return s;
}

static void end_session(struct fxe_session *s)
{
    struct fxe_obj *doomed = NULL;
    fxe_obj_release_all(s, &doomed);
    fxe_obj_destroy_list(doomed);
    memset(s, 0xa5, sizeof *s); /* nothing may read it any more */
    free(s);
}

/* An object made by a constructor: it gets its parts later and does not own them. */
static struct fxe_obj *construct(struct fxe_session *s)
{
    struct fxe_obj *o = fxe_obj_add(s, FX_CLASS_Index, new_thing(), NULL, 0);
    assert_non_null(o);
    return o;
}

/* An object made by the factory, from a file or as a clone: it creates and owns its parts. */
static struct fxe_obj *make_whole(struct fxe_session *s)
{
    struct fxe_obj *o = fxe_obj_add(s, FX_CLASS_Index, new_thing(), NULL, 1);
    assert_non_null(o);
    return o;
}

static struct thing *thing_of(const struct fxe_obj *o)
{
    return o->ptr;
}

/* A getter's result: a handle for a part that `whole` created. */
static struct fxe_obj *lend(struct fxe_session *s, struct fxe_obj *whole)
{
    struct thing *t = thing_of(whole), *part = t->ninside ? t->inside[0] : new_thing();
    if (!t->ninside)
        t->inside[t->ninside++] = part;
    struct fxe_obj *o = fxe_obj_add(s, FX_CLASS_Index, part, whole, 1);
    assert_non_null(o);
    return o;
}

/* A request like faiss_IndexShards_add_shard, which uses both objects. */
static void put_into(struct fxe_obj *whole, struct fxe_obj *part)
{
    struct fxe_obj *doomed = NULL;
    struct thing *w = thing_of(whole);
    fxe_obj_hold(whole);
    fxe_obj_hold(part);
    assert_false(fxe_obj_within(whole, part));
    assert_true(fxe_obj_may_keep(whole, part));
    if (fxe_obj_target(whole)->inherent && fxe_obj_target(whole)->owns)
        w->inside[w->ninside++] = part->ptr;
    else
        w->holds[w->nholds++] = part->ptr;
    assert_int_equal(fxe_obj_keep(whole, part), 0);
    fxe_obj_let_go(whole, &doomed);
    fxe_obj_let_go(part, &doomed);
    fxe_obj_destroy_list(doomed);
}

static void hold(struct fxe_obj *o)
{
    fxe_obj_hold(o);
    thing_of(o)->used++;
}

static void let_go(struct fxe_obj *o)
{
    struct fxe_obj *doomed = NULL;
    thing_of(o)->used--;
    fxe_obj_let_go(o, &doomed);
    fxe_obj_destroy_list(doomed);
}

/* The client frees its handle. */
static void release(struct fxe_session *s, struct fxe_obj *o)
{
    struct fxe_obj *doomed = NULL;
    if (fxe_obj_is_shared(o))
        fxe_obj_disown(o, s, &doomed);
    else
        fxe_obj_release(o, &doomed);
    fxe_obj_destroy_list(doomed);
}

static void unpublish(struct fxe_obj *o)
{
    struct fxe_obj *doomed = NULL;
    fxe_obj_unkeep_shared(o, &doomed);
    fxe_obj_destroy_list(doomed);
}

static int set_up(void **state)
{
    (void)state;
    memset(things, 0, sizeof things);
    nthings = nfreed = 0;
    before = fxe_obj_count();
    fxe_engine.lib.api.Index_free = faiss_free;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return fxe_obj_count() == before && nfreed == nthings ? 0 : -1;
}

/* --- */

static void a_part_is_freed_after_the_whole(void **state)
{
    struct fxe_session *s = new_session();
    struct fxe_obj *whole = construct(s), *part = construct(s), *other = construct(s);
    struct thing *w = whole->ptr, *p = part->ptr, *o = other->ptr;
    (void)state;
    put_into(whole, part);
    release(s, part); /* too early: nothing is freed yet */
    assert_int_equal(nfreed, 0);
    assert_null(fxe_obj_find(s, part->id));
    release(s, whole);
    assert_int_equal(w->freed, 1);
    assert_int_equal(p->freed, 2);
    assert_int_equal(o->freed, 0);
    end_session(s);
}

static void the_whole_frees_parts_only_if_it_owns_them(void **state)
{
    struct fxe_session *s = new_session();
    (void)state;
    for (int owns = 0; owns < 2; owns++) {
        struct fxe_obj *whole = construct(s), *part = construct(s);
        struct thing *p = part->ptr;
        put_into(whole, part);
        whole->owns = owns;
        release(s, whole);
        assert_int_equal(p->freed != 0, owns);
    }
    end_session(s);
}

static void a_part_of_two_wholes_waits_for_both(void **state)
{
    struct fxe_session *s = new_session();
    struct fxe_obj *a = construct(s), *b = construct(s), *part = construct(s);
    struct thing *p = part->ptr;
    (void)state;
    put_into(a, part);
    put_into(b, part);
    a->owns = b->owns = 1;
    release(s, a);
    assert_int_equal(p->freed, 0);
    release(s, b);
    assert_int_equal(p->freed, 3);
    end_session(s);
}

static void nothing_is_freed_during_a_call(void **state)
{
    struct fxe_session *s = new_session();
    struct fxe_obj *whole = make_whole(s), *part = lend(s, whole);
    struct thing *w = whole->ptr;
    (void)state;
    hold(part);
    release(s, whole);
    assert_int_equal(w->freed, 0); /* freeing it would free the part, too */
    let_go(part);
    assert_int_equal(w->freed, 1);
    end_session(s);
}

static void lent_handles_end_with_the_lender(void **state)
{
    struct fxe_session *s = new_session();
    struct fxe_obj *whole = make_whole(s), *part = lend(s, whole);
    uint64_t id = part->id;
    (void)state;
    assert_ptr_equal(lend(s, whole), part); /* the same handle each time */
    release(s, whole);
    assert_null(fxe_obj_find(s, id));
    assert_int_equal(nfreed, 2);
    end_session(s);
}

/* Until the object became a part, the calls that use it were counted for it alone. */
static void a_part_that_is_given_to_an_owner_is_counted_once(void **state)
{
    struct fxe_session *s = new_session();
    struct fxe_obj *whole = make_whole(s), *part = construct(s);
    struct thing *w = whole->ptr;
    (void)state;
    put_into(whole, part);
    assert_int_equal(whole->calls, 0);
    assert_int_equal(part->calls, 0);
    hold(whole);
    release(s, whole);
    assert_int_equal(w->freed, 0); /* a call still uses it */
    let_go(whole);
    assert_int_equal(nfreed, 2);
    end_session(s);
}

static void what_a_lent_part_keeps_is_released_with_it(void **state)
{
    struct fxe_session *s = new_session();
    struct fxe_obj *whole = make_whole(s), *part = lend(s, whole), *more = construct(s);
    struct thing *m = more->ptr;
    (void)state;
    part->owns = 0;
    put_into(part, more);
    release(s, more);
    assert_int_equal(m->freed, 0);
    release(s, whole);
    assert_int_equal(nfreed, 3);
    end_session(s);
}

/* whole > part > more > whole: FAISS would recurse without end. */
static void a_circle_through_a_lent_part_is_seen(void **state)
{
    struct fxe_session *s = new_session();
    struct fxe_obj *whole = make_whole(s), *part = lend(s, whole), *inner = construct(s);
    struct fxe_obj *more = construct(s);
    (void)state;
    put_into(part, inner);
    put_into(inner, more);
    assert_true(fxe_obj_within(more, part));
    assert_true(fxe_obj_within(more, whole));
    assert_false(fxe_obj_within(whole, more));
    end_session(s);
}

/* --- published --- */

static void a_published_index_outlives_its_session(void **state)
{
    struct fxe_session *a = new_session(), *b = new_session();
    struct fxe_obj *x = construct(a), *part = construct(a);
    (void)state;
    put_into(x, part);
    fxe_obj_share(x);
    end_session(a);
    assert_int_equal(nfreed, 0);
    struct fxe_obj *mine = fxe_obj_alias(b, x);
    unpublish(x);
    assert_int_equal(nfreed, 0); /* b has it open */
    release(b, mine);
    assert_int_equal(nfreed, 2);
    end_session(b);
}

static void an_index_published_twice_lives_until_the_last_name(void **state)
{
    struct fxe_session *a = new_session();
    struct fxe_obj *x = construct(a);
    (void)state;
    fxe_obj_share(x);
    fxe_obj_share(x);
    end_session(a);
    unpublish(x);
    assert_int_equal(nfreed, 0);
    unpublish(x);
    assert_int_equal(nfreed, 1);
}

static void an_unpublished_index_is_its_creators_again(void **state)
{
    struct fxe_session *a = new_session();
    struct fxe_obj *x = construct(a);
    (void)state;
    fxe_obj_share(x);
    unpublish(x);
    assert_ptr_equal(fxe_obj_find(a, x->id), x);
    assert_false(fxe_obj_is_shared(x));
    release(a, x);
    assert_int_equal(nfreed, 1);
    end_session(a);
}

/* An unpublished index belongs to its creator again, whose session then ends while another has the
 * index open. */
static void an_open_index_outlives_its_creators_session(void **state)
{
    struct fxe_session *a = new_session(), *b = new_session();
    struct fxe_obj *x = construct(a);
    (void)state;
    fxe_obj_share(x);
    struct fxe_obj *mine = fxe_obj_alias(b, x);
    unpublish(x);
    end_session(a);
    assert_int_equal(nfreed, 0);
    release(b, mine);
    assert_int_equal(nfreed, 1);
    end_session(b);
}

/* The creator calls a getter after the index was published. */
static void parts_lent_by_a_published_index_end_with_it(void **state)
{
    (void)state;
    for (int ends = 0; ends < 2; ends++) {
        struct fxe_session *a = new_session();
        struct fxe_obj *x = make_whole(a);
        fxe_obj_share(x);
        uint64_t part = lend(a, x)->id;
        if (ends)
            end_session(a);
        else
            release(a, x);
        unpublish(x);
        assert_int_equal(nfreed, nthings);
        if (!ends) {
            assert_null(fxe_obj_find(a, part));
            end_session(a);
        }
        assert_int_equal(fxe_obj_count(), before);
    }
}

/* A shard that is added through an opened handle belongs to the index, not to that handle. */
static void a_part_given_to_an_open_index_lasts_as_long_as_that(void **state)
{
    struct fxe_session *a = new_session(), *b = new_session();
    struct fxe_obj *x = construct(a);
    (void)state;
    fxe_obj_share(x);
    struct fxe_obj *mine = fxe_obj_alias(b, x);
    put_into(mine, construct(b));
    end_session(b);
    assert_int_equal(nfreed, 0); /* FAISS's index still points to it */
    end_session(a);
    unpublish(x);
    assert_int_equal(nfreed, 2);
}

/* Closing a handle frees neither the index nor its parts, and handles for the parts stay valid. */
static void closing_an_open_index_leaves_its_parts_alone(void **state)
{
    struct fxe_session *a = new_session(), *b = new_session();
    struct fxe_obj *x = make_whole(a);
    (void)state;
    fxe_obj_share(x);
    size_t published = fxe_obj_count();
    lend(b, fxe_obj_alias(b, x));
    end_session(b);
    assert_int_equal(nfreed, 0);
    assert_int_equal(fxe_obj_count(), published); /* ended sessions leave nothing behind */
    b = new_session();
    struct fxe_obj *mine = fxe_obj_alias(b, x);
    uint64_t part = lend(b, mine)->id;
    release(b, mine);
    assert_non_null(fxe_obj_find(b, part));
    end_session(a);
    assert_int_equal(nfreed, 0);
    unpublish(x);
    assert_int_equal(nfreed, 2);
    assert_null(fxe_obj_find(b, part));
    end_session(b);
}

/* B gives the part of an open index an object of B's session, which must outlive that session. */
static void what_is_given_to_a_part_of_an_open_index_stays_with_it(void **state)
{
    struct fxe_session *a = new_session(), *b = new_session();
    struct fxe_obj *x = make_whole(a);
    (void)state;
    fxe_obj_share(x);
    struct fxe_obj *part = lend(b, fxe_obj_alias(b, x)), *inner = construct(b);
    put_into(part, inner);
    put_into(inner, construct(b));
    end_session(b);
    assert_int_equal(nfreed, 0);
    end_session(a);
    unpublish(x);
    assert_int_equal(nfreed, 4);
}

static void the_creators_whole_is_not_put_into_an_owner_while_others_use_it(void **state)
{
    struct fxe_session *a = new_session(), *b = new_session();
    struct fxe_obj *x = construct(a), *whole = make_whole(b);
    (void)state;
    fxe_obj_share(x);
    assert_false(fxe_obj_may_keep(whole, x)); /* the whole would free it */
    assert_false(fxe_obj_may_keep(whole, fxe_obj_alias(b, x)));
    end_session(b);
    end_session(a);
    unpublish(x);
}

static void an_index_cannot_be_put_into_itself_by_another_handle(void **state)
{
    struct fxe_session *a = new_session();
    struct fxe_obj *x = construct(a);
    (void)state;
    fxe_obj_share(x);
    struct fxe_obj *one = fxe_obj_alias(a, x), *two = fxe_obj_alias(a, x);
    assert_true(fxe_obj_within(one, x));
    assert_true(fxe_obj_within(x, one));
    assert_true(fxe_obj_within(one, two));
    unpublish(x);
    end_session(a);
}

/* The part's creator has freed its handle, or its session has ended; the whole does not own the
 * part. */
static void a_part_of_a_published_index_is_freed_after_it(void **state)
{
    (void)state;
    for (int ends = 0; ends < 2; ends++) {
        struct fxe_session *a = new_session();
        struct fxe_obj *x = construct(a), *part = construct(a);
        put_into(x, part);
        fxe_obj_share(x);
        if (!ends) {
            release(a, part);
            release(a, x);
        }
        end_session(a);
        assert_int_not_equal(nfreed, nthings);
        unpublish(x);
        assert_int_equal(nfreed, nthings);
    }
}

/* --- random operations, checked by struct thing --- */

enum { SESSIONS = 4, HANDLES = 24, STEPS = 3000 };

static struct {
    struct fxe_session *session;
    uint64_t id[HANDLES];
} clients[SESSIONS];

static unsigned seed;

static unsigned random_below(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % n;
}

/* One of the client's objects that it may still refer to, or NULL. */
static struct fxe_obj *any_of(int c)
{
    uint64_t id = clients[c].id[random_below(HANDLES)];
    return id ? fxe_obj_find(clients[c].session, id) : NULL;
}

static void remember(int c, const struct fxe_obj *o)
{
    clients[c].id[random_below(HANDLES)] =
        o->id; /* the object that it replaces lives until the session ends */
}

static const struct fxe_obj *outermost(const struct fxe_obj *o)
{
    while (o->lender || o->alias)
        o = o->lender ? o->lender : o->keeps[0];
    return o;
}

/* Here, parts of one owner do not point to each other: the table would never free such an owner,
 * and FAISS has no such objects. */
static void put_if_possible(struct fxe_obj *whole, struct fxe_obj *part)
{
    if (outermost(whole) == outermost(part) ||
        (outermost(whole)->inherent && (part->nkeeps || part->nborrowed) && !part->alias))
        return;
    struct thing *w = thing_of(whole);
    if (w->nholds < KEEPS && w->ninside < KEEPS && !fxe_obj_within(whole, part) &&
        fxe_obj_may_keep(whole, part))
        put_into(whole, part);
}

static void play(void)
{
    struct fxe_obj *published[4] = {0}, *held[8] = {0};
    memset(clients, 0, sizeof clients);
    for (int i = 0; i < SESSIONS; i++)
        clients[i].session = new_session();
    for (int step = 0; step < STEPS && nthings < THINGS - 2; step++) {
        int c = (int)random_below(SESSIONS), name = (int)random_below(4), h = (int)random_below(8);
        struct fxe_obj *o = any_of(c), *other = any_of(c);
        switch (random_below(12)) {
        case 0:
            remember(c, construct(clients[c].session));
            break;
        case 1:
            remember(c, make_whole(clients[c].session));
            break;
        case 2:
        case 3:
            if (o && other)
                put_if_possible(o, other);
            break;
        case 4:
            if (o && fxe_obj_target(o)->inherent && fxe_obj_target(o)->owns)
                remember(c, lend(clients[c].session, o));
            break;
        case 5:
            if (o)
                release(clients[c].session, o);
            break;
        case 6:
        case 7:
            if (held[h])
                let_go(held[h]);
            if ((held[h] = o))
                hold(o);
            break;
        case 8:
            if (published[name])
                unpublish(published[name]);
            published[name] = NULL;
            break;
        case 9: /* as publish does, for objects that are not parts */
            if (o && !published[name] && !o->lender && o->nkeepers <= o->named &&
                !fxe_obj_target(o)->lender)
                fxe_obj_share(published[name] = fxe_obj_target(o));
            break;
        case 10:
            if (published[name])
                remember(c, fxe_obj_alias(clients[c].session, published[name]));
            break;
        default:
            if (random_below(20) != 0)
                break;
            /* Not while the session has requests: session.c waits for them. */
            for (h = 0; h < 8; h++)
                if (held[h]) {
                    let_go(held[h]);
                    held[h] = NULL;
                }
            end_session(clients[c].session);
            memset(&clients[c], 0, sizeof clients[c]);
            clients[c].session = new_session();
        }
    }
    assert_in_range(nfreed, 100, nthings); /* not everything was refused */
    for (int i = 0; i < 8; i++)
        if (held[i])
            let_go(held[i]);
    for (int i = 0; i < SESSIONS; i++)
        end_session(clients[i].session);
    for (int i = 0; i < 4; i++)
        if (published[i])
            unpublish(published[i]);
    assert_int_equal(fxe_obj_count(), before);
    assert_int_equal(nfreed, nthings);
}

static void anything_goes(void **state)
{
    for (unsigned game = 1; game <= 20; game++) {
        set_up(state);
        seed = game;
        play();
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* The number of ways to the lowest part doubles with each level. */
static void a_part_that_many_contain_is_found_at_once(void **state)
{
    struct fxe_session *s = new_session();
    struct fxe_obj *lowest = construct(s), *whole = lowest, *other = construct(s);
    (void)state;
    for (int level = 0; level < 40; level++) {
        struct fxe_obj *a = construct(s), *b = construct(s), *both = construct(s);
        put_into(a, whole);
        put_into(b, whole);
        put_into(both, a);
        put_into(both, b);
        whole = both;
    }
    assert_true(fxe_obj_within(lowest, whole));
    assert_false(fxe_obj_within(other, whole));
    assert_false(fxe_obj_within(whole, lowest));
    end_session(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_part_is_freed_after_the_whole),
        TEST(the_whole_frees_parts_only_if_it_owns_them),
        TEST(a_part_of_two_wholes_waits_for_both),
        TEST(nothing_is_freed_during_a_call),
        TEST(lent_handles_end_with_the_lender),
        TEST(a_part_that_is_given_to_an_owner_is_counted_once),
        TEST(what_a_lent_part_keeps_is_released_with_it),
        TEST(a_circle_through_a_lent_part_is_seen),
        TEST(a_published_index_outlives_its_session),
        TEST(an_index_published_twice_lives_until_the_last_name),
        TEST(an_unpublished_index_is_its_creators_again),
        TEST(an_open_index_outlives_its_creators_session),
        TEST(parts_lent_by_a_published_index_end_with_it),
        TEST(a_part_given_to_an_open_index_lasts_as_long_as_that),
        TEST(closing_an_open_index_leaves_its_parts_alone),
        TEST(what_is_given_to_a_part_of_an_open_index_stays_with_it),
        TEST(the_creators_whole_is_not_put_into_an_owner_while_others_use_it),
        TEST(an_index_cannot_be_put_into_itself_by_another_handle),
        TEST(a_part_of_a_published_index_is_freed_after_it),
        TEST(a_part_that_many_contain_is_found_at_once),
        TEST(anything_goes),
    };
    return cmocka_run_group_tests_name("object", tests, NULL, NULL);
}
