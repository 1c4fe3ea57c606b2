/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program whose connection is cut, by proxy.c, in the middle of its calls: reconnect WHAT CONTROL
 * [N].  CONTROL is the proxy's socket.  Each call has to be made, once.  Prints what went wrong, or
 * how many cuts there were.
 *
 *     search      cut at every byte of a search and of its reply
 *     add         the same for an add; the index has to have each vector once
 *     create      the same for making an index and for freeing it
 *     save, load  the same for an index that is written, or read
 *     upload      cut an array of more than 8 MiB at several places
 *     again       cut the question for such an array, which is not sent again
 *     queries     cut the reply to a search for so many queries
 *     download    the same for an index that is written
 *     joined      cut while small adds are sent together
 *     range       as search, for a range search, whose result is of unknown size
 *     threads     cut while several threads add and search
 *     loop N      make, fill, search and free an index N times, whatever happens to the server
 *     stream      an index that is read from a stream when the connection breaks
 *     streams     more of them than may wait for bytes, and one when it does not break
 *     events      cut, and print the events
 */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"

enum { D = 16, K = 3, THREADS = 4 };

static int control, cuts, finished;

/* --- the proxy --- */

static void connect_control(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    control = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(control, (struct sockaddr *)&a, sizeof a) != 0) {
        perror(path);
        exit(1);
    }
}

static void proxy(const char *command, long long n, char *answer, size_t size)
{
    char line[64];
    int len = snprintf(line, sizeof line, "%s %lld\n", command, n);
    if (write(control, line, (size_t)len) != len ||
        (len = (int)read(control, answer, size - 1)) <= 0) {
        say("the proxy is gone");
        exit(1);
    }
    answer[len] = '\0';
}

static void tell(const char *command, long long n)
{
    char answer[64];
    proxy(command, n, answer, sizeof answer);
}

/* Bytes to the server and from it, and connections, since the last time. */
static void count(long long c[3])
{
    char answer[64];
    proxy("count", 0, answer, sizeof answer);
    sscanf(answer, "%lld %lld %lld", &c[0], &c[1], &c[2]);
}

/* Runs `f` with the connection cut at each of its bytes, in both directions: every `step`th byte.
 * The byte counts differ a little as numbers grow, so a cut may come in what follows. */
static void cut_everywhere(void (*f)(int), long long step)
{
    static const char *const ways[2] = {"up", "down"};
    long long c[3], sizes[2];
    f(0);
    count(c);
    f(0);
    count(c);
    sizes[0] = c[0];
    sizes[1] = c[1];
    for (int way = 0; way < 2; way++)
        for (long long at = 0; at <= sizes[way]; at += step) {
            tell(ways[way], at);
            f(1);
            tell(ways[way], -1);
            count(c);
            cuts += c[2] > 0;
        }
    if (cuts < (sizes[0] + sizes[1]) / step)
        printf("only %d connections were cut at %lld bytes\n", cuts, sizes[0] + sizes[1]);
}

static void must_be(const char *what, long long got, long long wanted)
{
    if (got != wanted) {
        printf("%s is %lld, but should be %lld, after %d cuts\n", what, got, wanted, cuts);
        fflush(stdout);
        exit(1);
    }
}

/* --- calls --- */

static FaissIndex *it;
static long long total;
static float *some;

static FaissIndex *new_index(void)
{
    FaissIndex *i;
    MUST(faiss_index_factory(&i, D, "Flat", METRIC_L2));
    return i;
}

static void add(int cut)
{
    (void)cut;
    MUST(faiss_Index_add(it, 3, some));
    total += 3;
    must_be("ntotal", faiss_Index_ntotal(it), total);
}

static void search(int cut)
{
    static uint64_t first;
    float distances[2 * K];
    idx_t labels[2 * K];
    (void)cut;
    MUST(faiss_Index_search(it, 2, some, K, distances, labels));
    uint64_t sum = checksum(distances, sizeof distances) ^ checksum(labels, sizeof labels);
    if (!first)
        first = sum;
    must_be("a result", (long long)sum, (long long)first);
}

static void range(int cut)
{
    FaissRangeSearchResult *r;
    size_t *lims;
    (void)cut;
    MUST(faiss_RangeSearchResult_new(&r, 2));
    MUST(faiss_Index_range_search(it, 2, some, 2.0f, r));
    faiss_RangeSearchResult_lims(r, &lims);
    must_be("a range has its own vector", lims[2] > 1, 1);
    faiss_RangeSearchResult_free(r);
}

static void create(int cut)
{
    (void)cut;
    FaissIndex *i = new_index();
    MUST(faiss_Index_add(i, 3, some));
    must_be("ntotal of a new index", faiss_Index_ntotal(i), 3);
    faiss_Index_free(i);
}

static uint64_t file_sum(FILE *f)
{
    static char buf[1 << 20];
    uint64_t h = 0;
    size_t n;
    rewind(f);
    while ((n = fread(buf, 1, sizeof buf, f)) > 0)
        h = h * 31 + checksum(buf, n);
    return h;
}

static void save(int cut)
{
    static uint64_t first;
    FILE *f = tmpfile();
    (void)cut;
    MUST(faiss_write_index(it, f));
    uint64_t sum = file_sum(f);
    if (!first)
        first = sum;
    must_be("what is written", (long long)sum, (long long)first);
    fclose(f);
}

static void load(int cut)
{
    const char *path = getenv("RECONNECT_FILE");
    FaissIndex *copy;
    (void)cut;
    MUST(faiss_read_index_fname(path, 0, &copy));
    must_be("ntotal of a copy", faiss_Index_ntotal(copy), total);
    faiss_Index_free(copy);
}

/* --- large arrays --- */

static void cut_at(const char *way, long long at, void (*f)(void))
{
    long long c[3];
    count(c);
    tell(way, at);
    f();
    tell(way, -1);
    count(c);
    must_be("the connection was cut", c[2] > 0, 1);
    cuts++;
}

enum { MANY_QUERIES = 150000 };
static const size_t MANY = MANY_QUERIES; /* 9.2 MiB */
static float *many;

static void add_same(void)
{
    MUST(faiss_Index_add(it, (idx_t)MANY, many));
    total += (long long)MANY;
    must_be("ntotal", faiss_Index_ntotal(it), total);
}

/* Other vectors than those before: they have to be sent. */
static void add_many(void)
{
    many[0] += 1;
    add_same();
}

static void again(void)
{
    long long c[3];
    many = random_vectors(MANY, D, 3);
    add_many();
    count(c);
    add_same();
    count(c);
    for (long long i = 0; i < c[0] - 10; i += 10)
        cut_at("up", i, add_same);
    for (long long i = 0; i < c[1] - 10; i += 10)
        cut_at("down", i, add_same);
}

/* The queries are the server's no more when the reply is cut. */
static void search_many(void)
{
    static uint64_t first;
    static float distances[MANY_QUERIES];
    static idx_t labels[MANY_QUERIES];
    MUST(faiss_Index_search(it, MANY_QUERIES, many, 1, distances, labels));
    uint64_t sum = checksum(distances, sizeof distances) * 31 + checksum(labels, sizeof labels);
    if (!first)
        first = sum;
    must_be("the results", (long long)sum, (long long)first);
}

static void queries(void)
{
    long long c[3];
    many = random_vectors(MANY, D, 3);
    add(0);
    search_many();
    count(c);
    search_many();
    count(c);
    for (int i = 0; i < 8; i++)
        cut_at("down", c[1] * i / 8, search_many);
    for (int i = 0; i < 8; i++)
        cut_at("up", c[0] * i / 8, search_many);
}

static void upload(void)
{
    static const long long at[] = {
        0, 10, 70, 1000, (4 << 20) - 1, (4 << 20) + 300, (8 << 20) + 500, 9000000, 9599000};
    long long c[3];
    many = random_vectors(MANY, D, 3);
    add_many();
    count(c);
    add_many();
    count(c);
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        cut_at("up", at[i], add_many);
    for (long long i = 0; i < 400; i += 40) /* the last of the pieces, and the call itself */
        cut_at("up", c[0] - i - 100, add_many);
    for (long long i = 0; i < c[1] - 40; i += 10)
        cut_at("down", i, add_many);
    float distance;
    idx_t label;
    MUST(faiss_Index_search(it, 1, many + D * (MANY - 1), 1, &distance, &label));
    must_be("the last vector is where it should be", (label - 3) % (idx_t)MANY, (idx_t)MANY - 1);
}

static void write_it(void)
{
    save(1);
}

static void download(void)
{
    long long c[3];
    many = random_vectors(MANY, D, 3);
    add_many();
    add_many();
    write_it();
    count(c);
    write_it();
    count(c);
    for (long long at = 0; at < 19000000; at += 1500000)
        cut_at("down", at, write_it);
    for (long long at = 0; at < c[0] - 10; at += 150)
        cut_at("up", at, write_it);
}

static void joined(void)
{
    for (int i = 0; i < 4; i++)
        add(0);
    for (int round = 0; round < 60; round++) {
        tell(round % 2 ? "down" : "up", round % 2 ? round / 2 : round * 60);
        for (int i = 0; i < 100; i++) {
            MUST(faiss_Index_add(it, 1, some));
            total++;
        }
        must_be("ntotal", faiss_Index_ntotal(it), total);
        cuts++;
        tell("up", -1);
        tell("down", -1);
    }
}

/* --- others --- */

static int one_round(void)
{
    FaissIndex *i;
    float distance;
    idx_t label;
    if (faiss_index_factory(&i, D, "Flat", METRIC_L2) != 0)
        return -1;
    int rc = faiss_Index_add(i, 3, some) || faiss_Index_search(i, 1, some, 1, &distance, &label);
    if (!rc && label != 0)
        say("a wrong result");
    char *text = rc ? strdup(last_error()) : NULL;
    faiss_Index_free(i);
    /* The index of a server that was stopped is gone, and nothing else may go wrong. */
    if (rc && !strstr(text, "gone"))
        printf("%s\n", text);
    free(text);
    return rc;
}

static void loop(int n)
{
    int made = 0, failed = 0;
    for (int i = 0; i < n || (n == 0 && access(getenv("RECONNECT_UNTIL"), F_OK) != 0); i++) {
        if (one_round() == 0) {
            made++;
            failed = 0;
        } else if (++failed > 3) {
            printf("%s\n", last_error());
            exit(1);
        }
    }
    printf("%s\n", made > 0 ? "ok" : "none");
}

static int reads, cut_at_read;

static ssize_t read_and_cut(void *cookie, char *buf, size_t n)
{
    if (++reads == cut_at_read)
        tell("cut", 0);
    return (ssize_t)fread(buf, 1, n, cookie);
}

static int read_from_stream(int at)
{
    FaissIndex *copy;
    cookie_io_functions_t functions = {.read = read_and_cut};
    FILE *file = fopen(getenv("RECONNECT_FILE"), "rb"), *f = fopencookie(file, "rb", functions);
    setvbuf(f, NULL, _IONBF, 0);
    reads = 0;
    cut_at_read = at;
    int rc = faiss_read_index(f, 0, &copy);
    if (rc == 0) {
        must_be("ntotal of what was read", faiss_Index_ntotal(copy), faiss_Index_ntotal(it));
        faiss_Index_free(copy);
    }
    fclose(f);
    fclose(file);
    return rc;
}

static void stream(void)
{
    int rc = read_from_stream(3);
    printf("%d %s\n", rc, last_error());
}

static void streams(void)
{
    int failed = 0, tries = 0;
    /* One whose connection is found closed before more has been sent goes on; on a busy machine
     * nearly all. */
    for (; failed < 70 && tries < 3000; tries++)
        failed += read_from_stream(3) != 0;
    printf("%s, ", failed == 70 ? "enough failed" : "too few failed");
    int rc = read_from_stream(0);
    printf("%d %s\n", rc, rc ? last_error() : "");
}

static void *add_and_search(void *arg)
{
    int seed = *(int *)arg;
    FaissIndex *i = new_index();
    for (int n = 1; n <= 300; n++) {
        float distance;
        idx_t label;
        float *x = random_vectors(1, D, (uint32_t)(1000 * seed + n));
        MUST(faiss_Index_add(i, 1, x));
        MUST(faiss_Index_search(i, 1, x, 1, &distance, &label));
        must_be("the nearest vector", label, n - 1);
        must_be("ntotal", faiss_Index_ntotal(i), n);
        free(x);
    }
    faiss_Index_free(i);
    __atomic_add_fetch(&finished, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void threads(void)
{
    pthread_t t[THREADS];
    int seeds[THREADS];
    for (int i = 0; i < THREADS; i++) {
        seeds[i] = i + 1;
        pthread_create(&t[i], NULL, add_and_search, &seeds[i]);
    }
    for (uint32_t s = 1; __atomic_load_n(&finished, __ATOMIC_RELAXED) < THREADS; cuts++) {
        s = s * 1664525u + 1013904223u;
        usleep(1000 + (s >> 8) % 30000);
        tell(s >> 31 ? "up" : "down", (s >> 12) % 3000);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    tell("up", -1); /* the next program's first connection must not be cut */
    tell("down", -1);
}

static void on_event(int event, const char *text, void *user)
{
    printf("event %d%s: %s\n", event, (char *)user, text);
    fflush(stdout);
}

static void events(void)
{
    void (*on)(void (*)(int, const char *, void *), void *);
    *(void **)&on = dlsym(RTLD_DEFAULT, "faissx_on_event");
    on(on_event, "!");
    tell("cut", 0);
    usleep(2000);
    add(0); /* it notices before it sends */
    tell("down", 0);
    add(0); /* and here after it has */
    tell("drop", 2);
    tell("cut", 0);
    usleep(2000);
    add(0);
    on(NULL, NULL);
    tell("cut", 0);
    usleep(2000);
    add(0);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    if (argc < 3)
        return 1;
    if (strcmp(argv[2], "-") != 0)
        connect_control(argv[2]);
    some = random_vectors(100, D, 5);
    if (strcmp(what, "loop") == 0) {
        loop(atoi(argv[3]));
        return 0;
    }
    it = new_index();
    add(0);
    if (strcmp(what, "search") == 0)
        cut_everywhere(search, 1);
    else if (strcmp(what, "add") == 0)
        cut_everywhere(add, 1);
    else if (strcmp(what, "range") == 0)
        cut_everywhere(range, 3);
    else if (strcmp(what, "create") == 0)
        cut_everywhere(create, 1);
    else if (strcmp(what, "save") == 0)
        cut_everywhere(save, 7);
    else if (strcmp(what, "load") == 0) {
        MUST(faiss_write_index_fname(it, getenv("RECONNECT_FILE")));
        cut_everywhere(load, 3);
    } else if (strcmp(what, "upload") == 0)
        upload();
    else if (strcmp(what, "again") == 0)
        again();
    else if (strcmp(what, "queries") == 0)
        queries();
    else if (strcmp(what, "download") == 0)
        download();
    else if (strcmp(what, "joined") == 0)
        joined();
    else if (strcmp(what, "stream") == 0) {
        MUST(faiss_write_index_fname(it, getenv("RECONNECT_FILE")));
        stream();
    } else if (strcmp(what, "streams") == 0) {
        MUST(faiss_write_index_fname(it, getenv("RECONNECT_FILE")));
        streams();
    } else if (strcmp(what, "threads") == 0)
        threads();
    else if (strcmp(what, "events") == 0)
        events();
    else
        return 1;
    faiss_Index_free(it);
    printf("ok, %s\n", cuts ? "cut" : "not cut");
    return 0;
}
