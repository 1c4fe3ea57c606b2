/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays in memfds: the data arrives, and a memfd that can change or has holes is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "descriptors.h"
#include "proto/memfd.h"

enum { PAGE = 4096 };

/* A memfd of `size` bytes.  `written` has a character for each page; the pages with 'x' are
 * written, the others stay holes. */
static int make(const char *written, size_t size, int seals)
{
    char page[PAGE];
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    memset(page, 'x', sizeof(page));
    for (size_t i = 0; written[i]; i++) {
        size_t n = size - i * PAGE < PAGE ? size - i * PAGE : PAGE;
        if (written[i] == 'x')
            assert_int_equal(pwrite(fd, page, n, (off_t)(i * PAGE)), n);
    }
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void expect_size(int fd, size_t want)
{
    assert_int_equal(fx_memfd_sealed_size(fd), want);
    close(fd);
}

enum { SEALS = F_SEAL_SHRINK | F_SEAL_WRITE };

static void a_sealed_memfd_can_be_mapped(void **state)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 3000001};
    char *data = malloc(3000001);
    (void)state;
    for (size_t i = 0; i < 3000001; i++)
        data[i] = (char)(i * 31 + i / 4096);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        int fd = fx_memfd_make(data, sizes[i]);
        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(fx_memfd_sealed_size(fd), sizes[i]);
        struct fx_buffer b = {fx_memfd_map(fd, sizes[i]), sizes[i], 1};
        close(fd); /* the mapping does not need it */
        assert_non_null(b.data);
        assert_memory_equal(b.data, data, sizes[i]);
        fx_buffer_free(&b);
        assert_null(b.data);
        assert_int_equal(b.size, 0);
    }
    free(data);
}

static void a_sealed_memfd_cannot_be_changed(void **state)
{
    int fd = fx_memfd_make("abc", 3);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 100), -1);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3), -1);
    assert_ptr_equal(mmap(NULL, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    close(fd);
}

static void only_sealed_memfds_are_accepted(void **state)
{
    char path[] = "/tmp/fx-memfd-XXXXXX";
    int pipes[2];
    (void)state;
    expect_size(make("xx", 2 * PAGE, SEALS), 2 * PAGE);
    expect_size(make("xx", PAGE + 1, SEALS), PAGE + 1);
    expect_size(make("xx", 2 * PAGE, 0), 0);
    expect_size(make("xx", 2 * PAGE, F_SEAL_WRITE), 0);
    expect_size(make("xx", 2 * PAGE, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    expect_size(make("", 0, SEALS), 0);
    int fd = mkstemp(path);
    unlink(path);
    assert_int_equal(write(fd, path, sizeof(path)), sizeof(path));
    expect_size(fd, 0);
    assert_int_equal(pipe(pipes), 0);
    expect_size(pipes[0], 0);
    close(pipes[1]);
    assert_int_equal(fx_memfd_sealed_size(-1), 0);
}

/* Reading a hole would allocate memory that no limit of the engine counts. */
static void holes_are_refused(void **state)
{
    (void)state;
    expect_size(make("", PAGE, SEALS), 0);
    expect_size(make("-xx", 3 * PAGE, SEALS), 0);
    expect_size(make("x-x", 3 * PAGE, SEALS), 0);
    expect_size(make("xx-", 3 * PAGE, SEALS), 0);
    expect_size(make("xx-", 2 * PAGE + 1, SEALS), 0);
    /* Pages beyond the end of the file do not count. */
    int fd = make("x-x", 3 * PAGE, 0);
    assert_int_equal(fallocate(fd, FALLOC_FL_KEEP_SIZE, 3 * PAGE, 8 * PAGE), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS), 0);
    expect_size(fd, 0);
}

/* Without room, no memfd is returned and no descriptor leaks. */
static void no_room(void **state)
{
    struct rlimit before, none = {PAGE, RLIM_INFINITY};
    char *data = calloc(1, 4 * PAGE);
    int open = descriptors();
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int fd = fx_memfd_make(data, 4 * PAGE);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(fd, -1);
    assert_int_equal(descriptors(), open);
    free(data);
}

static void buffers(void **state)
{
    struct fx_buffer b = {malloc(10), 10, 0}, empty = {NULL, 0, 1};
    (void)state;
    fx_buffer_free(&b);
    fx_buffer_free(&b); /* does nothing: the first call cleared it */
    fx_buffer_free(&empty);
    assert_null(b.data);
    assert_int_equal(empty.mapped, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_memfd_can_be_mapped),
        cmocka_unit_test(a_sealed_memfd_cannot_be_changed),
        cmocka_unit_test(only_sealed_memfds_are_accepted),
        cmocka_unit_test(holes_are_refused),
        cmocka_unit_test(no_room),
        cmocka_unit_test(buffers),
    };
    return cmocka_run_group_tests_name("memfd", tests, NULL, NULL);
}
