/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures the mutexes of a program into which it is preloaded: how often each place in the program
 * takes one, how often it has to wait, and how long it holds it.  bench/locks.sh runs it and prints
 * its tables.
 *
 * Only calls from the program itself are measured, not those of its libraries.  With
 * FAISSX_LOCKS=PATH, the process writes PATH.PID when it calls _exit(), a line for each place:
 *
 *     code data taken contended wait_ns hold_ns mean_99 p50 p99
 *
 * code is the address to which the lock call returns and data that of the mutex (0: not a static
 * variable), both as offsets in the program's file; wait_ns and hold_ns are sums; mean_99 is the
 * mean of the shortest 99 of 100 holds, which leaves out those during which the kernel ran another
 * thread.  The time that reading the clock takes is subtracted from each hold.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum {
    THREADS = 160,
    PLACES = 256, /* for each thread; a power of two */
    NESTED = 8,
    OCTAVES = 40, /* up to 2^40 ns */
    PARTS = 8,    /* of an octave */
    BUCKETS = OCTAVES * PARTS
};

struct place {
    uintptr_t code, data;
    uint64_t taken, contended, wait, hold;
    uint32_t holds[BUCKETS]; /* by their length */
};

struct table {
    struct place places[PLACES];
};

struct hold {
    pthread_mutex_t *mutex;
    struct place *place;
    int64_t since;
};

static struct {
    int (*lock)(pthread_mutex_t *);
    int (*trylock)(pthread_mutex_t *);
    int (*unlock)(pthread_mutex_t *);
    int (*wait)(pthread_cond_t *, pthread_mutex_t *);
    int (*timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    void (*leave)(int);
} real;

static uintptr_t base, text_end;
static int64_t clock_ns; /* what reading the clock takes */
static struct table *tables[THREADS];
static int ntables;
static int out = -1;
static pid_t owner;

static _Thread_local struct table *own;
static _Thread_local struct hold held[NESTED];
static _Thread_local int nheld;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- the places --- */

static struct place *find(struct place *places, uintptr_t code, uintptr_t data)
{
    size_t at = (code * 0x9e3779b97f4a7c15u >> 40) % PLACES;
    for (size_t i = 0; i < PLACES; i++, at = (at + 1) % PLACES) {
        if (!places[at].code) {
            places[at].code = code;
            places[at].data = data;
        }
        if (places[at].code == code && places[at].data == data)
            return &places[at];
    }
    return NULL;
}

static struct table *own_table(void)
{
    if (own)
        return own;
    int i = __atomic_fetch_add(&ntables, 1, __ATOMIC_RELAXED);
    if (i < THREADS)
        own = tables[i] = calloc(1, sizeof *own);
    return own;
}

/* Returns the place of a call that returns to `code`, or NULL if it is not measured. */
static struct place *place_of(const void *code, const pthread_mutex_t *m)
{
    uintptr_t at = (uintptr_t)code, data = (uintptr_t)m;
    if (out < 0 || at < base || at >= text_end || !own_table())
        return NULL;
    return find(own->places, at - base, data >= base && data < text_end ? data - base : 0);
}

static void begin(pthread_mutex_t *m, struct place *p)
{
    if (p && nheld < NESTED)
        held[nheld++] = (struct hold){m, p, now()};
}

/* The length of a hold, as a bucket, and back. */
static int bucket_of(uint64_t ns)
{
    if (ns < PARTS)
        return (int)ns;
    int octave = 63 - __builtin_clzll(ns);
    int at = octave * PARTS + (int)(ns >> (octave - 3) & (PARTS - 1)) - 2 * PARTS;
    return at < BUCKETS ? at : BUCKETS - 1;
}

static double length_of(int bucket)
{
    if (bucket < PARTS)
        return bucket;
    int octave = bucket / PARTS + 2;
    return (double)(1ull << octave) * (1 + (bucket % PARTS + 0.5) / PARTS);
}

static void end(pthread_mutex_t *m)
{
    int64_t t = nheld ? now() : 0;
    for (int i = nheld - 1; i >= 0; i--) {
        if (held[i].mutex != m)
            continue;
        int64_t ns = t - held[i].since - clock_ns;
        struct place *p = held[i].place;
        p->taken++;
        p->hold += (uint64_t)(ns > 0 ? ns : 0);
        p->holds[bucket_of((uint64_t)(ns > 0 ? ns : 0))]++;
        nheld--;
        memmove(held + i, held + i + 1, (size_t)(nheld - i) * sizeof *held);
        return;
    }
}

/* --- what it stands in for --- */

EXPORT int pthread_mutex_lock(pthread_mutex_t *m)
{
    struct place *p = place_of(__builtin_return_address(0), m);
    if (!p)
        return real.lock ? real.lock(m) : 0; /* before this library's constructor: one thread */
    if (real.trylock(m) != 0) {
        int64_t t = now();
        int rc = real.lock(m);
        p->contended++;
        p->wait += (uint64_t)(now() - t);
        if (rc != 0)
            return rc;
    }
    begin(m, p);
    return 0;
}

EXPORT int pthread_mutex_unlock(pthread_mutex_t *m)
{
    end(m);
    return real.unlock ? real.unlock(m) : 0;
}

EXPORT int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    struct place *p = place_of(__builtin_return_address(0), m);
    end(m);
    int rc = real.wait(c, m);
    begin(m, p);
    return rc;
}

EXPORT int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t)
{
    struct place *p = place_of(__builtin_return_address(0), m);
    end(m);
    int rc = real.timedwait(c, m, t);
    begin(m, p);
    return rc;
}

/* --- the result --- */

static void add(struct place *sum, const struct place *p)
{
    sum->taken += p->taken;
    sum->contended += p->contended;
    sum->wait += p->wait;
    sum->hold += p->hold;
    for (int i = 0; i < BUCKETS; i++)
        sum->holds[i] += p->holds[i];
}

static void print(const struct place *p)
{
    double p50 = -1, p99 = -1, sum = 0;
    uint64_t seen = 0, most = (p->taken * 99 + 99) / 100;
    for (int i = 0; i < BUCKETS && p99 < 0; i++) {
        uint64_t n = p->holds[i] < most - seen ? p->holds[i] : most - seen;
        sum += (double)n * length_of(i);
        seen += p->holds[i];
        if (p50 < 0 && seen * 2 >= p->taken)
            p50 = length_of(i);
        if (seen >= most)
            p99 = length_of(i);
    }
    dprintf(out, "%#zx %#zx %llu %llu %llu %llu %.0f %.0f %.0f\n", (size_t)p->code, (size_t)p->data,
            (unsigned long long)p->taken, (unsigned long long)p->contended,
            (unsigned long long)p->wait, (unsigned long long)p->hold, sum / (double)most, p50, p99);
}

EXPORT void _exit(int status)
{
    struct table *all = out >= 0 && getpid() == owner ? calloc(1, sizeof *all) : NULL;
    for (int i = 0; all && i < ntables && i < THREADS; i++)
        for (int j = 0; tables[i] && j < PLACES; j++) {
            const struct place *p = &tables[i]->places[j];
            struct place *sum = p->taken ? find(all->places, p->code, p->data) : NULL;
            if (sum)
                add(sum, p);
        }
    for (int j = 0; all && j < PLACES; j++)
        if (all->places[j].taken)
            print(&all->places[j]);
    real.leave(status);
    __builtin_unreachable();
}

static int find_program(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD)
            text_end = base + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
    return 1; /* the first one is the program */
}

static void *need_symbol(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    if (!p)
        abort();
    return p;
}

__attribute__((constructor)) static void set_up(void)
{
    const char *path = getenv("FAISSX_LOCKS");
    char name[4096];
    *(void **)&real.trylock = need_symbol("pthread_mutex_trylock");
    *(void **)&real.wait = need_symbol("pthread_cond_wait");
    *(void **)&real.timedwait = need_symbol("pthread_cond_timedwait");
    *(void **)&real.leave = need_symbol("_exit");
    *(void **)&real.unlock = need_symbol("pthread_mutex_unlock");
    *(void **)&real.lock = need_symbol("pthread_mutex_lock");
    dl_iterate_phdr(find_program, NULL);
    clock_ns = INT64_MAX;
    for (int i = 0; i < 1000; i++) {
        int64_t t = now(), ns = now() - t;
        clock_ns = ns < clock_ns ? ns : clock_ns;
    }
    owner = getpid();
    snprintf(name, sizeof name, "%s.%d", path ? path : "", (int)owner);
    if (path)
        out = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}
