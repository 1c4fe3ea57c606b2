/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between front and engine: records and descriptors arrive whole, and anything else is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptors.h"
#include "server/handover.h"

struct ends {
    int front, engine;
    int before; /* open descriptors of this process */
};

static int set_up(void **state)
{
    static struct ends e;
    int fd[2];
    e.before = descriptors();
    if (fxs_handover_pair(fd) != 0)
        return -1;
    e.front = fd[0];
    e.engine = fd[1];
    *state = &e;
    return 0;
}

/* No test may leak a descriptor. */
static int tear_down(void **state)
{
    struct ends *e = *state;
    if (e->front >= 0)
        close(e->front);
    close(e->engine);
    return descriptors() == e->before ? 0 : -1;
}

static struct fxs_handover *record(uint32_t kind, uint32_t size)
{
    static struct fxs_handover h;
    memset(&h, 0, sizeof(h));
    h.kind = kind;
    h.key = 7;
    h.near = 1;
    strcpy(h.peer, "192.0.2.1 port 5");
    h.size = size;
    for (uint32_t i = 0; i < size; i++)
        h.bytes[i] = (uint8_t)(i * 7);
    return &h;
}

static void the_ends_are_private_and_do_not_wait(void **state)
{
    struct ends *e = *state;
    struct fxs_handover h;
    int fd = 5;
    for (int i = 0; i < 2; i++) {
        int end = i ? e->front : e->engine;
        assert_int_equal(fcntl(end, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(fcntl(end, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    }
    assert_int_equal(fxs_handover_recv(e->engine, &h, &fd), 0);
    assert_int_equal(fd, -1);
}

static void records_of_every_size_arrive(void **state)
{
    static const uint32_t sizes[] = {0, 1, 100, FXS_HANDOVER_BYTES - 1, FXS_HANDOVER_BYTES};
    static struct fxs_handover got;
    struct ends *e = *state;
    int fd;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct fxs_handover *h = record(FXS_CONNECTION, sizes[i]);
        memset(&got, 0xa5, sizeof(got));
        assert_int_equal(fxs_handover_send(e->front, h, -1), 0);
        assert_int_equal(fxs_handover_recv(e->engine, &got, &fd), 1);
        assert_int_equal(fd, -1);
        assert_memory_equal(&got, h, offsetof(struct fxs_handover, bytes) + sizes[i]);
        for (uint32_t j = sizes[i]; j < FXS_HANDOVER_BYTES; j++) /* no other byte was changed */
            assert_int_equal(got.bytes[j], 0xa5);
    }
    /* From the engine to the front, several in a row. */
    assert_int_equal(fxs_handover_send(e->engine, record(FXS_READY, 0), -1), 0);
    assert_int_equal(fxs_handover_send(e->engine, record(FXS_STOP, 3), -1), 0);
    assert_int_equal(fxs_handover_recv(e->front, &got, &fd), 1);
    assert_int_equal(got.kind, FXS_READY);
    assert_int_equal(fxs_handover_recv(e->front, &got, &fd), 1);
    assert_int_equal(got.kind, FXS_STOP);
    assert_int_equal(fxs_handover_recv(e->front, &got, &fd), 0);
}

static void a_descriptor_arrives_and_works(void **state)
{
    struct ends *e = *state;
    struct fxs_handover h;
    int pipes[2], fd;
    char b[4];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(fxs_handover_send(e->front, record(FXS_CONNECTION, 10), pipes[1]), 0);
    close(pipes[1]); /* the sender's copy; the record has another */
    assert_int_equal(fxs_handover_recv(e->engine, &h, &fd), 1);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(read(pipes[0], b, 4), 3);
    close(fd);
    assert_int_equal(read(pipes[0], b, 4), 0); /* no other copy is left */
    close(pipes[0]);
}

/* If the socket is full, the send fails, and succeeds once the other end has read. */
static void a_full_socket_is_reported(void **state)
{
    struct ends *e = *state;
    static struct fxs_handover h;
    int fd, sent = 0, pipes[2];
    assert_int_equal(pipe(pipes), 0);
    while (fxs_handover_send(e->front, record(FXS_CONNECTION, FXS_HANDOVER_BYTES), pipes[0]) == 0)
        assert_in_range(++sent, 1, 100000);
    assert_int_equal(errno, EAGAIN);
    assert_int_not_equal(fcntl(pipes[0], F_GETFD), -1);
    for (int i = 0; i < sent; i++) {
        assert_int_equal(fxs_handover_recv(e->engine, &h, &fd), 1);
        assert_int_equal(h.size, FXS_HANDOVER_BYTES);
        assert_true(fd >= 0);
        close(fd);
    }
    assert_int_equal(fxs_handover_recv(e->engine, &h, &fd), 0); /* no record was split */
    assert_int_equal(fxs_handover_send(e->front, record(FXS_CONNECTION, 0), pipes[0]), 0);
    close(pipes[0]);
    close(pipes[1]);
}

static void an_end_that_is_gone_is_noticed(void **state)
{
    struct ends *e = *state;
    struct fxs_handover h;
    int fd;
    assert_int_equal(fxs_handover_send(e->front, record(FXS_STOP, 0), -1), 0);
    close(e->front);
    e->front = -1;
    assert_int_equal(fxs_handover_recv(e->engine, &h, &fd), 1); /* earlier records are still read */
    assert_int_equal(h.kind, FXS_STOP);
    assert_int_equal(fxs_handover_recv(e->engine, &h, &fd), -1);
    assert_int_equal(fd, -1);
    assert_int_equal(fxs_handover_send(e->engine, record(FXS_READY, 0), -1), -1); /* no SIGPIPE */
    assert_int_equal(errno, EPIPE);
}

/* --- invalid records --- */

/* Send these bytes with n descriptors. */
static void send_raw(int sock, const void *data, size_t size, int n)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct iovec iov = {(void *)(uintptr_t)data, size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n) {
        msg.msg_control = control.buf;
        msg.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
        for (int i = 0; i < n; i++)
            memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &sock, sizeof(sock));
    }
    assert_int_equal(sendmsg(sock, &msg, 0), size);
}

/* The bytes of a valid record. */
static struct fxs_handover *sent_record(struct ends *e, uint32_t size)
{
    static struct fxs_handover h;
    int fd;
    assert_int_equal(fxs_handover_send(e->front, record(FXS_CONNECTION, size), -1), 0);
    assert_int_equal(fxs_handover_recv(e->engine, &h, &fd), 1);
    return &h;
}

static void refused(struct ends *e, const void *data, size_t size)
{
    static struct fxs_handover h;
    for (int n = 0; n <= 2; n++) { /* with none, one and two descriptors */
        int fd = 5, before = descriptors();
        send_raw(e->front, data, size, n);
        assert_int_equal(fxs_handover_recv(e->engine, &h, &fd), -1);
        assert_int_equal(fd, -1);
        assert_int_equal(descriptors(), before);
    }
}

static void garbage_is_refused(void **state)
{
    static char garbage[sizeof(struct fxs_handover)];
    struct ends *e = *state;
    struct fxs_handover h = *sent_record(e, 10);
    size_t head = offsetof(struct fxs_handover, bytes);
    memset(garbage, 'g', sizeof(garbage));
    refused(e, garbage, 1);
    refused(e, garbage, sizeof(garbage));
    refused(e, "", 0);
    for (size_t n = 1; n < head + 10; n++)
        refused(e, &h, n); /* truncated */
    refused(e, &h, head + 11);
    refused(e, &h, sizeof(h));
    h.size = FXS_HANDOVER_BYTES + 1;
    refused(e, &h, sizeof(h));
    h.size = UINT32_MAX; /* the sum with the head's size overflows */
    refused(e, &h, head + 10);
    h = *sent_record(e, 0);
    h.magic++;
    refused(e, &h, head);
    h = *sent_record(e, 0);
    memset(h.peer, 'p', sizeof(h.peer)); /* no terminating NUL */
    refused(e, &h, head);
}

/* If there are several descriptors, the first is kept. */
static void unexpected_descriptors_are_closed(void **state)
{
    struct ends *e = *state;
    struct fxs_handover h = *sent_record(e, 4);
    for (int n = 1; n <= 8; n++) {
        int fd, before = descriptors();
        send_raw(e->front, &h, offsetof(struct fxs_handover, bytes) + 4, n);
        assert_int_equal(fxs_handover_recv(e->engine, &h, &fd), 1);
        assert_true(fd >= 0);
        assert_int_equal(descriptors(), before + 1);
        close(fd);
    }
}

/* The record is still read, and so is the next one. */
static void a_descriptor_over_the_limit_is_dropped(void **state)
{
    struct ends *e = *state;
    struct fxs_handover h;
    struct rlimit before, full;
    int fd, none = dup(e->front); /* the lowest free number */
    close(none);
    assert_int_equal(fxs_handover_send(e->front, record(FXS_CONNECTION, 1), e->front), 0);
    assert_int_equal(fxs_handover_send(e->front, record(FXS_STOP, 2), -1), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    full = (struct rlimit){(rlim_t)none, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &full), 0);
    int rc = fxs_handover_recv(e->engine, &h, &fd);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(rc, 1);
    assert_int_equal(fd, -1);
    assert_int_equal(h.size, 1);
    assert_int_equal(fxs_handover_recv(e->engine, &h, &fd), 1);
    assert_int_equal(h.kind, FXS_STOP);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_ends_are_private_and_do_not_wait), TEST(records_of_every_size_arrive),
        TEST(a_descriptor_arrives_and_works),       TEST(a_full_socket_is_reported),
        TEST(an_end_that_is_gone_is_noticed),       TEST(garbage_is_refused),
        TEST(unexpected_descriptors_are_closed),    TEST(a_descriptor_over_the_limit_is_dropped),
    };
    return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
