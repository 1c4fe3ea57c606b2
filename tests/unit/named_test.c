/* SPDX-License-Identifier: Apache-2.0 */
/* Published indexes: which index a name refers to, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/objects/named.h"
#include "server/engine/run/request.h"

enum { LISTED = 200 }; /* most names in one answer */

static int nfreed;
static struct fxe_session *a, *b;

/* --- a FAISS that only counts calls --- */

static void faiss_free(FaissIndex *index)
{
    nfreed++;
    free(index);
}

static idx_t faiss_ntotal(const FaissIndex *index)
{
    (void)index;
    return 0;
}

static int faiss_d(const FaissIndex *index)
{
    (void)index;
    return 8;
}

static FaissMetricType faiss_metric(const FaissIndex *index)
{
    (void)index;
    return METRIC_L2;
}

/* --- requests --- */

struct key {
    const char *name;
    const char *text; /* NULL: the value is the number */
    uint64_t number;
};

struct answer {
    char kind[32]; /* of the error; "": none */
    char message[200];
    uint64_t id;    /* of the handle in `out`, or 0 */
    uint64_t total; /* of names, according to a list */
    size_t names;   /* names in that list */
    char first[256];
};

static msgpack_sbuffer pack_header(const struct key *keys, int n)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    msgpack_sbuffer_init(&buf);
    msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, (size_t)n);
    for (int i = 0; i < n; i++) {
        fx_pack_str(&pk, keys[i].name);
        if (keys[i].text)
            fx_pack_str(&pk, keys[i].text);
        else
            msgpack_pack_uint64(&pk, keys[i].number);
    }
    return buf;
}

/* Reads the reply's keys other than its status. */
static void read_reply(const struct fxe_req *r, struct answer *answer)
{
    msgpack_unpacked u;
    size_t at = 0;
    msgpack_unpacked_init(&u);
    for (uint32_t i = 0; i < r->nextra; i++) {
        assert_int_equal(msgpack_unpack_next(&u, r->extra.data, r->extra.size, &at),
                         MSGPACK_UNPACK_SUCCESS);
        char key[16];
        snprintf(key, sizeof key, "%.*s", (int)u.data.via.str.size, u.data.via.str.ptr);
        assert_int_equal(msgpack_unpack_next(&u, r->extra.data, r->extra.size, &at),
                         MSGPACK_UNPACK_SUCCESS);
        if (strcmp(key, "out") == 0) {
            const msgpack_object *handle = &u.data.via.array.ptr[0];
            answer->id = handle->via.array.ptr[0].via.u64;
        } else if (strcmp(key, "total") == 0) {
            answer->total = u.data.via.u64;
        } else if (strcmp(key, "names") == 0) {
            answer->names = u.data.via.array.size;
            if (answer->names) {
                const msgpack_object_str *s = &u.data.via.array.ptr[0].via.str;
                snprintf(answer->first, sizeof answer->first, "%.*s", (int)s->size, s->ptr);
            }
        }
    }
    msgpack_unpacked_destroy(&u);
}

/* Runs the operation as the engine does, with `keys` in the header. */
static struct answer ask(const struct fxe_operation *op, struct fxe_session *s,
                         const struct key *keys, int n)
{
    static struct fxe_req r;
    struct answer answer = {.kind = ""};
    struct fxe_obj *doomed = NULL;
    const char *why;
    msgpack_sbuffer buf = pack_header(keys, n);
    memset(&r, 0, sizeof r);
    r.operation = op;
    r.session = s;
    msgpack_sbuffer_init(&r.extra);
    assert_int_equal(fx_header_read(&r.header, buf.data, buf.size, &why), 0);
    if (!op->prepare || op->prepare(&r) == 0)
        op->run(&r);
    for (int i = 0; i < r.nheld; i++)
        fxe_obj_let_go(r.held[i], &doomed);
    fxe_obj_destroy_list(doomed);
    if (r.failed) {
        snprintf(answer.kind, sizeof answer.kind, "%s", r.kind);
        snprintf(answer.message, sizeof answer.message, "%.190s", r.message);
    } else {
        read_reply(&r, &answer);
    }
    free(r.message);
    msgpack_sbuffer_destroy(&r.extra);
    fx_header_free(&r.header);
    msgpack_sbuffer_destroy(&buf);
    return answer;
}

static struct answer publish(struct fxe_session *s, uint64_t id, const char *name)
{
    return ask(&fxe_publish_operation, s, (struct key[]){{"handle", NULL, id}, {"name", name, 0}},
               2);
}

static struct answer open_it(struct fxe_session *s, const char *name)
{
    return ask(&fxe_open_operation, s, (struct key[]){{"name", name, 0}, {"class", "Index", 0}}, 2);
}

static struct answer list(uint64_t from)
{
    return ask(&fxe_list_operation, NULL, (struct key[]){{"from", NULL, from}}, 1);
}

static struct answer unpublish(const char *name)
{
    return ask(&fxe_unpublish_operation, NULL, (struct key[]){{"name", name, 0}}, 1);
}

static void fails(struct answer answer, const char *kind, const char *part)
{
    assert_string_equal(answer.kind, kind);
    assert_non_null(strstr(answer.message, part));
}

static struct answer works(struct answer answer)
{
    assert_string_equal(answer.message, "");
    return answer;
}

static struct fxe_obj *new_index(struct fxe_session *s)
{
    struct fxe_obj *o = fxe_obj_add(s, FX_CLASS_Index, malloc(1), NULL, 0);
    assert_non_null(o);
    return o;
}

static void end_session(struct fxe_session **s)
{
    struct fxe_obj *doomed = NULL;
    fxe_obj_release_all(*s, &doomed);
    fxe_obj_destroy_list(doomed);
    free(*s);
    *s = NULL;
}

static int set_up(void **state)
{
    (void)state;
    nfreed = 0;
    fxe_engine.lib.api.Index_free = faiss_free;
    fxe_engine.lib.api.Index_d = faiss_d;
    fxe_engine.lib.api.Index_ntotal = faiss_ntotal;
    fxe_engine.lib.api.Index_metric_type = faiss_metric;
    a = calloc(1, sizeof *a);
    b = calloc(1, sizeof *b);
    return a && b ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    if (a)
        end_session(&a);
    if (b)
        end_session(&b);
    return fxe_obj_count() == 0 && fxe_named_count() == 0 ? 0 : -1;
}

/* --- */

static void all_that_open_it_use_one_index(void **state)
{
    struct fxe_obj *x = new_index(a);
    (void)state;
    works(publish(a, x->id, "news"));
    uint64_t one = works(open_it(a, "news")).id, two = works(open_it(b, "news")).id;
    assert_ptr_equal(fxe_obj_find(a, one)->ptr, x->ptr);
    assert_ptr_equal(fxe_obj_find(b, two)->ptr, x->ptr);
    assert_null(fxe_obj_find(b, one)); /* a handle belongs to one session */
    works(unpublish("news"));
}

static void a_name_outlives_the_session_that_gave_it(void **state)
{
    (void)state;
    works(publish(a, new_index(a)->id, "news"));
    end_session(&a);
    assert_int_equal(nfreed, 0);
    works(open_it(b, "news"));
    works(unpublish("news"));
    assert_int_equal(nfreed, 0); /* it is still open */
    fails(open_it(b, "news"), "handle", "news");
    end_session(&b);
    assert_int_equal(nfreed, 1);
}

static void publishing_again_replaces(void **state)
{
    struct fxe_obj *x = new_index(a), *y = new_index(a);
    (void)state;
    works(publish(a, x->id, "news"));
    uint64_t old = works(open_it(b, "news")).id;
    works(publish(a, x->id, "news")); /* the same index: nothing changes */
    assert_int_equal(fxe_named_count(), 1);
    works(publish(a, y->id, "news"));
    assert_int_equal(fxe_named_count(), 1);
    assert_ptr_equal(fxe_obj_find(b, old)->ptr, x->ptr);
    assert_ptr_equal(fxe_obj_find(b, works(open_it(b, "news")).id)->ptr, y->ptr);
    works(unpublish("news"));
}

static void an_index_may_have_two_names(void **state)
{
    struct fxe_obj *x = new_index(a);
    (void)state;
    works(publish(a, x->id, "news"));
    works(open_it(b, "news")); /* being open does not make it a part of another index */
    works(publish(a, x->id, "old news"));
    works(unpublish("news"));
    fails(open_it(b, "news"), "handle", "news");
    end_session(&a);
    works(open_it(b, "old news"));
    works(unpublish("old news"));
}

/* A session that has only opened the index gives it a second name. */
static void a_name_does_not_depend_on_the_handle_it_was_given_by(void **state)
{
    (void)state;
    works(publish(a, new_index(a)->id, "news"));
    works(publish(b, works(open_it(b, "news")).id, "mine"));
    works(unpublish("news"));
    end_session(&a);
    end_session(&b);
    assert_int_equal(nfreed, 0);
    b = calloc(1, sizeof *b);
    uint64_t id = works(open_it(b, "mine")).id;
    assert_non_null(fxe_obj_find(b, id));
    works(publish(b, id, "mine")); /* again */
    assert_int_equal(fxe_named_count(), 1);
    works(unpublish("mine"));
    assert_int_equal(nfreed, 0);
    end_session(&b);
    assert_int_equal(nfreed, 1);
}

static void a_part_cannot_be_published(void **state)
{
    struct fxe_obj *x = new_index(a), *part = new_index(a);
    struct fxe_obj *lent = fxe_obj_add(a, FX_CLASS_Index, (char *)x->ptr + 1, x, 1);
    (void)state;
    assert_int_equal(fxe_obj_keep(x, part), 0);
    fails(publish(a, part->id, "part"), "handle", "part");
    fails(publish(a, lent->id, "part"), "handle", "part");
    fails(publish(b, x->id, "news"), "handle", "publish"); /* belongs to another session */
    assert_int_equal(fxe_named_count(), 0);
}

static void names_are_checked(void **state)
{
    char name[202];
    uint64_t id = new_index(a)->id;
    (void)state;
    memset(name, 'n', sizeof name);
    name[201] = '\0';
    fails(publish(a, id, ""), "argument", "200");
    fails(publish(a, id, name), "argument", "200");
    fails(publish(a, id, "a\nb"), "argument", "control");
    fails(ask(&fxe_publish_operation, a, (struct key[]){{"handle", NULL, id}}, 1), "argument",
          "name");
    fails(ask(&fxe_publish_operation, a, (struct key[]){{"name", "n", 0}}, 1), "protocol",
          "handle");
    assert_int_equal(fxe_named_count(), 0);
    name[200] = '\0';
    works(publish(a, id, name));
    works(unpublish(name));
    fails(unpublish(name), "handle", "nnn");
}

static void it_is_opened_as_what_it_is(void **state)
{
    (void)state;
    works(publish(a, new_index(a)->id, "news"));
    fails(ask(&fxe_open_operation, b,
              (struct key[]){{"name", "news", 0}, {"class", "IndexBinary", 0}}, 2),
          "handle", "news");
    works(unpublish("news"));
}

static void long_lists_come_in_parts(void **state)
{
    enum { N = 450 };
    char name[16];
    (void)state;
    assert_int_equal(works(list(0)).total, 0);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "n%03d", i);
        works(publish(a, new_index(a)->id, name));
    }
    size_t from = 0;
    while (from < N) {
        struct answer answer = works(list(from));
        assert_int_equal(answer.total, N);
        assert_int_equal(answer.names, N - from < LISTED ? N - from : LISTED);
        snprintf(name, sizeof name, "n%03zu", from);
        assert_string_equal(answer.first, name);
        from += answer.names;
    }
    assert_int_equal(works(list(N)).names, 0);
    assert_int_equal(works(list(UINT64_MAX)).names, 0);
    end_session(&a);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "n%03d", i);
        works(unpublish(name));
        assert_int_equal(nfreed, i + 1);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_that_open_it_use_one_index),
        TEST(a_name_outlives_the_session_that_gave_it),
        TEST(publishing_again_replaces),
        TEST(an_index_may_have_two_names),
        TEST(a_name_does_not_depend_on_the_handle_it_was_given_by),
        TEST(a_part_cannot_be_published),
        TEST(names_are_checked),
        TEST(it_is_opened_as_what_it_is),
        TEST(long_lists_come_in_parts),
    };
    return cmocka_run_group_tests_name("named", tests, NULL, NULL);
}
