/* SPDX-License-Identifier: Apache-2.0 */
/* Which handles share an index that was read from a file, until when, and who sends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/objects/shared.h"
#include "server/engine/run/request.h"

static int nfreed, nwritten, cannot_write;
static struct fxe_session *a, *b;
static struct fxe_conn conn;

/* --- a FAISS whose indexes are one byte --- */

static void faiss_free(FaissIndex *index)
{
    nfreed++;
    free(index);
}

static int faiss_write(const FaissIndex *index, FILE *f)
{
    nwritten++;
    return !cannot_write && fwrite(index, 1, 1, f) == 1 ? 0 : -2;
}

static int faiss_read(FILE *f, int flags, FaissIndex **index)
{
    char *byte = malloc(1);
    (void)flags;
    *index = (FaissIndex *)byte;
    if (byte && fread(byte, 1, 1, f) == 1)
        return 0;
    free(byte);
    return -2;
}

static const char *faiss_error(void)
{
    return "it cannot be written";
}

static FaissIndex *index_of(char byte)
{
    char *index = malloc(1);
    assert_non_null(index);
    *index = byte;
    return (FaissIndex *)index;
}

/* --- what is done with them --- */

static struct fxe_reading reading(char hash, int flags)
{
    struct fxe_reading r = {.cls = FX_CLASS_Index, .flags = flags, .whole = true};
    r.content.size = FX_CONTENT_MIN;
    memset(r.content.hash, hash, FX_HASH_SIZE);
    memset(r.content.pages, hash + 1, FX_HASH_SIZE);
    return r;
}

static struct fxe_obj *add(struct fxe_session *s, char hash, int flags)
{
    struct fxe_reading r = reading(hash, flags);
    void *ptr = index_of(hash), *unused;
    struct fxe_obj *o = fxe_shared_add(s, &r, ptr, &unused);
    assert_non_null(o);
    free(unused);
    return o;
}

/* A request that has locked the handle for writing, as one that changes it has. */
static int own(struct fxe_session *s, struct fxe_obj *o, char *why)
{
    static const struct fxe_operation change = {"change", 1, NULL, NULL, NULL};
    struct fxe_req r = {.operation = &change, .session = s};
    assert_int_equal(fxe_needs_add(&r.needs, o, true), 0);
    assert_true(fxe_needs_take(&r, &r.needs, false));
    int rc = fxe_shared_own(&r);
    fxe_needs_give(&r.needs);
    if (why)
        snprintf(why, 300, "%s", r.message ? r.message : "");
    free(r.message);
    return rc;
}

static void release(struct fxe_obj *o)
{
    struct fxe_obj *doomed = NULL;
    fxe_obj_release(o, &doomed);
    fxe_obj_destroy_list(doomed);
}

static struct fxe_obj *claim(struct fxe_session *s, const uint8_t name[FX_FILE_SIZE], bool whole,
                             int *wait)
{
    struct fxe_claim c = {.cls = FX_CLASS_Index, .whole = whole};
    memcpy(c.name, name, FX_FILE_SIZE);
    return fxe_shared_claim(s, &c, wait);
}

/* --- tests --- */

static void readers_of_the_same_share(void **state)
{
    (void)state;
    struct fxe_obj *first = add(a, 1, 0), *second = add(b, 1, 0), *other = add(b, 1, 2),
                   *third = add(b, 2, 0);
    assert_ptr_equal(first->ptr, second->ptr);
    assert_ptr_not_equal(first->ptr, other->ptr);
    assert_ptr_not_equal(first->ptr, third->ptr);
    assert_int_equal(fxe_shared_stats().objects, 3);
    assert_int_equal(fxe_shared_stats().handles, 4);
    release(first);
    assert_int_equal(nfreed, 0);
    release(second);
    assert_int_equal(nfreed, 1);
    struct fxe_reading r = reading(1, 0);
    assert_null(fxe_shared_find(a, &r));
    release(other);
    release(third);
    assert_int_equal(nfreed, 3);
}

static void a_change_makes_a_copy(void **state)
{
    (void)state;
    struct fxe_obj *first = add(a, 1, 0), *second = add(b, 1, 0);
    void *before = second->ptr;
    assert_int_equal(own(a, first, NULL), 0);
    assert_int_equal(nwritten, 1);
    assert_false(fxe_is_shared(first));
    assert_true(fxe_is_shared(second));
    assert_ptr_not_equal(first->ptr, before);
    assert_int_equal(*(char *)first->ptr, 1);
    assert_ptr_equal(second->ptr, before);
    assert_int_equal(own(a, first, NULL), 0); /* it is its own already */
    assert_int_equal(nwritten, 1);
    release(first);
    release(second);
    assert_int_equal(nfreed, 2);
}

static void the_last_reader_needs_no_copy(void **state)
{
    (void)state;
    struct fxe_obj *first = add(a, 1, 0), *second = add(b, 1, 0);
    void *before = second->ptr;
    release(first);
    assert_int_equal(own(b, second, NULL), 0);
    assert_int_equal(nwritten, 0);
    assert_ptr_equal(second->ptr, before);
    assert_false(fxe_is_shared(second));
    struct fxe_obj *third = add(a, 1, 0); /* who reads it now gets the content, not the change */
    assert_ptr_not_equal(third->ptr, before);
    release(second);
    release(third);
    assert_int_equal(nfreed, 2);
}

static void without_a_copy_nothing_changes(void **state)
{
    char why[300];
    (void)state;
    struct fxe_obj *first = add(a, 1, 0), *second = add(b, 1, 0);
    cannot_write = 1;
    assert_int_equal(own(a, first, why), -1);
    assert_non_null(strstr(why, "it cannot be written; nothing was changed"));
    assert_true(fxe_is_shared(first));
    assert_ptr_equal(first->ptr, second->ptr);
    release(first);
    release(second);
    assert_int_equal(nfreed, 1);
}

static void one_sends_and_others_wait(void **state)
{
    uint8_t name[FX_FILE_SIZE] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    int wait;
    (void)state;
    assert_null(claim(a, name, false, &wait));
    assert_int_equal(wait, 0);
    assert_null(claim(b, name, false, &wait));
    assert_true(wait > 0);
    assert_null(claim(a, name, false, &wait)); /* it asks again, after its connection broke */
    assert_int_equal(wait, 0);
    a->conns = NULL; /* it has gone */
    assert_null(claim(b, name, false, &wait));
    assert_int_equal(wait, 0);
    struct fxe_obj *sent = add(b, 1, 0);
    fxe_shared_unclaim(b, false);
    struct fxe_obj *o = claim(a, name, false, &wait);
    assert_non_null(o);
    assert_ptr_equal(o->ptr, sent->ptr);
    release(sent);
    release(o);
}

static void a_file_is_remembered_if_its_pages_are_right(void **state)
{
    uint8_t wrong[FX_FILE_SIZE], right[FX_FILE_SIZE];
    int wait;
    (void)state;
    memset(wrong, 7, sizeof wrong);
    memset(right, 7, sizeof right);
    memset(right + FX_HASH_SIZE, 2, FX_HASH_SIZE);
    struct fxe_obj *o = add(a, 1, 0), *known;
    fxe_shared_remember(o, wrong);
    assert_null(claim(a, wrong, false, &wait));
    fxe_shared_remember(o, right);
    known = claim(b, right, true, &wait);
    assert_non_null(known);
    assert_ptr_equal(known->ptr, o->ptr);
    release(known);
    for (int i = 0; i < 200; i++) { /* more names than are kept */
        right[0] = (uint8_t)i;
        fxe_shared_remember(o, right);
    }
    right[0] = 1;
    assert_null(claim(a, right, false, &wait));
    right[0] = 199;
    known = claim(a, right, false, &wait);
    assert_non_null(known);
    release(known);
    release(o);
    assert_null(claim(a, right, false, &wait)); /* nobody has it any more */
    fxe_shared_unclaim(a, true);
}

static void a_stream_needs_an_index_that_ends_with_it(void **state)
{
    uint8_t name[FX_FILE_SIZE] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3};
    struct fxe_reading r = reading(3, 0);
    void *unused;
    int wait;
    (void)state;
    r.whole = false;
    struct fxe_obj *o = fxe_shared_add(a, &r, index_of(3), &unused);
    assert_null(claim(b, name, true, &wait));
    assert_int_equal(wait, 0);
    struct fxe_obj *known = claim(b, name, false, &wait);
    assert_non_null(known);
    release(known);
    release(o);
}

static int set_up(void **state)
{
    (void)state;
    nfreed = nwritten = cannot_write = 0;
    fxe_engine.lib.api.Index_free = faiss_free;
    fxe_engine.lib.api.write_index = faiss_write;
    fxe_engine.lib.api.read_index = faiss_read;
    fxe_engine.lib.api.get_last_error = faiss_error;
    fxe_lock();
    a = fxe_session_new();
    b = fxe_session_new();
    fxe_unlock();
    a->conns = b->conns = &conn;
    return 0;
}

static int tear_down(void **state)
{
    struct fxe_obj *doomed = NULL;
    (void)state;
    a->conns = b->conns = NULL;
    fxe_session_end(a, &doomed);
    fxe_session_end(b, &doomed);
    fxe_obj_destroy_list(doomed);
    return fxe_obj_count() == 0 && fxe_shared_stats().objects == 0 ? 0 : -1;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(readers_of_the_same_share),
        TEST(a_change_makes_a_copy),
        TEST(the_last_reader_needs_no_copy),
        TEST(without_a_copy_nothing_changes),
        TEST(one_sends_and_others_wait),
        TEST(a_file_is_remembered_if_its_pages_are_right),
        TEST(a_stream_needs_an_index_that_ends_with_it),
    };
    return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}
