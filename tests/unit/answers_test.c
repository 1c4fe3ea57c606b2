/* SPDX-License-Identifier: Apache-2.0 */
/* A request that is sent again gets the first answer, and is not carried out again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/objects/session.h"
#include "server/engine/run/answers.h"

static struct fxe_session *session, *other;

/* --- requests that came from nowhere --- */

struct sent {
    const char *operation;
    const char *caller; /* 16 bytes, or NULL */
    uint64_t id, oldest;
    struct fxe_session *session;
};

static struct fxe_req *request(const struct sent *s)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    struct fxe_msg *m = calloc(1, sizeof *m);
    struct fxe_conn *c = calloc(1, sizeof *c);
    msgpack_sbuffer_init(&buf);
    msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 2u + (s->caller != NULL) + (s->oldest != 0));
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, s->operation);
    fx_pack_str(&pk, "request_id");
    msgpack_pack_uint64(&pk, s->id);
    if (s->caller) {
        fx_pack_str(&pk, "caller");
        fx_pack_bin(&pk, s->caller, strlen(s->caller));
    }
    if (s->oldest) {
        fx_pack_str(&pk, "oldest");
        msgpack_pack_uint64(&pk, s->oldest);
    }
    m->frames[0].data = memcpy(malloc(buf.size), buf.data, buf.size);
    m->frames[0].size = buf.size;
    m->nframes = 1;
    msgpack_sbuffer_destroy(&buf);
    struct fxe_req *r = fxe_req_new(m, c);
    assert_non_null(r);
    r->session = s->session;
    return r;
}

/* As the engine does when the reply is sent. */
static void end(struct fxe_req *r)
{
    struct fxe_conn *c = r->conn;
    for (int i = 0; i < r->nout; i++)
        free(r->out[i].data);
    msgpack_sbuffer_destroy(&r->extra);
    msgpack_sbuffer_destroy(&r->reply);
    fx_header_free(&r->header);
    fxe_msg_free(r->msg);
    free(r->message);
    free(r);
    free(c);
}

static enum fxe_known find(struct fxe_req *r)
{
    struct fxs_caller caller;
    if (!fxe_answers_caller(r, &caller))
        return FXE_NEW;
    if (r->failed)
        return FXE_REFUSED;
    enum fxe_known known = fxe_answers_find(r, &caller);
    if (known == FXE_NEW && fxe_answers_begin(r, &caller) != 0)
        return FXE_REFUSED;
    return known;
}

static enum fxe_known find_sent(const struct sent *s, struct fxe_req **r)
{
    *r = request(s);
    return find(*r);
}

/* Answers r with a header and an array of `n` bytes. */
static struct fxe_req *answer(struct fxe_req *r, const char *header, size_t n)
{
    char *array = calloc(1, n + 1);
    struct fx_frame frames[2] = {{header, strlen(header)}, {array, n}};
    memset(array, 'x', n);
    struct fxe_req *waiting = fxe_answers_end(r, frames, n ? 2 : 1);
    free(array);
    return waiting;
}

/* A request that is run, and answered. */
static void make(const struct sent *s, const char *header, size_t n)
{
    struct fxe_req *r;
    assert_int_equal(find_sent(s, &r), FXE_NEW);
    assert_non_null(r->answer);
    assert_null(answer(r, header, n));
    end(r);
}

static void is_answered(const struct sent *s, const char *header, size_t n)
{
    struct fxe_req *r;
    assert_int_equal(find_sent(s, &r), FXE_ANSWERED);
    assert_true(r->repeated && !r->failed);
    assert_int_equal(r->reply.size, strlen(header));
    assert_memory_equal(r->reply.data, header, strlen(header));
    assert_int_equal(r->nout, n ? 1 : 0);
    if (n) {
        assert_int_equal(r->out[0].size, n);
        assert_int_equal(((char *)r->out[0].data)[n - 1], 'x');
    }
    end(r);
}

static void is(const struct sent *s, enum fxe_known wanted)
{
    struct fxe_req *r;
    assert_int_equal(find_sent(s, &r), wanted);
    if (r->answer)
        assert_null(answer(r, "{}", 0));
    end(r);
}

static int set_up(void **state)
{
    (void)state;
    session = fxe_session_new();
    other = fxe_session_new();
    return session && other && fxe_answers_callers() == 0 ? 0 : -1;
}

/* Nothing may be left when both sessions have said bye. */
static int tear_down(void **state)
{
    struct fxe_obj *doomed = NULL;
    (void)state;
    fxe_answers_forget(session);
    fxe_answers_forget(other);
    fxe_session_end(session, &doomed);
    fxe_session_end(other, &doomed);
    return fxe_answers_callers() == 0 && fxe_answers_bytes() == 0 ? 0 : -1;
}

static const char me[] = "0123456789abcdef", you[] = "fedcba9876543210";
static const char add[] = "faiss_Index_add";

/* --- tests --- */

static void a_repeated_change_gets_the_first_answer(void **state)
{
    struct sent s = {add, me, 7, 0, session};
    (void)state;
    make(&s, "first", 0);
    is_answered(&s, "first", 0);
    is_answered(&s, "first", 0);
    struct sent array = {add, me, 8, 7, session};
    make(&array, "second", 1000);
    is_answered(&array, "second", 1000);
    is_answered(&s, "first", 0);
}

static void callers_do_not_meet(void **state)
{
    struct sent mine = {add, me, 1, 0, session}, yours = {add, you, 1, 0, session};
    (void)state;
    make(&mine, "mine", 0);
    make(&yours, "yours", 0);
    is_answered(&mine, "mine", 0);
    is_answered(&yours, "yours", 0);
}

static void one_that_runs_is_waited_for(void **state)
{
    struct sent s = {add, me, 1, 0, session};
    struct fxe_req *first, *again, *third;
    (void)state;
    assert_int_equal(find_sent(&s, &first), FXE_NEW);
    assert_int_equal(find_sent(&s, &again), FXE_WAITING);
    assert_int_equal(find_sent(&s, &third), FXE_WAITING);
    struct fxe_req *waiting = answer(first, "the answer", 10);
    int n = 0;
    for (struct fxe_req *r = waiting, *next; r; r = next, n++) {
        next = r->next;
        assert_true(r == again || r == third);
        assert_true(r->repeated);
        assert_memory_equal(r->reply.data, "the answer", 10);
        assert_int_equal(r->out[0].size, 10);
        end(r);
    }
    assert_int_equal(n, 2);
    end(first);
    is_answered(&s, "the answer", 10);
}

static void one_that_was_not_begun_is_run(void **state)
{
    struct sent s = {add, me, 1, 0, session};
    struct fxe_req *first, *again;
    (void)state;
    assert_int_equal(find_sent(&s, &first), FXE_NEW);
    assert_int_equal(find_sent(&s, &again), FXE_WAITING);
    fxe_fail(first, "gone", "the client has closed the connection");
    assert_ptr_equal(answer(first, "gone", 0), again);
    assert_false(again->repeated);
    end(first);
    assert_int_equal(find(again), FXE_NEW);
    assert_null(answer(again, "made", 0));
    end(again);
    is_answered(&s, "made", 0);
}

static void an_error_is_an_answer(void **state)
{
    struct sent s = {add, me, 1, 0, session};
    struct fxe_req *r;
    (void)state;
    assert_int_equal(find_sent(&s, &r), FXE_NEW);
    fxe_fail(r, "limit", "no memory");
    answer(r, "error", 0);
    end(r);
    is_answered(&s, "error", 0);
}

static void a_large_answer_is_known_to_have_been(void **state)
{
    struct sent s = {add, me, 1, 0, session}, save = {"save", me, 2, 1, session};
    struct fxe_req *r;
    (void)state;
    make(&s, "large", FXE_ANSWER_MAX);
    assert_int_equal(fxe_answers_bytes(), 0);
    assert_int_equal(find_sent(&s, &r), FXE_ANSWERED);
    assert_true(r->failed && r->made);
    assert_int_equal(r->reply.size, 0);
    assert_string_equal(r->kind, "limit");
    end(r);
    make(&save, "large", FXE_ANSWER_MAX); /* reading again gives the same */
    make(&save, "small", 10);
    is_answered(&save, "small", 10);
}

static void an_acknowledged_answer_is_dropped(void **state)
{
    struct sent s = {add, me, 1, 0, session};
    (void)state;
    for (s.id = 1; s.id <= 4; s.id++) {
        s.oldest = 1;
        make(&s, "answer", 0);
    }
    size_t four = fxe_answers_bytes();
    s = (struct sent){add, me, 5, 4, session};
    make(&s, "answer", 0);
    assert_int_equal(fxe_answers_bytes(), four / 2);
    s = (struct sent){add, me, 4, 0, session};
    is_answered(&s, "answer", 0);
    s.id = 3; /* not run again, for example when a broken connection's last bytes arrive late */
    is(&s, FXE_REFUSED);
    s = (struct sent){add, me, 9, 0, session}; /* by default all before it */
    make(&s, "answer", 0);
    assert_int_equal(fxe_answers_bytes(), four / 4);
}

static void a_request_that_is_acknowledged_while_it_runs_ends(void **state)
{
    struct sent s = {add, me, 1, 0, session}, next = {add, me, 2, 0, session};
    struct fxe_req *r;
    (void)state;
    assert_int_equal(find_sent(&s, &r), FXE_NEW);
    make(&next, "next", 0);
    assert_null(answer(r, "late", 0));
    end(r);
    is(&s, FXE_REFUSED);
    is_answered(&next, "next", 0);
}

static void numbers_may_come_in_any_order(void **state)
{
    struct sent outer = {add, me, 5, 0, session}, inner = {"open", me, 6, 5, session};
    (void)state;
    make(&inner, "opened", 0);
    make(&outer, "made", 0);
    is_answered(&outer, "made", 0);
}

static void an_answer_outlives_its_session_but_not_its_objects(void **state)
{
    struct sent s = {add, me, 1, 0, session}, n = {"faiss_index_factory", you, 1, 0, session};
    (void)state;
    make(&s, "added", 0);
    make(&n, "made", 0);
    is_answered(&n, "made", 0);
    s.session = n.session = other;
    is_answered(&s, "added", 0);
    is(&n, FXE_NEW);
}

static void bye_forgets(void **state)
{
    struct sent s = {add, me, 1, 0, session}, o = {add, you, 1, 0, other};
    (void)state;
    make(&s, "a", 0);
    make(&o, "b", 0);
    fxe_answers_forget(session);
    assert_int_equal(fxe_answers_callers(), 1);
    is_answered(&o, "b", 0);
}

static void what_only_reads_is_not_remembered(void **state)
{
    static const char *const operations[] = {"faiss_Index_search",
                                             "faiss_Index_ntotal",
                                             "upload",
                                             "download",
                                             "feed",
                                             "load_stream",
                                             "ping",
                                             "stats"};
    struct fxe_req *r;
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        struct sent s = {operations[i], me, i + 1, 0, session};
        assert_int_equal(find_sent(&s, &r), FXE_NEW);
        assert_null(r->answer);
        end(r);
    }
    struct sent anonymous = {add, NULL, 1, 0, session};
    assert_int_equal(find_sent(&anonymous, &r), FXE_NEW);
    assert_null(r->answer);
    end(r);
    assert_int_equal(fxe_answers_callers(), 0);
}

static void a_malformed_caller_is_refused(void **state)
{
    struct sent s = {add, "too short", 1, 0, session}, zero = {add, me, 0, 0, session};
    (void)state;
    is(&s, FXE_REFUSED);
    is(&zero, FXE_REFUSED);
}

static void memory_is_bounded(void **state)
{
    enum { N = 400, EACH = 60000 };
    struct sent s = {add, me, 1, 1, session};
    (void)state;
    for (s.id = 1; s.id <= N; s.id++) {
        make(&s, "answer", EACH);
        assert_true(fxe_answers_bytes() <= FXE_ANSWERS_BYTES);
    }
    s.id = N;
    is_answered(&s, "answer", EACH);
    s.id = 1; /* a caller that acknowledges nothing: the oldest are forgotten, but not run again */
    is(&s, FXE_REFUSED);
    char name[FXS_CALLER_SIZE + 1];
    s = (struct sent){add, name, 1, 0, session};
    for (int i = 0; i < FXE_CALLERS_MAX + 100; i++) {
        snprintf(name, sizeof name, "%016d", i);
        make(&s, "answer", i % 50 ? 0 : EACH);
    }
    assert_int_equal(fxe_answers_callers(), FXE_CALLERS_MAX);
    assert_true(fxe_answers_bytes() <= FXE_ANSWERS_BYTES);
    is_answered(&s, "answer", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_repeated_change_gets_the_first_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(callers_do_not_meet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_runs_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_was_not_begun_is_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_is_an_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_answer_is_known_to_have_been, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_acknowledged_answer_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_that_is_acknowledged_while_it_runs_ends, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(numbers_may_come_in_any_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_outlives_its_session_but_not_its_objects, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bye_forgets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_only_reads_is_not_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_malformed_caller_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
