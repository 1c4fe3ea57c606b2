/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged files.  Every byte of a small store is altered, one at a time, and every file is cut at
 * every length.  The store must say that it is damaged, or have the same contents as before: it
 * must not crash, and never have other contents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>

#include <sys/wait.h>

#include "store_tools.h"

enum { FILES = 16 };

struct file {
    char name[64];
    uint8_t *data;
    size_t size;
};

static struct {
    struct file files[FILES];
    int n;
    char *text; /* the contents */
    bool killed;
} original;

/* --- the contents, as text --- */

static int print_record(void *ctx, const struct fxs_record *r)
{
    FILE *f = ctx;
    fprintf(f, "record %" PRIu64 " caller %d %" PRIu64 " answered %d:", r->number, r->caller.id[0],
            r->caller.number, r->answered);
    for (size_t i = 0; i < r->size; i += 1 + r->size / 64)
        fprintf(f, " %02x", ((const uint8_t *)r->data)[i]);
    fprintf(f, " %zu\n", r->size);
    return 0;
}

struct printing {
    FILE *f;
    struct fxs_store *s;
    int damaged;
};

static int print_entry(void *ctx, const struct fxs_entry *e)
{
    struct printing *p = ctx;
    struct fxs_snapshot_bytes b;
    fprintf(p->f,
            "entry %" PRIu64 " %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %.*s:", e->id,
            e->cls, e->position, e->last, e->snapshot_bytes, e->log_bytes, e->set_aside,
            (int)e->note_size, (const char *)e->note);
    for (uint32_t i = 0; i < e->nnames; i++)
        fprintf(p->f, " %s", e->names[i]);
    fprintf(p->f, "\n");
    enum fxs_store_rc rc = fxs_snapshot_read(p->s, e->id, &b, NULL);
    if (rc == FXS_STORE_OK) {
        fprintf(p->f, "snapshot %zu:", b.size);
        for (size_t i = 0; i < b.size; i++)
            fprintf(p->f, " %02x", ((const uint8_t *)b.data)[i]);
        fprintf(p->f, "\n");
        fxs_snapshot_unmap(&b);
    } else {
        assert_int_equal(rc, FXS_STORE_DAMAGED);
        p->damaged++;
    }
    rc = fxs_store_replay(p->s, e->id, 0, print_record, p->f, NULL);
    if (rc != FXS_STORE_OK) {
        assert_int_equal(rc, FXS_STORE_DAMAGED);
        p->damaged++;
    }
    return 0;
}

/* The contents of the store in `dir` (free it), or NULL if it says that it is damaged. */
static char *contents(const char *dir, char *why)
{
    struct fxs_store_options o = {.durability = FXS_DURABLE_ALWAYS};
    struct printing p = {0};
    struct fxs_store_stats stats;
    char *text = NULL;
    size_t size;
    enum fxs_store_rc rc = fxs_store_open(&p.s, dir, &o, why);
    if (rc != FXS_STORE_OK) {
        if (rc != FXS_STORE_DAMAGED)
            fail_msg("the error is %d: %s", rc, why);
        return NULL;
    }
    p.f = open_memstream(&text, &size);
    rc = fxs_store_entries(p.s, print_entry, &p, why);
    for (int who = 1; who <= 3 && rc == FXS_STORE_OK; who++)
        for (uint64_t n = 1; n <= 3; n++) {
            struct fxs_caller c = caller_of((uint8_t)who, n);
            void *answer;
            uint64_t entry, number;
            rc = fxs_store_find_answer(p.s, &c, &answer, &size, &entry, &number, why);
            if (rc == FXS_STORE_NONE)
                rc = FXS_STORE_OK;
            else if (rc == FXS_STORE_OK)
                fprintf(p.f, "answer %d %" PRIu64 ": %" PRIu64 " %" PRIu64 " %.*s\n", who, n, entry,
                        number, answer ? (int)size : 1, answer ? (char *)answer : "?");
            else
                break;
            free(answer);
        }
    fxs_store_stats(p.s, &stats);
    fclose(p.f);
    fxs_store_close(p.s);
    if (rc != FXS_STORE_OK) {
        assert_int_equal(rc, FXS_STORE_DAMAGED);
        p.damaged++;
    }
    if (p.damaged) {
        free(text);
        return NULL;
    }
    return text;
}

/* --- files --- */

static void read_files(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));) {
        struct file *f = &original.files[original.n];
        struct stat st;
        /* store.db-shm is made again, and so is an empty log. */
        if (e->d_name[0] == '.' || strcmp(e->d_name, "lock") == 0 || strstr(e->d_name, "-shm"))
            continue;
        snprintf(f->name, sizeof f->name, "%.63s", e->d_name);
        int fd = openat(dirfd(d), e->d_name, O_RDONLY);
        assert_int_equal(fstat(fd, &st), 0);
        if (!st.st_size) {
            close(fd);
            continue;
        }
        f->size = (size_t)st.st_size;
        f->data = malloc(f->size + 1);
        assert_int_equal(read(fd, f->data, f->size), st.st_size);
        close(fd);
        original.n++;
    }
    closedir(d);
}

/* Makes the store anew; file number `i` (FILES: none) has these `size` bytes instead. */
static void write_files(const char *dir, int i, const uint8_t *data, size_t size)
{
    for (int k = 0; k < original.n; k++) {
        char path[300];
        const struct file *f = &original.files[k];
        snprintf(path, sizeof path, "%s/%s", dir, f->name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        size_t n = k == i ? size : f->size;
        assert_int_equal(write(fd, k == i ? data : f->data, n), n);
        close(fd);
    }
}

/* A store with something of everything.  `killed`: the process ends without closing it, so that
 * there is a write-ahead log. */
static void make_store(const char *dir, bool killed)
{
    struct fxs_store_options o = {.durability = FXS_DURABLE_ALWAYS};
    struct fxs_store *s;
    char why[FXS_STORE_WHY];
    assert_int_equal(fxs_store_open(&s, dir, &o, why), FXS_STORE_OK);
    struct fxs_snapshot_commit c = {
        .name = "first", .note = "a note", .note_size = 6, .caller = caller_of(3, 1)};
    uint64_t e, other = new_entry(s, "other", 0);
    c.answer = "made";
    c.answer_size = 4;
    assert_int_equal(try_snapshot(s, &c, 300, 1, &e, why), FXS_STORE_OK);
    struct fxs_caller a = caller_of(1, 1), b = caller_of(2, 2);
    append(s, e, 100, 1, &a);
    append(s, e, 5000, 2, &b);
    append(s, e, 17000, 3, NULL);
    append(s, other, 50, 4, NULL);
    append(s, e, 10, 5, NULL);
    append(s, e, 10, 6, NULL);
    fxs_store_answer(s, &a, 1, e, 1, 0, "ok", 2);
    assert_int_equal(fxs_store_set_aside(s, e, 5, "why", why), FXS_STORE_OK);
    assert_int_equal(fxs_store_name(s, e, "second", why), FXS_STORE_OK);
    if (killed)
        _exit(0);
    fxs_store_close(s);
}

static char *new_dir(void)
{
    static char dir[64];
    snprintf(dir, sizeof dir, "%s/store-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static int set_up_store(bool killed)
{
    char why[FXS_STORE_WHY], *dir = new_dir();
    pid_t child = fork();
    int status;
    original.killed = killed;
    if (child == 0) {
        make_store(dir, killed);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        return -1;
    read_files(dir);
    remove_dir(dir);
    mkdir(dir, 0700);
    write_files(dir, FILES, NULL, 0);
    original.text = contents(dir, why);
    remove_dir(dir);
    return original.text ? 0 : -1;
}

static int closed_store(void **state)
{
    (void)state;
    return set_up_store(false);
}

static int killed_store(void **state)
{
    (void)state;
    return set_up_store(true);
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < original.n; i++)
        free(original.files[i].data);
    free(original.text);
    original.n = 0;
    return 0;
}

/* --- the tests --- */

/* Of a killed process everything of the database is still in its log. */
static bool is_needed(const struct file *f)
{
    return strcmp(f->name, "replaying") != 0 &&
           (strcmp(f->name, "store.db") != 0 || !original.killed);
}

struct counts {
    long tried, damaged;
};

/* Opens the store with file i as given. */
static void try_damage(int i, const uint8_t *data, size_t size, struct counts *n, const char *how,
                       size_t at)
{
    char why[FXS_STORE_WHY] = "", *dir = new_dir();
    write_files(dir, i, data, size);
    char *text = contents(dir, why);
    n->tried++;
    n->damaged += text == NULL;
    if (text && strcmp(text, original.text) != 0)
        fail_msg("%s %s at %zu: the contents were\n%sand are\n%s", original.files[i].name, how, at,
                 original.text, text);
    free(text);
    remove_dir(dir);
}

static size_t stride(const struct file *f, size_t runs)
{
    size_t step = getenv("FX_TORTURE") ? 1 : f->size / runs;
    return step ? step : 1;
}

static void an_altered_byte_is_found(void **state)
{
    (void)state;
    for (int i = 0; i < original.n; i++) {
        struct file *f = &original.files[i];
        struct counts n = {0, 0};
        /* The first page has the header; of the others every so many bytes. */
        size_t step = stride(f, 100);
        for (size_t at = 0; at < f->size; at += at < 40 ? 1 : step) {
            uint8_t before = f->data[at];
            f->data[at] ^= (uint8_t)(1 << at % 8);
            try_damage(i, f->data, f->size, &n, "altered", at);
            f->data[at] = before;
        }
        print_message("%s: %ld bytes altered, damage found in %ld, else the same contents\n",
                      f->name, n.tried, n.damaged);
        if (is_needed(f))
            assert_true(n.damaged * 2 > n.tried);
    }
}

static void a_file_that_was_cut_is_found(void **state)
{
    (void)state;
    for (int i = 0; i < original.n; i++) {
        struct file *f = &original.files[i];
        struct counts n = {0, 0};
        size_t step = stride(f, 30);
        for (size_t at = 0; at < f->size; at += at < 5 || at + 5 > f->size ? 1 : step)
            try_damage(i, f->data, at, &n, "cut", at);
        print_message("%s: cut at %ld lengths, damage found in %ld, else the same contents\n",
                      f->name, n.tried, n.damaged);
        if (is_needed(f))
            assert_true(n.damaged > 0);
    }
}

static void a_missing_file_is_found(void **state)
{
    (void)state;
    for (int i = 0; i < original.n; i++) {
        char path[300], why[FXS_STORE_WHY], *dir = new_dir();
        write_files(dir, FILES, NULL, 0);
        snprintf(path, sizeof path, "%s/%s", dir, original.files[i].name);
        assert_int_equal(unlink(path), 0);
        char *text = contents(dir, why);
        if (strcmp(original.files[i].name, "replaying") != 0)
            assert_null(text);
        free(text);
        remove_dir(dir);
    }
}

int main(void)
{
#define TEST(name, f, setup)            \
    {                                   \
        name, f, setup, tear_down, NULL \
    }
    const struct CMUnitTest tests[] = {
        TEST("closed store: an altered byte is found", an_altered_byte_is_found, closed_store),
        TEST("closed store: a file that was cut is found", a_file_that_was_cut_is_found,
             closed_store),
        TEST("closed store: a missing file is found", a_missing_file_is_found, closed_store),
        TEST("killed process: an altered byte is found", an_altered_byte_is_found, killed_store),
        TEST("killed process: a file that was cut is found", a_file_that_was_cut_is_found,
             killed_store),
        TEST("killed process: a missing file is found", a_missing_file_is_found, killed_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
