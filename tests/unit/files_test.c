/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing index files in the client, with a server in this process that makes up the
 * bytes.  The tests check which bytes arrive, and what a failure leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "faiss_c_compat.h"
#include "file_server.h"
#include "shim/faissx.h"
#include "shim/settings.h"

static char dir[] = "/tmp/fx-files-XXXXXX";
static FaissIndex *an_index;

/* --- what the tests share --- */

static int fresh(void **state)
{
    (void)state;
    memset(&server, 0, sizeof server);
    server.save_size = SMALL;
    return 0;
}

static const char *in_dir(const char *name)
{
    static char path[4][200];
    static unsigned n;
    char *p = path[n++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static void assert_failed(int rc, int want, const char *text)
{
    const char *why = faiss_get_last_error();
    assert_int_equal(rc, want);
    assert_non_null(why);
    if (!strstr(why, text))
        fail_msg("'%s' is not in '%s'", text, why);
}

static void assert_pattern(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != pattern(i))
            fail_msg("byte %zu of %zu is wrong", i, size);
}

static void put(const char *path, const char *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void put_pattern(const char *path, size_t size)
{
    char *data = malloc(size);
    fill(data, 0, size);
    put(path, data, size);
    free(data);
}

static void assert_file(const char *path, size_t size)
{
    struct stat st;
    char *data = malloc(size);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, size);
    assert_int_equal(fread(data, 1, size, f), size);
    assert_pattern(data, size);
    fclose(f);
    free(data);
}

static void assert_text(const char *path, const char *text)
{
    char buf[100] = "";
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    buf[fread(buf, 1, sizeof buf - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(buf, text);
}

static void assert_nothing_left_over(void)
{
    glob_t g;
    assert_int_equal(glob(in_dir(".faissx*"), 0, NULL, &g), GLOB_NOMATCH);
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

/* --- writing --- */

static void written_into_a_stream(void **state)
{
    (void)state;
    for (size_t size = SMALL; size; size = size == SMALL ? LARGE : 0) {
        char *data = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&data, &len);
        server.save_size = size;
        fputs("before", f);
        assert_int_equal(faiss_write_index(an_index, f), 0);
        fputs("behind", f); /* the FILE is still open */
        fclose(f);
        assert_int_equal(len, size + 12);
        assert_memory_equal(data, "before", 6);
        assert_pattern(data + 6, size);
        assert_memory_equal(data + 6 + size, "behind", 6);
        free(data);
    }
    assert_int_equal(server.released, 1);
}

static void a_stream_that_is_full(void **state)
{
    (void)state;
    FILE *f = fopen("/dev/full", "wb");
    assert_non_null(f);
    setvbuf(f, NULL, _IONBF, 0);
    assert_failed(faiss_write_index(an_index, f), -2, "No space left on device");
    server.save_size = LARGE;
    assert_failed(faiss_write_index(an_index, f), -2, "write error in the stream");
    assert_int_equal(server.released, 1);
    fclose(f);
    assert_int_equal(faiss_Index_ntotal(an_index), 42); /* the connection still works */
}

static void written_into_a_new_file(void **state)
{
    (void)state;
    mode_t mask = umask(027);
    assert_int_equal(faiss_write_index_fname(an_index, in_dir("new")), 0);
    umask(mask);
    assert_file(in_dir("new"), SMALL);
    assert_int_equal(mode_of(in_dir("new")), 0640);
    server.save_size = LARGE;
    assert_int_equal(faiss_write_index_fname(an_index, in_dir("new")), 0);
    assert_file(in_dir("new"), LARGE);
    assert_int_equal(mode_of(in_dir("new")), 0640);
    assert_nothing_left_over();
}

static void a_relative_name(void **state)
{
    (void)state;
    char cwd[1000];
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(faiss_write_index_fname(an_index, "relative"), 0);
    assert_int_equal(faiss_write_index_fname(an_index, "relative"), 0);
    assert_int_equal(chdir(cwd), 0);
    assert_file(in_dir("relative"), SMALL);
    assert_nothing_left_over();
}

static void a_failure_leaves_the_file_as_it_was(void **state)
{
    (void)state;
    const char *path = in_dir("kept");
    put(path, "as it was", 9);
    server.save_size = LARGE;
    server.fail_download = 2 * FX_PIECE;
    assert_failed(faiss_write_index_fname(an_index, path), -4, "the engine died");
    server.refuse_save = 1;
    assert_failed(faiss_write_index_fname(an_index, path), -2, "FAISS cannot write this");
    assert_failed(faiss_write_index_fname(NULL, path), -4, "the FaissIndex is NULL");
    assert_text(path, "as it was");
    assert_failed(faiss_write_index_fname(an_index, in_dir("never")), -2, "FAISS cannot");
    assert_int_equal(access(in_dir("never"), F_OK), -1);
    assert_nothing_left_over();
}

static void permissions_and_links_stay(void **state)
{
    (void)state;
    struct stat st;
    put(in_dir("real"), "old", 3);
    chmod(in_dir("real"), 0604);
    assert_int_equal(symlink("real", in_dir("link")), 0);
    assert_int_equal(faiss_write_index_fname(an_index, in_dir("link")), 0);
    assert_int_equal(lstat(in_dir("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_file(in_dir("real"), SMALL);
    assert_int_equal(mode_of(in_dir("real")), 0604);
    /* Another link to the file sees the new contents too. */
    put(in_dir("one"), "a text that is longer than nothing", 34);
    assert_int_equal(link(in_dir("one"), in_dir("two")), 0);
    assert_int_equal(faiss_write_index_fname(an_index, in_dir("one")), 0);
    assert_file(in_dir("two"), SMALL);
    assert_int_equal(symlink("not yet", in_dir("dangling")), 0);
    assert_int_equal(faiss_write_index_fname(an_index, in_dir("dangling")), 0);
    assert_file(in_dir("not yet"), SMALL);
    assert_nothing_left_over();
}

static void pipes_and_devices_are_written_in_place(void **state)
{
    (void)state;
    char data[SMALL];
    assert_failed(faiss_write_index_fname(an_index, "/dev/full"), -2, "write error in /dev/full");
    assert_int_equal(faiss_write_index_fname(an_index, "/dev/null"), 0);
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    int fd = open(in_dir("fifo"), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(faiss_write_index_fname(an_index, in_dir("fifo")), 0);
    assert_int_equal(read(fd, data, sizeof data), SMALL);
    assert_pattern(data, SMALL);
    close(fd);
    unlink(in_dir("fifo"));
}

static void names_that_cannot_be_written(void **state)
{
    (void)state;
    assert_failed(faiss_write_index_fname(an_index, in_dir("no/file")), -2,
                  "no/file for writing: No such file or directory");
    assert_failed(faiss_write_index_fname(an_index, dir), -2, "for writing: Is a directory");
    assert_failed(faiss_write_index_fname(an_index, in_dir("folder/")), -2, "for writing");
    assert_failed(faiss_write_index_fname(an_index, ""), -2, "could not open  for writing");
    assert_failed(faiss_write_index_fname(an_index, NULL), -4,
                  "faiss_write_index_fname: fname is NULL");
    assert_failed(faiss_write_index(an_index, NULL), -4, "faiss_write_index: f is NULL");
    put(in_dir("readonly"), "old", 3);
    chmod(in_dir("readonly"), 0400);
    if (geteuid() != 0) {
        assert_failed(faiss_write_index_fname(an_index, in_dir("readonly")), -2,
                      "Permission denied");
        assert_text(in_dir("readonly"), "old");
    }
}

static void written_into_memory(void **state)
{
    (void)state;
    uint8_t *buf = NULL;
    size_t size = 0;
    for (size_t want = SMALL; want; want = want == SMALL ? LARGE : 0) {
        server.save_size = want;
        assert_int_equal(faiss_write_index_buf(an_index, &size, &buf), 0);
        assert_int_equal(size, want);
        assert_pattern((char *)buf, size);
        faiss_free_buf(&buf);
        assert_null(buf);
    }
    faiss_free_buf(&buf);
    assert_failed(faiss_write_index_buf(an_index, NULL, &buf), -4, "buf_size is NULL");
    assert_failed(faiss_write_index_buf(an_index, &size, NULL), -4, "buf is NULL");
    server.refuse_save = 1;
    assert_failed(faiss_write_index_buf(an_index, &size, &buf), -2, "FAISS cannot write this");
    assert_null(buf);
}

static void the_letters_of_a_file(void **state)
{
    (void)state;
    char fourcc[4] = "";
    int local = 0;
    assert_int_equal(faissx_index_fourcc(an_index, fourcc), 0);
    assert_pattern(fourcc, 4);
    assert_failed(faissx_index_fourcc(an_index, NULL), -4, "fourcc is NULL");
    assert_failed(faissx_index_fourcc(NULL, fourcc), -4, "is NULL");
    assert_failed(faissx_index_fourcc(&local, fourcc), -4, "was made by the real library");
    server.save_size = 3;
    assert_failed(faissx_index_fourcc(an_index, fourcc), -4, "the server sent 3 bytes");
    server.save_size = LARGE;
    assert_failed(faissx_index_fourcc(an_index, fourcc), -4, "the server is too old");
    server.refuse_save = 1;
    assert_failed(faissx_index_fourcc(an_index, fourcc), -2, "FAISS cannot write this");
}

/* --- callbacks --- */

static struct {
    char *data;
    size_t size, limit, calls;
    int ask, leave, slow;
    jmp_buf env;
} cb;

static size_t on_write(const void *ptr, size_t size, size_t nitems)
{
    size_t n = size * nitems;
    cb.calls++;
    if (cb.ask)
        assert_int_equal(faiss_Index_ntotal(an_index), 42);
    if (cb.leave)
        longjmp(cb.env, 1);
    if (cb.slow)
        usleep(1000000);
    cb.slow = 0;
    if (cb.size + n > cb.limit)
        return 0;
    memcpy(cb.data + cb.size, ptr, n);
    cb.size += n;
    return nitems;
}

static size_t on_read(void *ptr, size_t size, size_t nitems)
{
    size_t n = size * nitems;
    cb.calls++;
    if (cb.ask)
        assert_int_equal(faiss_Index_ntotal(an_index), 42);
    if (n > 3)
        n = 3; /* fewer bytes than requested, though there are more */
    if (n > cb.limit - cb.size)
        n = cb.limit - cb.size;
    fill(ptr, cb.size, n);
    cb.size += n;
    return n;
}

static void written_into_a_callback(void **state)
{
    (void)state;
    FaissCustomIOWriter *w = NULL;
    cb.data = malloc(LARGE);
    assert_int_equal(faiss_CustomIOWriter_new(&w, on_write), 0);
    for (size_t size = SMALL; size; size = size == SMALL ? LARGE : 0)
        for (cb.ask = 0; cb.ask < 2; cb.ask++) {
            int cancel = -1;
            server.save_size = cb.limit = size;
            cb.size = 0;
            assert_int_equal(faiss_write_index_custom(an_index, (FaissIOWriter *)w, 3), 0);
            assert_int_equal(server.flags, 3);
            assert_int_equal(cb.size, size);
            assert_pattern(cb.data, size);
            pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &cancel);
            assert_int_equal(cancel, PTHREAD_CANCEL_ENABLE);
        }
    cb.ask = 0;
    cb.size = 0;
    cb.limit = LARGE - 1; /* no room for the last piece */
    assert_failed(faiss_write_index_custom(an_index, (FaissIOWriter *)w, 0), -2,
                  "write error in the callback");
    assert_int_equal(faiss_Index_ntotal(an_index), 42);
    faiss_CustomIOWriter_free(w);
    free(cb.data);
}

static void limit_calls(const char *seconds)
{
    setenv("FAISSX_TIMEOUT", seconds, 1);
    fx_settings_read();
}

/* In a child, which has settings of its own. */
static void a_callback_that_takes_longer_than_a_call_may(void **state)
{
    (void)state;
    FaissCustomIOWriter *w = NULL;
    int status = -1;
    server.save_size = cb.limit = LARGE;
    cb.size = 0;
    cb.data = malloc(LARGE);
    assert_int_equal(faiss_CustomIOWriter_new(&w, on_write), 0);
    pid_t child = fork();
    if (child == 0) {
        limit_calls("0.7");
        cb.slow = 1;
        int rc = faiss_write_index_custom(an_index, (FaissIOWriter *)w, 0);
        if (rc != 0)
            fprintf(stderr, "%s\n", faiss_get_last_error());
        _exit(rc == 0 && cb.size == LARGE ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    faiss_CustomIOWriter_free(w);
    free(cb.data);
}

/* In a child, because there leaked memory is not an error. */
static void a_callback_that_does_not_return(void **state)
{
    (void)state;
    FaissCustomIOWriter *w = NULL;
    int status = -1;
    server.save_size = LARGE;
    assert_int_equal(faiss_CustomIOWriter_new(&w, on_write), 0);
    pid_t child = fork();
    if (child == 0) {
        limit_calls("0.7");
        cb.leave = 1;
        if (setjmp(cb.env) == 0)
            faiss_write_index_custom(an_index, (FaissIOWriter *)w, 0);
        else
            cb.leave = 0;
        usleep(1000000); /* the time limit of that call is not that of later ones */
        _exit(!cb.leave && faiss_Index_ntotal(an_index) == 42 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    faiss_CustomIOWriter_free(w);
}

static void read_from_a_callback(void **state)
{
    (void)state;
    FaissCustomIOReader *r = NULL;
    FaissIndexBinary *index = NULL;
    assert_int_equal(faiss_CustomIOReader_new(&r, on_read), 0);
    for (cb.ask = 0; cb.ask < 2; cb.ask++) {
        cb.size = cb.calls = server.ngot = 0;
        cb.limit = 100;
        server.needs = "\4\1\10";
        assert_int_equal(faiss_read_index_binary_custom((FaissIOReader *)r, 0, &index), 0);
        assert_non_null(index);
        assert_string_equal(server.cls, "IndexBinary");
        assert_int_equal(server.ngot, 13);
        assert_pattern(server.got, 13);
        assert_int_equal(cb.size, 13);
    }
    cb.ask = 0;
    cb.size = 0;
    cb.limit = 5;
    server.needs = "\4\10";
    index = NULL;
    assert_failed(faiss_read_index_binary_custom((FaissIOReader *)r, 0, &index), -2, "read error");
    assert_null(index);
    faiss_CustomIOReader_free(r);
}

/* --- reading --- */

static void read_from_a_file(void **state)
{
    (void)state;
    FaissIndex *index = NULL;
    FaissVectorTransform *vt = NULL;
    for (size_t size = SMALL; size; size = size == SMALL ? LARGE : 0) {
        server.ngot = 0;
        put_pattern(in_dir("file"), size);
        assert_int_equal(faiss_read_index_fname(in_dir("file"), 2, &index), 0);
        assert_string_equal(server.cls, "Index");
        assert_int_equal(server.flags, 2);
        assert_int_equal(server.ngot, size);
        assert_pattern(server.got, size);
        assert_int_equal(faissx_is_remote(index), 1);
        assert_int_equal(faiss_Index_d(index), 24); /* as the reply said */
        assert_int_equal(faiss_Index_metric_type(index), METRIC_L2);
    }
    assert_int_equal(faiss_read_VectorTransform_fname(in_dir("file"), &vt), 0);
    assert_string_equal(server.cls, "VectorTransform");
    /* A restarted server does not know the session; a new session works as well. */
    server.lose_session = 1;
    assert_int_equal(faiss_read_index_fname(in_dir("file"), 0, &an_index), 0);
}

static void names_that_cannot_be_read(void **state)
{
    (void)state;
    FaissIndex *index = NULL;
    assert_failed(faiss_read_index_fname(in_dir("missing"), 0, &index), -2,
                  "missing for reading: No such file or directory");
    assert_failed(faiss_read_index_fname(dir, 0, &index), -2, "Is a directory");
    assert_failed(faiss_read_index_fname(NULL, 0, &index), -4,
                  "faiss_read_index_fname: fname is NULL");
    assert_failed(faiss_read_index_fname(in_dir("file"), 0, NULL), -4, "p_out is NULL");
    assert_failed(faiss_read_index(NULL, 0, &index), -4, "faiss_read_index: f is NULL");
    assert_failed(faiss_read_index_buf(NULL, 3, 0, &index), -4, "buf is NULL");
    assert_failed(faiss_read_VectorTransform_fname(in_dir("missing"), NULL), -4, "p_out is NULL");
    assert_null(index);
}

static void a_stream_is_read_up_to_the_end_of_the_index(void **state)
{
    (void)state;
    FaissIndex *index = NULL;
    put_pattern(in_dir("file"), 100);
    FILE *f = fopen(in_dir("file"), "rb");
    server.needs = "\4\2\144";
    fgetc(f);
    assert_failed(faiss_read_index(f, 0, &index), -2, "read error"); /* too short */
    rewind(f);
    server.needs = "\4\2\60";
    server.ngot = 0;
    assert_int_equal(faiss_read_index(f, 0, &index), 0);
    assert_int_equal(ftell(f), 54);
    assert_int_equal(server.ngot, 54);
    assert_pattern(server.got, 54);
    fclose(f);
}

static void read_from_a_pipe_by_name(void **state)
{
    (void)state;
    FaissIndex *index = NULL;
    FaissVectorTransform *vt = NULL;
    char data[20], name[64];
    int fds[2];
    fill(data, 0, sizeof data);
    for (int transform = 0; transform < 2; transform++) {
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], data, sizeof data), sizeof data);
        close(fds[1]);
        snprintf(name, sizeof name, "/dev/fd/%d", fds[0]);
        server.needs = "\4\10";
        server.ngot = 0;
        if (transform)
            assert_int_equal(faiss_read_VectorTransform_fname(name, &vt), 0);
        else
            assert_int_equal(faiss_read_index_fname(name, 0, &index), 0);
        assert_int_equal(server.ngot, transform ? 20 : 12);
        assert_pattern(server.got, server.ngot);
        close(fds[0]);
    }
}

static void a_server_that_asks_for_an_invalid_number_of_bytes(void **state)
{
    (void)state;
    FaissIndex *index = NULL;
    FILE *f = fopen("/dev/zero", "rb");
    server.needs = "";
    assert_failed(faiss_read_index(f, 0, &index), -4, "is malformed");
    assert_null(index);
    fclose(f);
}

static void a_stream_is_begun_once_after_an_earlier_error(void **state)
{
    (void)state;
    FaissIndex *index = NULL;
    FILE *f = fopen("/dev/zero", "rb");
    assert_int_equal(faiss_Index_ntotal(an_index), 42); /* the connection still works */
    server.lose_session = 1;
    assert_int_equal(faiss_Index_ntotal(an_index), 0);
    assert_int_equal(faissx_last_error_code(), FAISSX_E_SESSION);
    server.needs = "\4";
    assert_int_equal(faiss_read_index(f, 0, &index), 0);
    assert_int_equal(server.streams, 1);
    fclose(f);
    faiss_Index_free(an_index);
    an_index = index;
}

static void the_version_is_the_servers(void **state)
{
    (void)state;
    const char *version = faiss_get_version();
    assert_string_equal(version, "1.2.3");
    assert_ptr_equal(faiss_get_version(), version);
}

/* --- */

static int set_up(void **state)
{
    static char endpoint[100];
    pthread_t thread;
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    size_t len = sizeof endpoint;
    void *ctx = zmq_ctx_new(), *socket = zmq_socket(ctx, ZMQ_ROUTER);
    int linger = 0; /* do not wait for a client that is gone */
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    *state = ctx;
    /* TCP, because libzmq cannot receive memfds over a Unix socket, as an engine does. */
    if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &len) != 0 ||
        pthread_create(&thread, NULL, run_server, socket) != 0)
        return -1;
    pthread_detach(thread);
    setenv("FAISSX_SERVER", endpoint, 1);
    return faiss_read_index_buf((const uint8_t *)"x", 1, 0, &an_index);
}

static int tear_down(void **state)
{
    char command[200];
    zmq_ctx_term(*state); /* ends the thread */
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(written_into_a_stream, fresh),
        cmocka_unit_test_setup(a_stream_that_is_full, fresh),
        cmocka_unit_test_setup(written_into_a_new_file, fresh),
        cmocka_unit_test_setup(a_relative_name, fresh),
        cmocka_unit_test_setup(a_failure_leaves_the_file_as_it_was, fresh),
        cmocka_unit_test_setup(permissions_and_links_stay, fresh),
        cmocka_unit_test_setup(pipes_and_devices_are_written_in_place, fresh),
        cmocka_unit_test_setup(names_that_cannot_be_written, fresh),
        cmocka_unit_test_setup(written_into_memory, fresh),
        cmocka_unit_test_setup(the_letters_of_a_file, fresh),
        cmocka_unit_test_setup(written_into_a_callback, fresh),
        cmocka_unit_test_setup(a_callback_that_takes_longer_than_a_call_may, fresh),
        cmocka_unit_test_setup(a_callback_that_does_not_return, fresh),
        cmocka_unit_test_setup(read_from_a_callback, fresh),
        cmocka_unit_test_setup(read_from_a_file, fresh),
        cmocka_unit_test_setup(names_that_cannot_be_read, fresh),
        cmocka_unit_test_setup(a_stream_is_read_up_to_the_end_of_the_index, fresh),
        cmocka_unit_test_setup(read_from_a_pipe_by_name, fresh),
        cmocka_unit_test_setup(a_server_that_asks_for_an_invalid_number_of_bytes, fresh),
        cmocka_unit_test_setup(a_stream_is_begun_once_after_an_earlier_error, fresh),
        cmocka_unit_test_setup(the_version_is_the_servers, fresh),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
