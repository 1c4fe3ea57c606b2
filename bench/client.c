/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user of FAISS, linked with the real library.  Run directly, it measures FAISS in process; run
 * with the stand-in preloaded, on a server.  A worker (see bench.h).
 *
 *     client calls  -n N                      no turns: make N calls that do nothing
 *     client build  -k KEY -v VECTORS -i FILE no turns: make an index file
 *     client search -i FILE [-n CALLS] [-q NQ]
 *     client load   -i FILE [-t THREADS] [-s SECONDS] [-r FRACTION]
 *                                             search from many threads as fast as possible;
 *                                             with -r, every second turn runs at that
 *                                             fraction of the speed of the turn before
 *     client add    -v VECTORS                a Flat index, filled by one call
 *     client train_add -v VECTORS             a Flat index, trained and filled with the same
 *     client save   -i FILE                   write the index to /dev/null
 *     client small  -v VECTORS                the same as add, with one vector per call
 *     client mixed  -i FILE [-n CALLS]        nine searches, then an add of ten vectors, repeated
 *     client many   -m INDEXES [-n CALLS]     search INDEXES small indexes in turn
 *     client idle   [-s SECONDS]              a client that does nothing
 *
 * -d and -j are the dimension and k (128 and 10).  With -p PID, of the server, also reports the
 * CPU time of its processes and the bytes of each call that crossed the network.
 */
#include <pthread.h>

#include "bench.h"
#include "faiss_c_compat.h"
#include "usage.h"

enum { NQUERIES = 10000 };

static struct {
    const char *file, *key;
    size_t calls, nq, vectors, indexes, d, k;
    int threads;
    double seconds, fraction;
} o = {.key = "Flat",
       .calls = 200,
       .nq = 1,
       .vectors = 10000,
       .indexes = 1,
       .d = 128,
       .k = 10,
       .threads = 1,
       .seconds = 1};

static float *queries;

static void check(int status, const char *what)
{
    if (status != 0)
        die("%s: %s", what, faiss_get_last_error());
}

/* --- indexes --------------------------------------------------------------------------- */

static FaissIndex *new_index(const char *key)
{
    FaissIndex *index = NULL;
    check(faiss_index_factory(&index, (int)o.d, key, METRIC_L2), key);
    return index;
}

static FaissIndex *open_index(void)
{
    FaissIndex *index = NULL;
    if (!o.file)
        die("which index? (-i FILE)");
    check(faiss_read_index_fname(o.file, 0, &index), o.file);
    return index;
}

static void search(FaissIndex *index, size_t nq, const float *x, float *distances, idx_t *labels)
{
    if (faiss_Index_search(index, (idx_t)nq, x, (idx_t)o.k, distances, labels) != 0)
        die("search: %s", faiss_get_last_error());
}

/* The fraction of the true k nearest neighbours that a search finds, over 100 queries. */
static double recall(FaissIndex *index, const float *x)
{
    enum { N = 100 };
    size_t k = o.k;
    idx_t *found = need(N * k * sizeof(*found)), *truth = need(N * k * sizeof(*truth));
    float *distances = need(N * k * sizeof(*distances));
    size_t hits = 0;
    FaissIndex *flat = new_index("Flat");
    check(faiss_Index_add(flat, (idx_t)o.vectors, x), "add");
    search(flat, N, queries, distances, truth);
    search(index, N, queries, distances, found);
    for (size_t i = 0; i < N; i++)
        for (size_t a = 0; a < k; a++)
            for (size_t b = 0; b < k; b++)
                hits += truth[i * k + a] == found[i * k + b];
    faiss_Index_free(flat);
    free(found);
    free(truth);
    free(distances);
    return (double)hits / (double)(N * k);
}

static void build(void)
{
    int64_t start = now_ns();
    float *x = clustered(o.vectors, (int)o.d, 1);
    FaissIndex *index = new_index(o.key);
    FaissIndexIVF *ivf = faiss_IndexIVF_cast(index);
    check(faiss_Index_train(index, (idx_t)o.vectors, x), "train");
    check(faiss_Index_add(index, (idx_t)o.vectors, x), "add");
    if (ivf)
        faiss_IndexIVF_set_nprobe(ivf, 8);
    report("build_seconds", (double)(now_ns() - start) / 1e9);
    report("recall_at_10", recall(index, x));
    check(faiss_write_index_fname(index, o.file), o.file);
    faiss_Index_free(index);
    free(x);
}

/* --- one thread ------------------------------------------------------------------------ */

/* Adds data to a checksum, which shows that all workers found the same labels. */
static uint32_t digest(uint32_t sum, const void *data, size_t n)
{
    for (const uint8_t *p = data; n > 0; n--)
        sum = (sum ^ *p++) * 16777619u;
    return sum;
}

/* Searches the n indexes in turn. */
static void search_turns(FaissIndex **index, size_t n)
{
    float *distances = need(o.nq * o.k * sizeof(float));
    idx_t *labels = need(o.nq * o.k * sizeof(idx_t));
    int64_t *ns = need(o.calls * sizeof(int64_t));
    size_t which = 0;
    search(index[0], o.nq, queries, distances, labels);
    while (turn()) {
        uint32_t sum = 2166136261u;
        struct used before = used_now();
        int64_t start = now_ns();
        for (size_t i = 0; i < o.calls; i++) {
            const float *x = queries + i * o.nq % (NQUERIES - o.nq + 1) * o.d;
            int64_t begin = now_ns();
            search(index[which++ % n], o.nq, x, distances, labels);
            ns[i] = now_ns() - begin;
            sum = digest(sum, labels, o.nq * o.k * sizeof(idx_t));
        }
        report("per_second", (double)(o.calls * o.nq) / ((double)(now_ns() - start) / 1e9));
        report_used(before, (double)o.calls);
        report_times("", ns, o.calls);
        report("digest", sum);
    }
    free(ns);
    free(labels);
    free(distances);
}

static void many(void)
{
    enum { EACH = 100 };
    FaissIndex **all = need(o.indexes * sizeof(*all));
    float *x = clustered(EACH, (int)o.d, 1);
    for (size_t i = 0; i < o.indexes; i++) {
        all[i] = new_index("Flat");
        check(faiss_Index_add(all[i], EACH, x), "add");
    }
    search_turns(all, o.indexes);
    for (size_t i = 0; i < o.indexes; i++)
        faiss_Index_free(all[i]);
    free(all);
    free(x);
}

/* Reports the best of three adds in a row, which uses memory that was in use just before, both in
 * process and on the server.  The host of a virtual machine may reclaim memory that has been free
 * for a while, and the first access then takes 3 us per page. */
static void add(int trained)
{
    enum { ROW = 3 };
    float *x = clustered(o.vectors, (int)o.d, 1);
    faiss_Index_free(new_index("Flat"));
    while (turn()) {
        double best = 0;
        struct used before = used_now();
        for (int i = 0; i < ROW; i++) {
            FaissIndex *index = new_index("Flat");
            x[0] += 1; /* vectors that were not sent before */
            int64_t start = now_ns();
            if (trained)
                check(faiss_Index_train(index, (idx_t)o.vectors, x), "train");
            check(faiss_Index_add(index, (idx_t)o.vectors, x), "add");
            double seconds = (double)(now_ns() - start) / 1e9;
            if (i == 0 || seconds < best)
                best = seconds;
            if (faiss_Index_ntotal(index) != (idx_t)o.vectors)
                die("add: only %lld vectors are there", (long long)faiss_Index_ntotal(index));
            faiss_Index_free(index);
        }
        report("seconds", best);
        report_used(before, ROW);
        report("peak_client", peak_memory(0));
        if (server_pid) {
            report("peak_front", peak_memory(server_pid));
            report("peak_engine", of_children(server_pid, peak_memory));
        }
    }
    free(x);
}

/* Reports the best of three, as add does. */
static void save(void)
{
    enum { ROW = 3 };
    FaissIndex *index = open_index();
    while (turn()) {
        double best = 0;
        struct used before = used_now();
        for (int i = 0; i < ROW; i++) {
            int64_t start = now_ns();
            check(faiss_write_index_fname(index, "/dev/null"), "write_index");
            double seconds = (double)(now_ns() - start) / 1e9;
            if (i == 0 || seconds < best)
                best = seconds;
        }
        report("seconds", best);
        report_used(before, ROW);
    }
    faiss_Index_free(index);
}

/* One vector per call. */
static void small(void)
{
    float *x = clustered(o.vectors, (int)o.d, 1);
    faiss_Index_free(new_index("Flat"));
    while (turn()) {
        FaissIndex *index = new_index("Flat");
        struct used before = used_now();
        int64_t start = now_ns();
        for (size_t i = 0; i < o.vectors; i++)
            check(faiss_Index_add(index, 1, x + i * o.d), "add");
        if (faiss_Index_ntotal(index) != (idx_t)o.vectors)
            die("small: only %lld vectors are there", (long long)faiss_Index_ntotal(index));
        report("us_per_add", (double)(now_ns() - start) / 1e3 / (double)o.vectors);
        report_used(before, (double)o.vectors);
        faiss_Index_free(index);
    }
    free(x);
}

/* Nine searches, then an add of ten vectors, repeated. */
static void mixed(void)
{
    enum { SEARCHES = 9, MORE = 10 };
    FaissIndex *index = open_index();
    float *distances = need(o.k * sizeof(*distances));
    idx_t *labels = need(o.k * sizeof(*labels));
    int64_t *ns = need(o.calls * sizeof(*ns));
    while (turn()) {
        int64_t start = now_ns();
        for (size_t i = 0; i < o.calls; i++) {
            int64_t begin = now_ns();
            if (i % (SEARCHES + 1) == SEARCHES)
                check(faiss_Index_add(index, MORE, queries + i % (NQUERIES - MORE) * o.d), "add");
            else
                search(index, 1, queries + i % NQUERIES * o.d, distances, labels);
            ns[i] = now_ns() - begin;
        }
        report("per_second", (double)o.calls / ((double)(now_ns() - start) / 1e9));
        report_times("", ns, o.calls);
    }
    free(ns);
    free(distances);
    free(labels);
    faiss_Index_free(index);
}

static void calls(void)
{
    FaissIndex *index = new_index("Flat");
    idx_t sum = 0;
    for (size_t i = 0; i < o.calls; i++)
        sum += faiss_Index_ntotal(index);
    faiss_Index_free(index);
    report("sum", (double)sum);
}

static void idle(void)
{
    FaissIndex *index = new_index("Flat");
    faiss_Index_ntotal(index);
    while (turn()) {
        struct used before = used_now();
        sleep_until(now_ns() + (int64_t)(o.seconds * 1e9));
        report_used(before, o.seconds * 1e4); /* percent of a core */
    }
    faiss_Index_free(index);
}

/* --- many threads ---------------------------------------------------------------------- */

struct thread {
    pthread_t id;
    FaissIndex *index;
    int number;
    int64_t *ns;
    size_t done, room;
};

static pthread_barrier_t barrier; /* passed at the beginning and the end of each turn */
static int64_t begin, end;        /* of the turn */
static double interval;           /* ns between the calls of one thread; 0: no pause */
static int over;

/* Runs one thread for one turn.  At a given speed, a call's time starts when the call is due, even
 * if the previous call has not returned yet.  If this thread wakes up late, the time starts then,
 * since that is not the server's delay. */
static void one_turn(struct thread *t)
{
    float *distances = need(o.k * sizeof(*distances));
    idx_t *labels = need(o.k * sizeof(*labels));
    double next = (double)begin + interval * t->number / o.threads;
    int64_t start = begin;
    t->done = 0;
    for (size_t i = 0; start < end; i++) {
        start = now_ns();
        if (interval > 0) {
            if (start < (int64_t)next) {
                sleep_until((int64_t)next);
                start = now_ns();
            } else {
                start = (int64_t)next;
            }
            next += interval;
        }
        search(t->index, 1, queries + (i * 64 + (size_t)t->number) % NQUERIES * o.d, distances,
               labels);
        if (t->done == t->room) {
            t->room = t->room ? t->room * 2 : 1024;
            t->ns = realloc(t->ns, t->room * sizeof(*t->ns));
            die_if(!t->ns, "memory");
        }
        t->ns[t->done++] = now_ns() - start;
    }
    free(distances);
    free(labels);
}

static void *run_thread(void *arg)
{
    for (;;) {
        pthread_barrier_wait(&barrier);
        if (over)
            return NULL;
        one_turn(arg);
        pthread_barrier_wait(&barrier);
    }
}

static void load_turn(struct thread *t, double *per_second)
{
    size_t n = 0;
    struct used before = used_now();
    begin = now_ns();
    end = begin + (int64_t)(o.seconds * 1e9);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    double seconds = (double)(now_ns() - begin) / 1e9;
    for (int i = 0; i < o.threads; i++)
        n += t[i].done;
    *per_second = (double)n / seconds;
    report("per_second", *per_second);
    report_used(before, (double)n);
    int64_t *ns = need(n * sizeof(*ns)), *at = ns;
    for (int i = 0; i < o.threads; i++) {
        memcpy(at, t[i].ns, t[i].done * sizeof(*ns));
        at += t[i].done;
    }
    report_times("", ns, n);
    free(ns);
}

static void load(void)
{
    struct thread *t = calloc((size_t)o.threads, sizeof(*t));
    FaissIndex *index = open_index();
    double per_second;
    die_if(!t, "memory");
    pthread_barrier_init(&barrier, NULL, (unsigned)o.threads + 1);
    for (int i = 0; i < o.threads; i++) {
        t[i] = (struct thread){.index = index, .number = i};
        die_if(pthread_create(&t[i].id, NULL, run_thread, &t[i]) != 0, "pthread_create");
    }
    while (turn()) {
        load_turn(t, &per_second);
        interval =
            interval > 0 || o.fraction <= 0 ? 0 : 1e9 * o.threads / (per_second * o.fraction);
    }
    over = 1;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < o.threads; i++) {
        pthread_join(t[i].id, NULL);
        free(t[i].ns);
    }
    faiss_Index_free(index);
    free(t);
}

/* --------------------------------------------------------------------------------------- */

static void parse(int argc, char **argv)
{
    int c;
    while ((c = getopt(argc, argv, "d:i:j:k:m:n:p:q:r:s:t:v:")) != -1) {
        switch (c) {
        case 'd':
            o.d = strtoul(optarg, NULL, 10);
            break;
        case 'j':
            o.k = strtoul(optarg, NULL, 10);
            break;
        case 'i':
            o.file = optarg;
            break;
        case 'k':
            o.key = optarg;
            break;
        case 'm':
            o.indexes = strtoul(optarg, NULL, 10);
            break;
        case 'n':
            o.calls = strtoul(optarg, NULL, 10);
            break;
        case 'p':
            server_pid = atoi(optarg);
            break;
        case 'q':
            o.nq = strtoul(optarg, NULL, 10);
            break;
        case 'r':
            o.fraction = atof(optarg);
            break;
        case 's':
            o.seconds = atof(optarg);
            break;
        case 't':
            o.threads = atoi(optarg);
            break;
        case 'v':
            o.vectors = strtoul(optarg, NULL, 10);
            break;
        default:
            exit(2);
        }
    }
    if (!o.nq || o.nq > NQUERIES || !o.calls || !o.indexes || !o.vectors || !o.d || !o.k ||
        o.threads < 1)
        die("what?");
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    parse(argc - (argc > 1), argv + (argc > 1));
    queries = clustered(NQUERIES, (int)o.d, 2);
    if (strcmp(what, "calls") == 0) {
        calls();
    } else if (strcmp(what, "build") == 0) {
        build();
    } else if (strcmp(what, "search") == 0) {
        FaissIndex *index = open_index();
        search_turns(&index, 1);
        faiss_Index_free(index);
    } else if (strcmp(what, "load") == 0) {
        load();
    } else if (strcmp(what, "add") == 0) {
        add(0);
    } else if (strcmp(what, "train_add") == 0) {
        add(1);
    } else if (strcmp(what, "save") == 0) {
        save();
    } else if (strcmp(what, "small") == 0) {
        small();
    } else if (strcmp(what, "mixed") == 0) {
        mixed();
    } else if (strcmp(what, "many") == 0) {
        many();
    } else if (strcmp(what, "idle") == 0) {
        idle();
    } else {
        die("client calls|build|search|load|add|small|mixed|many|idle [OPTION]...");
    }
    free(queries);
    return 0;
}
