/* SPDX-License-Identifier: Apache-2.0 */
/* A client that must not notice an attack, and the measurement of the server's processes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

static int input_ended(int ms)
{
    char c;
    struct pollfd w = {.fd = 0, .events = POLLIN};
    return poll(&w, 1, ms) == 1 && read(0, &c, 1) <= 0;
}

/* --- the victim --- */

enum { VECTORS = 1000, QUERIES = 2, K = 3, OPEN_EVERY = 10, OPEN_TRIES = 50, LATENCIES = 1 << 20 };

struct victim {
    const char *endpoint, *key;
    uint8_t token[TOKEN];
    uint64_t index, id;
    float *x;
    long searches, wrong, failed, opens, retries, shut_out;
};

/* Searches for two of the index's own vectors, whose first labels are known.  Returns 1 if they are
 * right, 0 if they are wrong, -1 if there is no reply. */
static int search(struct victim *v, struct peer *p)
{
    size_t at = random32() % (VECTORS - QUERIES);
    struct bytes b = {0};
    struct reply r;
    int64_t labels[QUERIES * K];
    float distances[QUERIES * K];
    uint64_t id = ++v->id;
    put_search(&b, v->token, id, v->index, v->x + at * D, QUERIES, K);
    int rc = peer_send(p, &b) == 0 ? peer_recv(p, &r, WAIT_MS) : -1;
    bytes_free(&b);
    if (rc != 1)
        return -1;
    rc = reply_ok(&r) && reply_id(&r) == id && r.n == 4 && r.frame[2].n == sizeof distances &&
         r.frame[3].n == sizeof labels;
    if (rc) {
        memcpy(distances, r.frame[2].p, sizeof distances);
        memcpy(labels, r.frame[3].p, sizeof labels);
    } else {
        char text[200] = "";
        reply_str(&r, "message", text, sizeof text);
        fault("the victim's search got a wrong reply: %d frames, id %llu for %llu, %s", r.n,
              (unsigned long long)reply_id(&r), (unsigned long long)id, text);
    }
    for (int i = 0; rc && i < QUERIES; i++)
        if (labels[(size_t)i * K] != (int64_t)at + i || distances[(size_t)i * K] != 0) {
            fault("the victim's search found %lld instead of %lld",
                  (long long)labels[(size_t)i * K], (long long)at + i);
            rc = 0;
        }
    reply_free(&r);
    return rc;
}

/* Opens one more connection of the session.  During a flood the server may close it before it has
 * sent its key; then this tries again, as a client would. */
static void newcomer(struct victim *v)
{
    v->opens++;
    for (int i = 0; i < OPEN_TRIES; i++, v->retries++) {
        struct peer p;
        struct bytes b = {0};
        struct reply r;
        int rc = -1;
        if (peer_open(&p, v->endpoint) == 0) {
            put_attach(&b, v->key, v->token, ++v->id);
            if (peer_send(&p, &b) == 0 && peer_recv(&p, &r, WAIT_MS) == 1) {
                rc = reply_ok(&r) ? search(v, &p) : 0;
                reply_free(&r);
            }
            bytes_free(&b);
            peer_close(&p);
        }
        v->wrong += rc == 0;
        if (rc >= 0)
            return;
        struct timespec t = {0, 20000000};
        nanosleep(&t, NULL);
    }
    v->shut_out++;
}

static int by_size(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Returns whether the test has stopped this process (SIGSTOP) and continued it since the last call.
 * SIGCONT is blocked, so it stays pending. */
static int was_stopped(const sigset_t *cont)
{
    const struct timespec now = {0, 0};
    return sigtimedwait(cont, NULL, &now) == SIGCONT;
}

int attack_victim(char **argv)
{
    sigset_t cont;
    struct victim v = {.endpoint = argv[0], .key = argv[1]};
    struct peer p;
    uint32_t seed = 1;
    for (const char *k = v.key; *k; k++)
        seed = seed * 31 + (uint8_t)*k; /* each tenant has different data */
    int *ms = malloc(LATENCIES * sizeof *ms);
    peer_hello(&p, v.endpoint, v.key, v.token);
    v.x = vectors(VECTORS, seed);
    v.index = make_index(&p, v.token, VECTORS, seed);
    v.id = 100;
    sigemptyset(&cont);
    sigaddset(&cont, SIGCONT);
    sigprocmask(SIG_BLOCK, &cont, NULL);
    long n = 0;
    puts("working");
    fflush(stdout);
    do {
        int64_t start = now_ms();
        int rc = search(&v, &p);
        int64_t took = now_ms() - start;
        if (!was_stopped(&cont) && n < LATENCIES)
            ms[n++] = (int)took;
        v.searches++;
        v.wrong += rc == 0;
        v.failed += rc < 0;
        if (rc < 0)
            break;
        if (v.searches % OPEN_EVERY == 0)
            newcomer(&v);
    } while (!input_ended(1));
    qsort(ms, (size_t)n, sizeof *ms, by_size);
    printf("searches=%ld wrong=%ld failed=%ld opens=%ld retries=%ld shut_out=%ld p99_ms=%d\n",
           v.searches, v.wrong, v.failed, v.opens, v.retries, v.shut_out,
           n ? ms[n * 99 / 100] : -1);
    peer_close(&p);
    free(ms);
    free(v.x);
    return v.wrong || v.failed || v.shut_out;
}

/* --- measuring --- */

struct figures {
    long rss, data, fds; /* KiB, KiB, number; -1: the process has ended */
};

static long status_line(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

static int slurp(const char *pid, const char *name, char *out, size_t room)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, room - 1);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? 0 : -1;
}

static long descriptors(const char *pid)
{
    char path[64];
    long n = 0;
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *d = opendir(path);
    if (!d)
        return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static struct figures measure(const char *pid, int peak)
{
    char text[4096];
    struct figures f = {-1, -1, -1};
    if (slurp(pid, "status", text, sizeof text) == 0) {
        f.rss = status_line(text, peak ? "\nVmHWM:" : "\nVmRSS:");
        f.data = status_line(text, "\nVmData:");
        f.fds = descriptors(pid);
    }
    return f;
}

/* Resets VmHWM. */
static void reset_peak(const char *pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/clear_refs", pid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "5", 1) != 1)
        die("%s: %s", path, strerror(errno));
    close(fd);
}

static long max(long a, long b)
{
    return a > b ? a : b;
}

/* Prints the peak growth of each process. */
int attack_watch(char **argv)
{
    enum { PROCESSES = 30 };
    struct figures first[PROCESSES], most[PROCESSES], now;
    int n = 0;
    for (; argv[n]; n++) {
        reset_peak(argv[n]);
        first[n] = most[n] = measure(argv[n], 0);
    }
    puts("watching");
    fflush(stdout);
    int ended;
    do {
        ended = input_ended(20);
        for (int i = 0; i < n; i++) {
            now = measure(argv[i], 1);
            most[i] = (struct figures){max(now.rss, most[i].rss), max(now.data, most[i].data),
                                       max(now.fds, most[i].fds)};
        }
    } while (!ended);
    for (int i = 0; i < n; i++)
        printf("pid=%s alive=%d rss_mib=%ld data_mib=%ld fds=%ld\n", argv[i],
               kill(atoi(argv[i]), 0) == 0, (most[i].rss - first[i].rss) >> 10,
               (most[i].data - first[i].data) >> 10, most[i].fds - first[i].fds);
    return 0;
}

static long cpu_ms(const char *pid)
{
    char text[1024];
    unsigned long user = 0, system = 0;
    const char *at = slurp(pid, "stat", text, sizeof text) == 0 ? strrchr(text, ')') : NULL;
    if (!at ||
        sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        die("no process %s", pid);
    return (long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

int attack_cpu(char **argv)
{
    long used = 0;
    for (char **pid = argv + 1; *pid; pid++)
        used -= cpu_ms(*pid);
    sleep((unsigned)atoi(argv[0]));
    for (char **pid = argv + 1; *pid; pid++)
        used += cpu_ms(*pid);
    printf("%ld\n", used);
    return 0;
}
