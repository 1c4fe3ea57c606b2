/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces of an upload are received where FAISS will read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/content.h"
#include "server/engine/guard/room.h"
#include "server/engine/objects/again.h"
#include "server/engine/objects/session.h"
#include "server/engine/objects/upload.h"
#include "server/engine/run/request.h"
#include "server/engine/run/wide.h"

enum { ID = 7, TOTAL = 2 * FX_PIECE + 1000000 };

static struct fxe_session *session;
static uint8_t *bytes; /* TOTAL of them */

/* A connection, and the client's end of it. */
struct pair {
    struct fxe_conn *c;
    int client;
};

static struct pair open_pair(void)
{
    static struct fxs_handover h;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    memset(&h, 0, sizeof(h));
    h.kind = FXS_CONNECTION;
    strcpy(h.peer, "unix");
    struct pair p = {fxe_conn_new(fd[0], &h), fd[1]};
    assert_non_null(p.c);
    return p;
}

static void close_pair(struct pair *p)
{
    close(p->client);
    fxe_lock();
    fxe_session_unbind(p->c);
    fxe_unlock();
    fxe_conn_unref(p->c);
}

static int set_up(void **state)
{
    (void)state;
    fxe_engine.max_pending = SIZE_MAX;
    session = fxe_session_new();
    bytes = malloc(TOTAL);
    for (size_t i = 0; i < TOTAL; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    return session ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fxe_obj *doomed = NULL;
    (void)state;
    if (session)
        fxe_session_end(session, &doomed);
    free(bytes);
    return 0;
}

static size_t piece_size(int k)
{
    return k < 2 ? FX_PIECE : TOTAL - 2 * FX_PIECE;
}

/* Makes a message of two frames.  Returns its size. */
static size_t make_message(const msgpack_sbuffer *head, const void *data, size_t n,
                           uint8_t *message)
{
    struct fx_frame frames[2] = {{head->data, head->size}, {data, n}};
    struct fx_zmtp_message z;
    size_t size = 0;
    fx_zmtp_message(&z, frames, 2);
    for (int i = 0; i < z.niov; i++) {
        memcpy(message + size, z.iov[i].iov_base, z.iov[i].iov_len);
        size += z.iov[i].iov_len;
    }
    return size;
}

/* Sends `n` bytes while the engine reads.  Returns 1 and the message, or 0 if it is not complete.
 */
static int send_bytes(struct pair *p, const uint8_t *data, size_t n, struct fxe_msg **m)
{
    int rc = 0;
    while (rc == 0 && n) {
        ssize_t sent = send(p->client, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        data += sent > 0 ? (size_t)sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
        rc = fxe_conn_read(p->c, m);
    }
    for (int i = 0; i < 4 && rc == 0; i++)
        rc = fxe_conn_read(p->c, m); /* all that is there */
    return rc;
}

/* Sends `n` bytes of the message that carries piece k, after those before `at`, while the engine
 * reads.  Returns 1 and the message, or 0 if it is not complete. */
static int send_part(struct pair *p, int k, size_t at, size_t n, struct fxe_msg **m)
{
    static uint8_t message[FX_PIECE + 4096];
    msgpack_sbuffer head;
    msgpack_packer pk;
    msgpack_sbuffer_init(&head);
    msgpack_packer_init(&pk, &head, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 5);
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, "upload");
    fx_pack_str(&pk, "session");
    fx_pack_bin(&pk, session->token, FX_TOKEN_SIZE);
    fx_pack_str(&pk, "id");
    msgpack_pack_int(&pk, ID);
    fx_pack_str(&pk, "size");
    msgpack_pack_int(&pk, TOTAL);
    fx_pack_str(&pk, "offset");
    msgpack_pack_int(&pk, k * FX_PIECE);
    size_t size = make_message(&head, bytes + (size_t)k * FX_PIECE, piece_size(k), message);
    msgpack_sbuffer_destroy(&head);
    return send_bytes(p, message + at, n < size - at ? n : size - at, m);
}

/* Runs the request, as the engine does, and returns whether it succeeded.  Sets *lane. */
static int run_in(struct pair *p, struct fxe_msg *m, enum fxe_lane *lane)
{
    struct fxe_req *r = fxe_req_new(m, p->c);
    assert_non_null(r);
    fxe_lock();
    assert_int_equal(fxe_req_prepare(r), 0);
    fxe_unlock();
    r->operation->run(r);
    int failed = r->failed;
    *lane = r->lane;
    struct fxe_obj *doomed = NULL;
    fxe_lock();
    fxe_session_leave(session, &doomed);
    fxe_unlock();
    fxe_conn_unref(r->conn);
    fxe_req_clear(r);
    free(r);
    return !failed;
}

static int run(struct pair *p, struct fxe_msg *m)
{
    enum fxe_lane lane;
    return run_in(p, m, &lane);
}

/* Sends piece k.  Returns where the engine has received it. */
static const void *upload(struct pair *p, int k)
{
    struct fxe_msg *m = NULL;
    assert_int_equal(send_part(p, k, 0, SIZE_MAX, &m), 1);
    const void *at = m->frames[1].data;
    assert_true(run(p, m));
    return at;
}

static void begin_piece(struct pair *p, int k)
{
    struct fxe_msg *m = NULL;
    assert_int_equal(send_part(p, k, 0, FX_PIECE / 2, &m), 0);
}

static struct fx_buffer take_all(void)
{
    struct fx_buffer b;
    assert_int_equal(fxe_upload_take(session, ID, &b), 0);
    assert_int_equal(b.size, TOTAL);
    assert_memory_equal(b.data, bytes, TOTAL);
    return b;
}

static void pieces_are_received_in_their_place(void **state)
{
    struct pair p = open_pair();
    (void)state;
    upload(&p, 0);
    const void *last = upload(&p, 2), *middle = upload(&p, 1);
    struct fx_buffer b = take_all();
    assert_ptr_equal(middle, (char *)b.data + FX_PIECE);
    assert_ptr_equal(last, (char *)b.data + 2 * FX_PIECE);
    fx_buffer_free(&b);
    close_pair(&p);
}

static void a_piece_that_is_there_is_not_overwritten(void **state)
{
    struct pair p = open_pair();
    struct fxe_msg *m = NULL;
    (void)state;
    upload(&p, 0);
    upload(&p, 1);
    bytes[FX_PIECE + 5] ^= 1;
    assert_int_equal(send_part(&p, 1, 0, SIZE_MAX, &m), 1);
    bytes[FX_PIECE + 5] ^= 1;
    assert_true(run(&p, m));
    upload(&p, 2);
    struct fx_buffer b = take_all();
    fx_buffer_free(&b);
    close_pair(&p);
}

static void a_piece_that_is_cut_off_is_still_missing(void **state)
{
    struct pair p = open_pair(), q = open_pair();
    struct fx_buffer b;
    (void)state;
    upload(&p, 0);
    begin_piece(&p, 1);
    upload(&q, 2);
    assert_int_equal(fxe_upload_take(session, ID, &b), -1);
    close_pair(&p);
    assert_int_equal(fxe_upload_take(session, ID, &b), -1);
    upload(&q, 1);
    b = take_all();
    fx_buffer_free(&b);
    close_pair(&q);
}

/* The engine need not have noticed that the first connection is broken. */
static void a_piece_that_comes_again_over_another_connection_counts(void **state)
{
    struct pair p = open_pair(), q = open_pair();
    struct fxe_msg *m = NULL;
    (void)state;
    upload(&p, 0);
    begin_piece(&p, 1);
    upload(&q, 1);
    upload(&q, 2);
    assert_true(p.c->dead); /* what it still sends is not read */
    struct fx_buffer b = take_all();
    bytes[FX_PIECE + FX_PIECE / 2 + 5000] ^= 1;
    send_part(&p, 1, FX_PIECE / 2, SIZE_MAX / 2, &m);
    bytes[FX_PIECE + FX_PIECE / 2 + 5000] ^= 1;
    fx_buffer_free(&b);
    close_pair(&p);
    close_pair(&q);
}

static void *upload_again(void *p)
{
    upload(p, 1);
    return NULL;
}

/* While the first connection is being closed, it ends, and a third one begins to write to the
 * place.
 */
static void a_piece_ends_with_the_connection_that_writes_it(void **state)
{
    struct pair p = open_pair(), q = open_pair(), third = open_pair();
    pthread_t thread;
    (void)state;
    upload(&p, 0);
    begin_piece(&p, 1);
    pthread_mutex_lock(&p.c->lock);
    assert_int_equal(pthread_create(&thread, NULL, upload_again, &q), 0);
    while (__atomic_load_n(&p.c->refs, __ATOMIC_RELAXED) < 2)
        sched_yield(); /* then it waits for the lock */
    fxe_msg_free(p.c->msg);
    p.c->msg = NULL;
    begin_piece(&third, 1);
    pthread_mutex_unlock(&p.c->lock);
    pthread_join(thread, NULL);
    assert_true(third.c->dead);
    upload(&q, 2);
    struct fx_buffer b = take_all();
    fx_buffer_free(&b);
    close_pair(&p);
    close_pair(&q);
    close_pair(&third);
}

/* The connection's memory may be another one's when the request is freed. */
static void a_request_that_was_not_run_leaves_no_place(void **state)
{
    struct pair p = open_pair(), q = open_pair();
    struct fxe_msg *m = NULL;
    (void)state;
    upload(&p, 0);
    assert_int_equal(send_part(&p, 1, 0, SIZE_MAX, &m), 1);
    assert_non_null(m->place);
    fxe_place_end(m->place);
    upload(&q, 1);
    assert_false(p.c->dead);
    fxe_msg_free(m);
    upload(&q, 2);
    struct fx_buffer b = take_all();
    fx_buffer_free(&b);
    close_pair(&p);
    close_pair(&q);
}

/* Asks for what was upload `same`, with a hash that no array has.  Returns the lane of that. */
static enum fxe_lane ask(struct pair *p, int same)
{
    static const char secret[FX_SECRET_SIZE], hash[FX_HASH_SIZE];
    struct fxe_msg *m = calloc(1, sizeof *m);
    enum fxe_lane lane;
    msgpack_sbuffer head;
    msgpack_packer pk;
    msgpack_sbuffer_init(&head);
    msgpack_packer_init(&pk, &head, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 7);
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, "upload");
    fx_pack_str(&pk, "session");
    fx_pack_bin(&pk, session->token, FX_TOKEN_SIZE);
    fx_pack_str(&pk, "id");
    msgpack_pack_int(&pk, ID + 1);
    fx_pack_str(&pk, "size");
    msgpack_pack_int(&pk, TOTAL);
    fx_pack_str(&pk, "same");
    msgpack_pack_int(&pk, same);
    fx_pack_str(&pk, "secret");
    fx_pack_bin(&pk, secret, sizeof(secret));
    fx_pack_str(&pk, "hash");
    fx_pack_bin(&pk, hash, sizeof(hash));
    m->frames[0].size = head.size;
    m->frames[0].data = msgpack_sbuffer_release(&head);
    m->nframes = m->seen = 1;
    assert_true(run_in(p, m, &lane));
    return lane;
}

static bool a_lane_is_free(void)
{
    fxe_lock();
    bool is = fxe_wide_is_free();
    fxe_unlock();
    return is;
}

static void only_what_is_hashed_takes_a_free_lane(void **state)
{
    struct pair p = open_pair();
    struct fx_buffer b = {malloc(TOTAL), TOTAL, 0};
    (void)state;
    fxe_room_init();
    memset(b.data, 1, TOTAL);
    assert_int_equal(ask(&p, ID), FXE_SMALL);
    assert_true(fxe_again_put(session, ID, &b));
    assert_int_equal(ask(&p, ID), FXE_SMALL);
    assert_false(fxe_again_has(session, ID, TOTAL)); /* it was another one, and is gone */
    b = (struct fx_buffer){calloc(1, TOTAL), TOTAL, 0};
    assert_true(fxe_again_put(session, ID, &b));
    fxe_engine.cores = 1;
    fxe_wide_start();
    while (!a_lane_is_free())
        sched_yield();
    assert_int_equal(ask(&p, ID + 5), FXE_SMALL);
    assert_int_equal(ask(&p, ID), FXE_WIDE);
    assert_int_equal(ask(&p, ID), FXE_SMALL);
    close_pair(&p);
}

static void memory_stays_while_a_piece_is_received(void **state)
{
    struct pair p = open_pair();
    struct fxe_obj *doomed = NULL;
    struct fxe_msg *m = NULL;
    (void)state;
    upload(&p, 0);
    begin_piece(&p, 1);
    fxe_session_end(session, &doomed);
    session =
        fxe_session_new(); /* send_part takes its token for the rest: nothing of that is left */
    send_part(&p, 1, FX_PIECE / 2, SIZE_MAX, &m);
    fxe_msg_free(m);
    close_pair(&p);
}

/* Of a header that is refused nothing stays (the sanitizer sees it). */
static void a_header_that_is_no_map_is_freed(void **state)
{
    struct pair p = open_pair();
    struct fxe_msg *m = NULL;
    uint8_t *message = malloc(FX_PIECE);
    msgpack_sbuffer head;
    msgpack_packer pk;
    (void)state;
    msgpack_sbuffer_init(&head);
    msgpack_packer_init(&pk, &head, msgpack_sbuffer_write);
    msgpack_pack_array(&pk, 60000);
    for (int i = 0; i < 60000; i++)
        msgpack_pack_int(&pk, 1);
    size_t n = make_message(&head, bytes, FX_PIECE / 2, message);
    msgpack_sbuffer_destroy(&head);
    assert_int_equal(send_bytes(&p, message, n, &m), 1);
    assert_null(m->place);
    fxe_msg_free(m);
    free(message);
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_are_received_in_their_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_piece_that_is_there_is_not_overwritten, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_piece_that_is_cut_off_is_still_missing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_piece_that_comes_again_over_another_connection_counts,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_piece_ends_with_the_connection_that_writes_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_request_that_was_not_run_leaves_no_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_what_is_hashed_takes_a_free_lane, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_stays_while_a_piece_is_received, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_header_that_is_no_map_is_freed, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("upload", tests, NULL, NULL);
}
