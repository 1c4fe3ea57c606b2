/* SPDX-License-Identifier: Apache-2.0 */
/* A session lasts as long as its connections, ends once, and never during a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/engine/objects/download.h"
#include "server/engine/objects/object.h"
#include "server/engine/objects/session.h"

enum { LEASE_MS = 1000000 };

static struct fxe_obj *doomed;

/* A connection that no thread reads from. */
static struct fxe_conn *connect_one(void)
{
    static const struct fxs_handover h;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    close(fd[1]);
    struct fxe_conn *c = fxe_conn_new(fd[0], &h);
    assert_non_null(c);
    return c;
}

static int set_up(void **state)
{
    (void)state;
    doomed = NULL;
    fxe_engine.options.lease = LEASE_MS / 1000;
    return fxe_sessions_count() == 0 ? 0 : -1;
}

/* No test may leave anything behind. */
static int tear_down(void **state)
{
    (void)state;
    fxe_sessions_expire(INT64_MAX, &doomed);
    return fxe_sessions_count() == 0 && !doomed ? 0 : -1;
}

static int64_t next_end(void)
{
    return fxe_sessions_expire(0, &doomed);
}

static struct fxe_session *find(const uint8_t *token)
{
    return fxe_session_find(token);
}

static void each_has_a_token_of_its_own(void **state)
{
    static uint8_t zero[FX_TOKEN_SIZE];
    struct fxe_session *s[100];
    uint8_t token[FX_TOKEN_SIZE];
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_non_null(s[i] = fxe_session_new());
        assert_memory_not_equal(s[i]->token, zero, FX_TOKEN_SIZE);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(s[i]->token, s[j]->token, FX_TOKEN_SIZE);
    }
    assert_int_equal(fxe_sessions_count(), 100);
    for (int i = 0; i < 100; i++) {
        assert_ptr_equal(find(s[i]->token), s[i]);
        memcpy(token, s[i]->token, FX_TOKEN_SIZE);
        token[i % FX_TOKEN_SIZE] ^= 1;
        assert_null(find(token));
    }
    for (int i = 0; i < 100; i++) {
        memcpy(token, s[i]->token, FX_TOKEN_SIZE);
        fxe_session_end(s[i], &doomed);
        assert_null(find(token));
        assert_int_equal(fxe_sessions_count(), 99 - i);
    }
}

static void a_lease_begins_with_the_last_connection(void **state)
{
    struct fxe_session *s = fxe_session_new();
    struct fxe_conn *a = connect_one(), *b = connect_one();
    uint8_t token[FX_TOKEN_SIZE];
    (void)state;
    memcpy(token, s->token, FX_TOKEN_SIZE);
    fxe_session_bind(s, a);
    fxe_session_bind(s, b);
    fxe_session_bind(s, b); /* again: changes nothing */
    assert_true(next_end() == INT64_MAX);
    fxe_session_unbind(a);
    fxe_session_unbind(a);
    assert_null(a->session);
    assert_true(next_end() == INT64_MAX);
    assert_int_equal(s->ends_ms, 0);

    int64_t before = fxe_now_ms();
    fxe_session_unbind(b);
    assert_in_range(s->ends_ms, before + LEASE_MS, fxe_now_ms() + LEASE_MS);
    assert_true(next_end() == s->ends_ms);

    /* It does not end early. */
    int64_t end = s->ends_ms;
    assert_true(fxe_sessions_expire(end - 1, &doomed) == end);
    assert_ptr_equal(find(token), s);
    assert_true(fxe_sessions_expire(end, &doomed) == INT64_MAX);
    assert_null(find(token));
    fxe_conn_unref(a);
    fxe_conn_unref(b);
}

static void a_new_connection_ends_the_lease(void **state)
{
    struct fxe_session *s = fxe_session_new();
    struct fxe_conn *a = connect_one(), *b = connect_one();
    (void)state;
    for (int i = 0; i < 3; i++) {
        fxe_session_bind(s, i % 2 ? a : b);
        assert_int_equal(s->ends_ms, 0);
        assert_true(fxe_sessions_expire(INT64_MAX, &doomed) == INT64_MAX);
        assert_int_equal(fxe_sessions_count(), 1);
        fxe_session_unbind(i % 2 ? a : b);
        assert_true(next_end() == s->ends_ms);
    }
    fxe_conn_unref(a);
    fxe_conn_unref(b);
}

static void a_connection_belongs_to_one_session(void **state)
{
    struct fxe_session *s = fxe_session_new(), *t = fxe_session_new();
    struct fxe_conn *c = connect_one();
    (void)state;
    fxe_session_bind(s, c);
    fxe_session_bind(t, c);
    assert_ptr_equal(c->session, t);
    assert_null(s->conns);
    assert_ptr_equal(t->conns, c);
    assert_true(s->ends_ms > 0); /* the session that it left has no connections */
    assert_int_equal(t->ends_ms, 0);
    fxe_session_unbind(c);
    assert_true(t->ends_ms > 0);
    fxe_conn_unref(c);
}

static void leases_end_in_the_order_in_which_they_began(void **state)
{
    struct fxe_session *s[5];
    struct fxe_conn *c[5];
    (void)state;
    for (int i = 0; i < 5; i++) {
        s[i] = fxe_session_new();
        c[i] = connect_one();
        fxe_session_bind(s[i], c[i]);
    }
    for (int i = 4; i >= 0; i--) {
        fxe_session_unbind(c[i]);
        fxe_conn_unref(c[i]);
        s[i]->ends_ms = 1000 + 10 * (4 - i);
    }
    assert_true(fxe_sessions_expire(999, &doomed) == 1000);
    assert_int_equal(fxe_sessions_count(), 5);
    assert_true(fxe_sessions_expire(1015, &doomed) == 1020);
    assert_int_equal(fxe_sessions_count(), 3);
    assert_true(fxe_sessions_expire(1040, &doomed) == INT64_MAX);
    assert_int_equal(fxe_sessions_count(), 0);
}

/* An ended session, even if ended twice, stays until its requests are done. */
static void nothing_is_freed_during_a_request(void **state)
{
    (void)state;
    for (int by_lease = 0; by_lease < 2; by_lease++) {
        struct fxe_session *s = fxe_session_new();
        struct fxe_conn *c = connect_one();
        uint8_t token[FX_TOKEN_SIZE];
        memcpy(token, s->token, FX_TOKEN_SIZE);
        fxe_session_bind(s, c);
        s->busy = 2;
        if (by_lease) {
            fxe_session_unbind(c);
            assert_true(fxe_sessions_expire(INT64_MAX, &doomed) == INT64_MAX);
        } else {
            fxe_session_end(s, &doomed);
        }
        assert_int_equal(s->ended, 1);
        assert_ptr_equal(find(token), s);
        /* Its lease has ended; a connection that ends now does not start another. */
        fxe_session_unbind(c);
        assert_true(fxe_sessions_expire(INT64_MAX, &doomed) == INT64_MAX);
        assert_int_equal(s->ends_ms, 0);
        fxe_session_leave(s, &doomed);
        assert_ptr_equal(find(token), s);
        fxe_session_leave(s, &doomed);
        assert_null(find(token));
        fxe_conn_unref(c);
    }
}

/* A connection outlives its session: after bye it may say hello again. */
static void connections_stay_when_a_session_ends(void **state)
{
    struct fxe_session *s = fxe_session_new();
    struct fxe_conn *a = connect_one(), *b = connect_one();
    (void)state;
    fxe_session_bind(s, a);
    fxe_session_bind(s, b);
    fxe_session_end(s, &doomed);
    assert_null(a->session);
    assert_null(b->session);
    s = fxe_session_new();
    fxe_session_bind(s, b);
    assert_ptr_equal(s->conns, b);
    fxe_session_end(s, &doomed);
    fxe_conn_unref(a);
    fxe_conn_unref(b);
}

/* A sanitizer build's leak check reports what a session does not free. */
static void downloads_are_freed_with_it(void **state)
{
    struct fxe_session *s = fxe_session_new();
    (void)state;
    uint64_t first = fxe_download_put(s, malloc(1000), 1000);
    uint64_t second = fxe_download_put(s, malloc(1), 1);
    assert_int_not_equal(first, 0);
    assert_true(second != 0 && second != first);
    fxe_session_end(s, &doomed);
    assert_int_equal(fxe_sessions_count(), 0);
    assert_int_equal(fxe_download_put(NULL, NULL, 1), 0);
}

static struct fxe_obj *make(struct fxe_session *s, char *at)
{
    struct fxe_obj *o = fxe_obj_add(s, FX_CLASS_Index, at, NULL, 0);
    assert_non_null(o);
    return o;
}

/* Nothing else of the tenant runs meanwhile.  If the time grew with the square of the number, each
 * of these would take minutes. */
static void many_objects_end_soon(void **state)
{
    enum { MANY = 200000, PAIRS = 50000 };
    static char at[MANY]; /* addresses of objects: this test has no FAISS that reads there */
    static struct fxe_obj *whole[PAIRS];
    struct fxe_session *s = fxe_session_new();
    size_t before = fxe_obj_count();
    (void)state;
    for (int i = 0; i < MANY; i++)
        make(s, &at[i]);
    int64_t began = fxe_now_ms();
    fxe_session_end(s, &doomed);
    assert_in_range(fxe_now_ms() - began, 0, 20000);
    fxe_obj_destroy_list(doomed);
    doomed = NULL;
    assert_int_equal(fxe_obj_count(), before);

    s = fxe_session_new();
    for (int i = 0; i < PAIRS; i++)
        whole[i] = make(s, &at[i]);
    for (int i = 0; i < PAIRS; i++)
        assert_int_equal(fxe_obj_keep(whole[i], make(s, &at[PAIRS + i])), 0);
    began = fxe_now_ms();
    fxe_session_end(s, &doomed);
    assert_in_range(fxe_now_ms() - began, 0, 20000);
    fxe_obj_destroy_list(doomed);
    doomed = NULL;
    assert_int_equal(fxe_obj_count(), before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_has_a_token_of_its_own),
        TEST(a_lease_begins_with_the_last_connection),
        TEST(a_new_connection_ends_the_lease),
        TEST(a_connection_belongs_to_one_session),
        TEST(leases_end_in_the_order_in_which_they_began),
        TEST(nothing_is_freed_during_a_request),
        TEST(connections_stay_when_a_session_ends),
        TEST(downloads_are_freed_with_it),
        TEST(many_objects_end_soon),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
