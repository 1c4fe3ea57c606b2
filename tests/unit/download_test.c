/* SPDX-License-Identifier: Apache-2.0 */
/* A download is fetched while it is being made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/objects/blob.h"
#include "server/engine/objects/download.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/ready.h"
#include "server/engine/run/request.h"

enum { SIZE = 1000 };

static struct fxe_session *session;
static struct fxe_blob *blob;
static uint64_t id;

static int set_up(void **state)
{
    (void)state;
    session = fxe_session_new();
    char *data = malloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        data[i] = (char)i;
    blob = fxe_download_begin(session, data, SIZE, &id);
    return blob ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fxe_obj *doomed = NULL;
    (void)state;
    if (session)
        fxe_session_end(session, &doomed);
    fxe_blobs_free_left();
    return 0;
}

static struct fxe_req *asks_for(uint64_t offset, uint64_t size)
{
    struct fxe_req *r = calloc(1, sizeof *r);
    msgpack_sbuffer *head = &r->extra; /* freed with the request, whose header points into it */
    msgpack_packer pk;
    const char *why;
    msgpack_packer_init(&pk, head, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 3);
    fx_pack_str(&pk, "id");
    msgpack_pack_uint64(&pk, id);
    fx_pack_str(&pk, "offset");
    msgpack_pack_uint64(&pk, offset);
    fx_pack_str(&pk, "size");
    msgpack_pack_uint64(&pk, size);
    assert_int_equal(fx_header_read(&r->header, head->data, head->size, &why), 0);
    r->operation = &fxe_download_operation;
    r->session = session;
    return r;
}

static int start(struct fxe_req *r)
{
    return r->operation->start(r);
}

static void end(struct fxe_req *r)
{
    fxe_req_clear(r);
    free(r);
}

static struct fxe_req *next_ready(void)
{
    struct fxe_req *batch[FXE_FLAT_MAX];
    fxe_lock();
    int n = fxe_ready_take(batch, 0);
    fxe_unlock();
    return n ? batch[0] : NULL;
}

static void has(struct fxe_req *r, size_t offset, size_t size)
{
    assert_false(r->failed);
    assert_int_equal(r->nout, 1);
    assert_int_equal(r->out[0].size, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(((char *)r->out[0].data)[i], (char)(offset + i));
    end(r);
}

static void what_is_there_is_sent_and_the_rest_waits(void **state)
{
    struct fxe_req done = {0};
    (void)state;
    struct fxe_req *first = asks_for(0, 600), *second = asks_for(600, 400);
    assert_int_equal(start(first), 1);
    assert_int_equal(start(second), 1);
    assert_true(fxe_download_grow(blob, 700));
    assert_ptr_equal(next_ready(), first);
    assert_ptr_equal(next_ready(), second);
    assert_int_equal(start(first), 0);
    assert_int_equal(start(second), 1);
    has(first, 0, 600);
    assert_null(next_ready());
    assert_true(fxe_download_grow(blob, SIZE));
    fxe_download_end(blob, &done);
    assert_ptr_equal(next_ready(), second);
    assert_int_equal(start(second), 0);
    has(second, 600, 400);
}

static void an_error_ends_the_waiting(void **state)
{
    struct fxe_req failed = {0};
    (void)state;
    struct fxe_req *waits = asks_for(0, SIZE), *later = asks_for(0, 10);
    assert_int_equal(start(waits), 1);
    assert_true(fxe_download_grow(blob, 500));
    assert_ptr_equal(next_ready(), waits);
    assert_int_equal(start(waits), 1);
    fxe_fail(&failed, "limit", "no more");
    fxe_download_end(blob, &failed);
    assert_ptr_equal(next_ready(), waits);
    assert_int_equal(start(waits), 0);
    assert_true(waits->failed);
    assert_string_equal(waits->message, "faissx: no more");
    assert_string_equal(waits->kind, "limit");
    assert_int_equal(start(later), 0);
    assert_true(later->failed);
    end(waits);
    end(later);
    free(failed.message);
}

static void nobody_makes_what_nobody_wants(void **state)
{
    struct fxe_req done = {0};
    (void)state;
    struct fxe_req *waits = asks_for(0, SIZE);
    assert_int_equal(start(waits), 1);
    fxe_lock();
    assert_null(fxe_blob_remove(session, blob)); /* who makes it frees it */
    fxe_unlock();
    assert_false(fxe_download_grow(blob, 500));
    fxe_download_end(blob, &done);
    assert_ptr_equal(next_ready(), waits);
    assert_int_equal(start(waits), 0);
    assert_true(waits->failed);
    end(waits);
}

static void a_forgotten_one_is_freed_by_who_makes_it(void **state)
{
    struct fxe_req done = {0};
    (void)state;
    fxe_lock();
    fxe_download_forget(session->token, id);
    fxe_unlock();
    assert_null(session->blobs);
    assert_false(fxe_download_grow(blob, 500));
    fxe_download_end(blob, &done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_there_is_sent_and_the_rest_waits, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_error_ends_the_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_makes_what_nobody_wants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_forgotten_one_is_freed_by_who_makes_it, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
