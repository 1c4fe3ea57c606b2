/* SPDX-License-Identifier: Apache-2.0 */
/* The link between front and engine: both ends, over a real socketpair. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "front/link_front.h"
#include "link.h"
#include "link_fd.h"

struct pair {
    struct fx_link engine, other; /* blocking ends */
    struct fxs_link front;        /* in place of `other`, where asked for */
};

static int set_up(void **state)
{
    static struct pair p;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    fx_link_init(&p.engine, ends[0]);
    fx_link_init(&p.other, ends[1]);
    assert_int_equal(fxs_link_init(&p.front, ends[1]), 0);
    *state = &p;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *p = *state;
    if (p->engine.fd >= 0)
        close(p->engine.fd);
    fxs_link_close(&p->front);
    return 0;
}

/* size bytes that depend on seed. */
static unsigned char *pattern(size_t size, unsigned seed)
{
    unsigned char *buf = malloc(size ? size : 1);
    for (size_t i = 0; i < size; i++)
        buf[i] = (unsigned char)((i * 2654435761u >> 13) + seed);
    return buf;
}

static const size_t sizes[] = {37, 0, FX_LINK_BIG - 1, FX_LINK_BIG, 5, 6 << 20, FX_FRAME_MAX};
enum { COUNT = sizeof(sizes) / sizeof(*sizes) };

static void *send_from_thread(void *arg)
{
    struct fx_link *l = arg;
    struct fx_frame frames[COUNT];
    struct fx_link_head head = {.kind = FX_LINK_REPLY, .nframes = COUNT, .ticket = 77};
    memset(head.token, 9, sizeof(head.token));
    for (size_t i = 0; i < COUNT; i++)
        frames[i] = (struct fx_frame){pattern(sizes[i], (unsigned)i), sizes[i]};
    int rc = fx_link_send(l, &head, frames);
    for (size_t i = 0; i < COUNT; i++)
        free((void *)frames[i].data);
    return rc == 0 ? l : NULL;
}

static void check_frame(const void *data, size_t size, size_t i)
{
    unsigned char *want = pattern(sizes[i], (unsigned)i);
    assert_int_equal(size, sizes[i]);
    assert_non_null(data);
    assert_memory_equal(data, want, size);
    free(want);
}

static void blocking_round_trip(void **state)
{
    struct pair *p = *state;
    struct fx_link_msg m;
    pthread_t thread;
    void *sent;
    assert_int_equal(fx_link_try_recv(&p->other, &m), 1);
    pthread_create(&thread, NULL, send_from_thread, &p->engine);
    assert_int_equal(fx_link_recv(&p->other, &m), 0);
    pthread_join(thread, &sent);
    assert_non_null(sent);
    assert_int_equal(m.head.kind, FX_LINK_REPLY);
    assert_int_equal(m.head.ticket, 77);
    assert_int_equal(m.head.token[15], 9);
    assert_int_equal(m.head.nframes, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        check_frame(m.frames[i].data, m.frames[i].size, i);
        assert_int_equal(m.frames[i].mapped, sizes[i] >= FX_LINK_BIG);
        if (m.frames[i].size) /* an engine may work in place */
            *(char *)m.frames[i].data = 1;
    }
    fx_link_msg_free(&m);
    assert_int_equal(fx_link_try_recv(&p->other, &m), 1);
}

/* What the engine sends arrives at the front, in however many pieces. */
static void front_receives(void **state)
{
    struct pair *p = *state;
    struct fxs_link_msg m;
    pthread_t thread;
    void *sent;
    int rc;
    pthread_create(&thread, NULL, send_from_thread, &p->engine);
    while ((rc = fxs_link_recv(&p->front, &m)) == 0)
        usleep(1000);
    assert_int_equal(rc, 1);
    pthread_join(thread, &sent);
    assert_false(m.lost);
    assert_int_equal(m.head.nframes, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        check_frame(zmq_msg_data(&m.frames[i]), zmq_msg_size(&m.frames[i]), i);
    fxs_link_msg_close(&m);
    assert_int_equal(fxs_link_recv(&p->front, &m), 0);
}

static void *receive_in_thread(void *arg)
{
    struct fx_link *l = arg;
    struct fx_link_msg m;
    for (uint64_t ticket = 0; ticket < 3; ticket++) {
        usleep(20000); /* so that the front has to queue */
        if (fx_link_recv(l, &m) != 0 || m.head.ticket != ticket || m.head.nframes != COUNT)
            return NULL;
        for (size_t i = 0; i < COUNT; i++)
            check_frame(m.frames[i].data, m.frames[i].size, i);
        fx_link_msg_free(&m);
    }
    return l;
}

static void front_queues(void **state)
{
    struct pair *p = *state;
    zmq_msg_t frames[COUNT];
    pthread_t thread;
    void *received;
    int rc = 0;
    for (uint64_t ticket = 0; ticket < 3; ticket++) {
        struct fx_link_head head = {.kind = FX_LINK_REQUEST, .nframes = COUNT, .ticket = ticket};
        for (size_t i = 0; i < COUNT; i++) {
            unsigned char *data = pattern(sizes[i], (unsigned)i);
            zmq_msg_init_size(&frames[i], sizes[i]);
            memcpy(zmq_msg_data(&frames[i]), data, sizes[i]);
            free(data);
        }
        rc = fxs_link_send(&p->front, &head, frames);
        assert_int_equal(rc, FXS_SENT_POLL); /* a megabyte does not fit into a socket */
    }
    pthread_create(&thread, NULL, receive_in_thread, &p->engine);
    while ((rc = fxs_link_flush(&p->front)) == FXS_SENT_POLL)
        usleep(1000);
    assert_int_equal(rc, FXS_SENT);
    pthread_join(thread, &received);
    assert_non_null(received);
}

static void peer_gone(void **state)
{
    struct pair *p = *state;
    struct fx_link_head head = {.kind = FX_LINK_STOP};
    struct fxs_link_msg fm;
    close(p->engine.fd);
    p->engine.fd = -1;
    assert_int_equal(fxs_link_recv(&p->front, &fm), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(fxs_link_send(&p->front, &head, NULL), -1);
    assert_int_equal(errno, EPIPE);
}

static void peer_gone_in_the_middle(void **state)
{
    struct pair *p = *state;
    struct fx_link_head head = {.magic = FX_LINK_MAGIC, .kind = FX_LINK_REPLY, .nframes = 1};
    struct fx_link_msg m;
    head.size[0] = 1000;
    assert_int_equal(write(p->other.fd, &head, sizeof(head)), sizeof(head));
    assert_int_equal(write(p->other.fd, "abc", 3), 3);
    fxs_link_close(&p->front);
    assert_int_equal(fx_link_recv(&p->engine, &m), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(fx_link_try_recv(&p->engine, &m), -1);
}

/* Heads that neither end may believe. */
static void garbage(void **state)
{
    static const struct fx_link_head bad[] = {
        {.magic = 0x41414141, .kind = FX_LINK_REPLY},
        {.magic = FX_LINK_MAGIC, .kind = 0},
        {.magic = FX_LINK_MAGIC, .kind = FX_LINK_STOP + 1},
        {.magic = FX_LINK_MAGIC, .kind = FX_LINK_REPLY, .nframes = FX_FRAMES_MAX + 1},
        {.magic = FX_LINK_MAGIC, .kind = FX_LINK_REPLY, .nframes = 1, .size = {UINT64_MAX}},
        {.magic = FX_LINK_MAGIC, .kind = FX_LINK_REPLY, .nframes = 1, .size = {FX_FRAME_MAX + 1}},
    };
    struct fx_link_msg m;
    struct fxs_link_msg fm;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        void *fresh;
        assert_int_equal(set_up(&fresh), 0);
        struct pair *p = fresh;
        assert_int_equal(write(p->other.fd, &bad[i], sizeof(bad[i])), sizeof(bad[i]));
        assert_int_equal(fx_link_recv(&p->engine, &m), -1);
        assert_int_equal(errno, EPROTO);
        assert_int_equal(write(p->engine.fd, &bad[i], sizeof(bad[i])), sizeof(bad[i]));
        assert_int_equal(fxs_link_recv(&p->front, &fm), -1);
        assert_int_equal(errno, EPROTO);
        tear_down(&fresh);
    }
    (void)state;
}

/* A memfd that its sender could cut under the receiver's mapping, or that is shorter
 * than it is said to be, is refused. */
static void bad_memfds(void **state)
{
    struct pair *p = *state;
    struct fx_link_head head = {.magic = FX_LINK_MAGIC, .kind = FX_LINK_REPLY, .nframes = 1};
    struct iovec iov = {&head, sizeof(head)};
    struct fx_link_msg m;
    struct fxs_link_msg fm;
    head.size[0] = 2 << 20;

    int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(unsealed, 2 << 20), 0);
    assert_int_equal(fx_fds_send(p->other.fd, &iov, 1, &unsealed, 1, 0), sizeof(head));
    assert_int_equal(fx_link_recv(&p->engine, &m), -1);
    assert_int_equal(errno, EPROTO);
    close(unsealed);

    unsigned char *data = pattern(2 << 20, 0);
    int shorter = fx_memfd_make(data, (2 << 20) - 1);
    free(data);
    assert_true(shorter >= 0);
    assert_int_equal(fx_fds_send(p->engine.fd, &iov, 1, &shorter, 1, 0), sizeof(head));
    assert_int_equal(fxs_link_recv(&p->front, &fm), -1);
    assert_int_equal(errno, EPROTO);
    assert_int_equal(ftruncate(shorter, 5), -1);
    close(shorter);
}

/* Without its memfd a reply is lost, but the stream goes on. */
static void missing_memfd(void **state)
{
    struct pair *p = *state;
    struct fx_link_head head = {.magic = FX_LINK_MAGIC, .kind = FX_LINK_REPLY, .nframes = 1};
    struct fxs_link_msg m;
    head.size[0] = 2 << 20;
    assert_int_equal(write(p->engine.fd, &head, sizeof(head)), sizeof(head));
    assert_int_equal(fxs_link_recv(&p->front, &m), 1);
    assert_true(m.lost);
    fxs_link_msg_close(&m);
    head.nframes = 0;
    assert_int_equal(fx_link_send(&p->engine, &head, NULL), 0);
    assert_int_equal(fxs_link_recv(&p->front, &m), 1);
    assert_false(m.lost);
    fxs_link_msg_close(&m);
}

static void too_large_to_send(void **state)
{
    struct pair *p = *state;
    struct fx_link_head head = {.kind = FX_LINK_REPLY, .nframes = 1};
    struct fx_frame frame = {"", (size_t)FX_FRAME_MAX + 1};
    assert_int_equal(fx_link_send(&p->engine, &head, &frame), -1);
    assert_int_equal(errno, EMSGSIZE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocking_round_trip), TEST(front_receives),          TEST(front_queues),
        TEST(peer_gone),           TEST(peer_gone_in_the_middle), cmocka_unit_test(garbage),
        TEST(bad_memfds),          TEST(missing_memfd),           TEST(too_large_to_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
