/* SPDX-License-Identifier: Apache-2.0 */
/* How the shim handles replies: which error a refusal becomes, when a call is repeated, and where
 * results go.  A server in this process sends the replies that a test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "faiss_c_compat.h"
#include "proto/wire.h"
#include "shim/calls/call.h"
#include "shim/faissx.h"

/* --- the server --- */

enum { FRAMES = 5 };

/* One reply: an error, or payload frames. */
struct answer {
    const char *operation; /* the operation it answers */
    const char *kind;      /* of the error; NULL if it is none */
    struct fx_frame frames[FRAMES];
    int n;
    float ret; /* what the function returns, if not 0 */
};

/* The server's state.  It answers requests that are not listed with an empty success. */
static struct {
    const struct answer *answers;
    int n, next;
    int hellos; /* number of hello requests so far */
} script;

static char endpoint[100];

static void send_reply(void *socket, zmq_msg_t *identity, const struct fx_header *h,
                       const struct answer *a)
{
    msgpack_sbuffer buf;
    msgpack_packer pk;
    uint64_t id = 0;
    int hello = fx_header_is(h, "operation", "hello") && !(a && a->kind);
    fx_header_uint(h, "request_id", &id);
    msgpack_sbuffer_init(&buf);
    msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
    int returns = a && a->ret != 0;
    msgpack_pack_map(&pk, a && a->kind ? 5 : 2u + (unsigned)hello + (unsigned)returns);
    fx_pack_str(&pk, "request_id");
    msgpack_pack_uint64(&pk, id);
    fx_pack_str(&pk, "status");
    fx_pack_str(&pk, a && a->kind ? "error" : "ok");
    if (a && a->kind) {
        fx_pack_str(&pk, "kind");
        fx_pack_str(&pk, a->kind);
        fx_pack_str(&pk, "code");
        msgpack_pack_int(&pk, -4);
        fx_pack_str(&pk, "message");
        fx_pack_str(&pk, "faissx: refused");
    } else if (hello) {
        fx_pack_str(&pk, "session");
        fx_pack_bin(&pk, "0123456789abcdef", FX_TOKEN_SIZE);
    }
    if (returns) {
        fx_pack_str(&pk, "ret");
        msgpack_pack_double(&pk, (double)a->ret);
    }
    int frames = a ? a->n : 0;
    zmq_send(socket, zmq_msg_data(identity), zmq_msg_size(identity), ZMQ_SNDMORE);
    zmq_send(socket, "", 0, ZMQ_SNDMORE);
    zmq_send(socket, buf.data, buf.size, frames ? ZMQ_SNDMORE : 0);
    for (int i = 0; i < frames; i++)
        zmq_send(socket, a->frames[i].data, a->frames[i].size, i + 1 < frames ? ZMQ_SNDMORE : 0);
    msgpack_sbuffer_destroy(&buf);
}

static void serve(void *socket, zmq_msg_t *identity, zmq_msg_t *header)
{
    struct fx_header h = {0};
    const char *why;
    const struct answer *a = NULL;
    if (fx_header_read(&h, zmq_msg_data(header), zmq_msg_size(header), &why) != 0)
        return;
    script.hellos += fx_header_is(&h, "operation", "hello");
    if (script.next < script.n &&
        fx_header_is(&h, "operation", script.answers[script.next].operation))
        a = &script.answers[script.next++];
    send_reply(socket, identity, &h, a);
    fx_header_free(&h);
}

static void *run_server(void *socket)
{
    for (;;) {
        zmq_msg_t m[3], rest;
        int n = 0, more = 1;
        while (more) {
            zmq_msg_t *at = n < 3 ? &m[n] : &rest;
            zmq_msg_init(at);
            if (zmq_msg_recv(at, socket, 0) < 0) {
                zmq_close(socket);
                return NULL;
            }
            more = zmq_msg_more(at);
            if (n++ >= 3)
                zmq_msg_close(at);
        }
        if (n >= 3)
            serve(socket, &m[0], &m[2]);
        for (int i = 0; i < n && i < 3; i++)
            zmq_msg_close(&m[i]);
    }
}

/* Sets the replies.  The server's thread reads them only when a request comes. */
static void answer_with(const struct answer *answers, int n)
{
    script.answers = answers;
    script.n = n;
    script.next = script.hellos = 0;
}

/* --- tests --- */

static void a_refused_hello_has_the_error_of_its_kind(void **state)
{
    static const struct {
        const char *kind;
        int error;
    } kinds[] = {
        {"auth", FAISSX_E_AUTH},         {"limit", FAISSX_E_LIMIT},
        {"engine", FAISSX_E_ENGINE},     {"shutdown", FAISSX_E_CONNECT},
        {"timeout", FAISSX_E_TIMEOUT},   {"unsupported", FAISSX_E_UNSUPPORTED},
        {"protocol", FAISSX_E_PROTOCOL}, {"of the future", FAISSX_E_PROTOCOL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct answer refusal = {.operation = "hello", .kind = kinds[i].kind};
        answer_with(&refusal, 1);
        assert_int_equal(faissx_configure(endpoint, NULL, NULL), -4);
        assert_int_equal(faissx_last_error_code(), kinds[i].error);
        assert_string_equal(faiss_get_last_error(), "faissx: refused");
    }
}

static void configuring_the_same_server_again_keeps_the_session(void **state)
{
    (void)state;
    answer_with(NULL, 0);
    assert_int_equal(faissx_configure(endpoint, NULL, NULL), 0);
    assert_int_equal(script.hellos, 1);
    assert_int_equal(faissx_configure(endpoint, NULL, NULL), 0);
    assert_int_equal(faissx_configure(endpoint, "another key", NULL), 0);
    assert_int_equal(script.hellos, 1);
    assert_int_equal(faissx_configure(NULL, NULL, NULL), 0);
    assert_int_equal(faissx_configure(endpoint, NULL, NULL), 0);
    assert_int_equal(script.hellos, 2);
}

/* No function in the table has a range result before another array, but a future one may. */
static void a_range_result_may_be_followed_by_other_results(void **state)
{
    static const size_t lims[] = {0, 1};
    static const idx_t labels[] = {7};
    static const float distances[] = {0.5f}, others[] = {1, 2};
    static const struct answer reply = {.operation = "faiss_made_up",
                                        .frames = {{lims, sizeof lims},
                                                   {labels, sizeof labels},
                                                   {distances, sizeof distances},
                                                   {others, sizeof others}},
                                        .n = 4};
    static const struct fx_param params[] = {
        {.name = "result", .kind = FX_HANDLE, .cls = FX_CLASS_RangeSearchResult},
        {.name = "others", .kind = FX_ARRAY, .dir = FX_OUT, .elem = FX_F32}};
    static const struct fx_fn fn = {
        .name = "faiss_made_up", .nparams = 2, .ret = {.kind = FX_ERR}, .params = params};
    FaissRangeSearchResult *result = NULL;
    float got[2] = {0};
    (void)state;
    assert_int_equal(faissx_configure(endpoint, NULL, NULL), 0);
    assert_int_equal(faiss_RangeSearchResult_new(&result, 1), 0);
    union fx_val v[3] = {{.p = result}, {.p = got}};
    struct fx_call c = {.fn = &fn, .v = v, .elems = {0, 2}};
    answer_with(&reply, 1);
    assert_int_equal(fx_rpc_begin(&c.rpc, fn.name, 0), 0);
    assert_int_equal(fx_rpc_send(&c.rpc), 0);
    assert_int_equal(fx_rpc_recv(&c.rpc), 0);
    int rc = fx_call_reply(&c);
    fx_rpc_end(&c.rpc);
    assert_int_equal(fx_call_finish(&c, rc), 0);
    assert_memory_equal(got, others, sizeof got);
    idx_t *l = NULL;
    float *d = NULL;
    faiss_RangeSearchResult_labels(result, &l, &d);
    assert_int_equal(l[0], 7);
    assert_float_equal(d[0], 0.5, 0);
    faiss_RangeSearchResult_free(result);
}

static void a_failed_call_leaves_the_range_result_as_it_was(void **state)
{
    static const size_t lims[] = {0, 1};
    static const idx_t labels[] = {7};
    static const struct answer reply = {
        .operation = "faiss_made_up",
        .frames = {{lims, sizeof lims}, {labels, sizeof labels}, {"odd", 3}},
        .n = 3};
    static const struct fx_param params[] = {
        {.name = "result", .kind = FX_HANDLE, .cls = FX_CLASS_RangeSearchResult}};
    static const struct fx_fn fn = {
        .name = "faiss_made_up", .nparams = 1, .ret = {.kind = FX_ERR}, .params = params};
    FaissRangeSearchResult *result = NULL;
    (void)state;
    assert_int_equal(faissx_configure(endpoint, NULL, NULL), 0);
    assert_int_equal(faiss_RangeSearchResult_new(&result, 1), 0);
    union fx_val v[2] = {{.p = result}};
    struct fx_call c = {.fn = &fn, .v = v};
    answer_with(&reply, 1);
    assert_int_equal(fx_rpc_begin(&c.rpc, fn.name, 0), 0);
    assert_int_equal(fx_rpc_send(&c.rpc), 0);
    assert_int_equal(fx_rpc_recv(&c.rpc), 0);
    int rc = fx_call_reply(&c);
    fx_rpc_end(&c.rpc);
    assert_int_equal(fx_call_finish(&c, rc), -1);
    assert_int_equal(faissx_last_error_code(), FAISSX_E_PROTOCOL);
    size_t *l = NULL;
    idx_t id, *none = &id;
    float distance, *nothing = &distance;
    faiss_RangeSearchResult_lims(result, &l);
    assert_int_equal(l[1], 0);
    faiss_RangeSearchResult_labels(result, &none, &nothing);
    assert_null(none);
    assert_null(nothing);
    faiss_RangeSearchResult_free(result);
}

/* A clustering refers to no object.  Its vectors are large enough to be uploaded. */
static void a_call_whose_upload_finds_the_session_lost_is_made_again(void **state)
{
    enum { D = 4, N = (FX_PIECE + 4096) / (D * sizeof(float)) };
    static const float centroid[D] = {1, 2, 3, 4}, error = 5;
    static const struct answer answers[] = {
        {.operation = "upload", .kind = "session"},
        {.operation = "hello"},
        {.operation = "faiss_kmeans_clustering",
         .frames = {{centroid, sizeof centroid}, {&error, sizeof error}},
         .n = 2},
    };
    float *x = calloc(N, D * sizeof *x), centroids[D] = {0}, q_error = 0;
    (void)state;
    assert_int_equal(faissx_configure(endpoint, NULL, NULL), 0);
    answer_with(answers, 3);
    assert_int_equal(faiss_kmeans_clustering(D, N, 1, x, centroids, &q_error), 0);
    assert_int_equal(script.next, 3);
    assert_memory_equal(centroids, centroid, sizeof centroid);
    assert_float_equal(q_error, 5, 0);
    assert_int_equal(faissx_last_call(), FAISSX_OK);
    free(x);
}

static void a_failure_without_an_error_code_is_known_until_the_next_call(void **state)
{
    static const struct answer refusal = {.operation = "faiss_fvec_norm_L2sqr", .kind = "limit"};
    static const float x[2] = {1, 1};
    FaissRangeSearchResult *result = NULL, *other = NULL;
    (void)state;
    assert_int_equal(faissx_configure(endpoint, NULL, NULL), 0);
    assert_int_equal(faiss_RangeSearchResult_new(&result, 3), 0);
    assert_int_equal(faiss_RangeSearchResult_new(&other, 3), 0);
    assert_int_equal(faissx_last_call(), FAISSX_OK);
    answer_with(&refusal, 1);
    assert_float_equal(faiss_fvec_norm_L2sqr(x, 2), 0, 0);
    assert_int_equal(faissx_last_call(), FAISSX_E_LIMIT);
    /* What does not count. */
    assert_string_equal(faiss_get_last_error(), "faissx: refused");
    faiss_RangeSearchResult_free(other);
    assert_int_equal(faissx_last_call(), FAISSX_E_LIMIT);
    assert_int_equal(faiss_RangeSearchResult_nq(result), 3);
    assert_int_equal(faissx_last_call(), FAISSX_OK);
    assert_int_equal(faissx_last_error_code(), FAISSX_E_LIMIT);
    faiss_RangeSearchResult_free(result);
}

static void *call_from_another_thread(void *arg)
{
    static const float x[2] = {3, 4};
    *(float *)arg = faiss_fvec_norm_L2sqr(x, 2);
    return (void *)(intptr_t)faissx_last_call();
}

/* A server that is stopping refuses the new thread's connection at first. */
static void a_connection_that_was_had_at_the_second_attempt_is_no_failure(void **state)
{
    static const float one = 2;
    static const struct answer answers[] = {
        {.operation = "attach", .kind = "shutdown"},
        {.operation = "attach"},
        {.operation = "faiss_fvec_norm_L2sqr", .ret = 25},
    };
    FaissRangeSearchResult *result = NULL;
    pthread_t thread;
    void *last = NULL;
    float norm = 0;
    (void)state;
    assert_int_equal(faissx_configure(endpoint, NULL, NULL), 0);
    assert_int_equal(faiss_RangeSearchResult_new(&result, 3), 0);
    faiss_fvec_norm_L2sqr(&one, 1); /* there is a session */
    answer_with(answers, 3);
    assert_int_equal(pthread_create(&thread, NULL, call_from_another_thread, &norm), 0);
    assert_int_equal(pthread_join(thread, &last), 0);
    assert_int_equal(script.next, 3);
    assert_float_equal(norm, 25, 0);
    assert_int_equal((intptr_t)last, FAISSX_OK);
    faiss_RangeSearchResult_free(result);
}

/* --- */

static int set_up(void **state)
{
    pthread_t thread;
    size_t len = sizeof endpoint;
    void *ctx = zmq_ctx_new(), *socket = zmq_socket(ctx, ZMQ_ROUTER);
    int linger = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    *state = ctx;
    if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &len) != 0 ||
        pthread_create(&thread, NULL, run_server, socket) != 0)
        return -1;
    pthread_detach(thread);
    return 0;
}

static int tear_down(void **state)
{
    zmq_ctx_term(*state); /* ends the thread */
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_hello_has_the_error_of_its_kind),
        cmocka_unit_test(configuring_the_same_server_again_keeps_the_session),
        cmocka_unit_test(a_range_result_may_be_followed_by_other_results),
        cmocka_unit_test(a_failed_call_leaves_the_range_result_as_it_was),
        cmocka_unit_test(a_call_whose_upload_finds_the_session_lost_is_made_again),
        cmocka_unit_test(a_failure_without_an_error_code_is_known_until_the_next_call),
        cmocka_unit_test(a_connection_that_was_had_at_the_second_attempt_is_no_failure),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
