/* SPDX-License-Identifier: Apache-2.0 */
/* Leases: when a session's connections are probed, and when it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "front/session.h"

enum { LEASE = 30000, TICK = 1000 };

/* A ROUTER of which only the routes in `alive` are left. */
struct world {
    struct fxs_sessions sessions;
    char alive[64];
    int probes, ended;
    int64_t now;
};

static bool probe(void *ctx, const void *route, size_t size)
{
    struct world *w = ctx;
    assert_int_equal(size, 1);
    w->probes++;
    return memchr(w->alive, *(const char *)route, strlen(w->alive)) != NULL;
}

static void ended(void *ctx, struct fxs_session *s)
{
    struct world *w = ctx;
    assert_ptr_equal(fxs_session_find(&w->sessions, s->token), s);
    w->ended++;
}

static int set_up(void **state)
{
    static struct world w;
    w = (struct world){.now = 1000000};
    fxs_sessions_init(&w.sessions, LEASE);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    fxs_sessions_free(&w->sessions);
    return 0;
}

static void pass(struct world *w, int64_t ms)
{
    struct fxs_session_calls calls = {w, probe, ended};
    for (int64_t end = w->now + ms; w->now < end;) {
        w->now += TICK;
        fxs_sessions_check(&w->sessions, w->now, &calls);
    }
}

static struct fxs_session *session(struct world *w, bool lease, const char *routes)
{
    struct fxs_session *s = fxs_session_new(&w->sessions, NULL, lease, w->now);
    assert_non_null(s);
    for (; *routes; routes++)
        fxs_session_touch(&w->sessions, s, routes, 1, w->now);
    return s;
}

static void tokens_differ(void **state)
{
    struct world *w = *state;
    uint8_t zero[FX_TOKEN_SIZE] = {0};
    struct fxs_session *a = session(w, true, "a"), *b = session(w, true, "a");
    assert_memory_not_equal(a->token, b->token, FX_TOKEN_SIZE);
    assert_ptr_equal(fxs_session_find(&w->sessions, b->token), b);
    assert_null(fxs_session_find(&w->sessions, zero));
    memcpy(zero, a->token, sizeof(zero));
    fxs_session_free(&w->sessions, a);
    assert_null(fxs_session_find(&w->sessions, zero));
    assert_int_equal(fxs_sessions_count(&w->sessions), 1);
}

static void silence_is_no_end(void **state)
{
    struct world *w = *state;
    struct fxs_session *s = session(w, true, "abc");
    strcpy(w->alive, "b");
    pass(w, 100 * LEASE);
    assert_int_equal(w->ended, 0);
    assert_int_equal(s->nroutes, 1);
    /* The two that are gone once, the other every third of a lease. */
    assert_in_range(w->probes, 290, 310);
}

static void it_ends_when_nobody_is_left(void **state)
{
    struct world *w = *state;
    session(w, true, "ab");
    strcpy(w->alive, "ab");
    pass(w, 10 * LEASE);
    w->alive[0] = 0;
    pass(w, LEASE);
    assert_int_equal(w->ended, 0);
    pass(w, LEASE / 3 + 2 * TICK);
    assert_int_equal(w->ended, 1);
    assert_int_equal(fxs_sessions_count(&w->sessions), 0);
}

static void a_new_connection_saves_it(void **state)
{
    struct world *w = *state;
    struct fxs_session *s = session(w, true, "a");
    pass(w, LEASE);
    assert_int_equal(s->nroutes, 0);
    fxs_session_touch(&w->sessions, s, "z", 1, w->now);
    strcpy(w->alive, "z");
    pass(w, 10 * LEASE);
    assert_int_equal(w->ended, 0);
}

/* A busy session is not probed on the connection that it uses, and forgets old ones. */
static void busy(void **state)
{
    struct world *w = *state;
    struct fxs_session *s = session(w, true, "abcdefgh");
    strcpy(w->alive, "a");
    for (int i = 0; i < 100; i++) {
        fxs_session_touch(&w->sessions, s, "a", 1, w->now);
        pass(w, TICK);
    }
    assert_int_equal(w->probes, 7);
    assert_int_equal(s->nroutes, 1);
}

static void without_a_lease(void **state)
{
    struct world *w = *state;
    struct fxs_session *s = session(w, false, "a");
    pass(w, (int64_t)LEASE * FXS_IDLE_LEASES - 2 * TICK);
    assert_int_equal(w->ended, 0);
    fxs_session_touch(&w->sessions, s, "a", 1, w->now);
    s->inflight = 1; /* a long call is not silence */
    pass(w, (int64_t)LEASE * FXS_IDLE_LEASES + LEASE);
    assert_int_equal(w->ended, 0);
    s->inflight = 0;
    pass(w, LEASE);
    assert_int_equal(w->ended, 1);
    assert_int_equal(w->probes, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tokens_differ),
        TEST(silence_is_no_end),
        TEST(it_ends_when_nobody_is_left),
        TEST(a_new_connection_saves_it),
        TEST(busy),
        TEST(without_a_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
