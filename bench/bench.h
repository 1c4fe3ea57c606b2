/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the benchmark programs.
 *
 * Each program is a worker.  It prepares, prints a line "." when it is ready, and then, for each
 * line that it reads, measures once and prints lines "name<TAB>value", followed by a line ".".
 * bench/run.sh lets several workers take turns, so that other load on the machine affects all of
 * them equally.  By hand:  yes '' | head -3 | build/bench/client ...
 */
#ifndef FX_BENCH_H
#define FX_BENCH_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static inline void die_if(int failed, const char *what)
{
    if (failed)
        die("%s: %s", what, strerror(errno));
}

static inline void *need(size_t n)
{
    void *p = malloc(n ? n : 1);
    die_if(!p, "memory");
    return p;
}

/* Prints "." and waits for the next turn.  Returns 0 at the end of the input or at a line "q". */
static inline int turn(void)
{
    char line[64];
    puts(".");
    fflush(stdout);
    return fgets(line, sizeof(line), stdin) && line[0] != 'q';
}

static inline void report(const char *name, double value)
{
    printf("%s\t%.9g\n", name, value);
}

static inline int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void sleep_until(int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

/* CPU time of all threads of a process (0: this one), in microseconds. */
static inline double cpu_us(pid_t pid)
{
    clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
    struct timespec t = {0, 0};
    if ((pid && clock_getcpuclockid(pid, &clock) != 0) || clock_gettime(clock, &t) != 0)
        return 0;
    return 1e6 * (double)t.tv_sec + (double)t.tv_nsec / 1e3;
}

static inline int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Reports percentiles, in microseconds, of n times in nanoseconds.  Sorts them. */
static inline void report_times(const char *prefix, int64_t *ns, size_t n)
{
    static const int percent[] = {50, 90, 99};
    char name[80];
    if (n == 0)
        return;
    qsort(ns, n, sizeof(*ns), by_size);
    for (size_t i = 0; i < sizeof(percent) / sizeof(percent[0]); i++) {
        snprintf(name, sizeof(name), "%.60sp%d", prefix, percent[i]);
        report(name, (double)ns[n * (size_t)percent[i] / 100] / 1e3);
    }
}

/* Pseudo-random numbers, the same in every run. */
struct lcg {
    uint64_t state;
};

static inline float uniform(struct lcg *r) /* in [0, 1) */
{
    r->state = r->state * 6364136223846793005ull + 1442695040888963407ull;
    return (float)(r->state >> 40) / 16777216.0f;
}

/* Makes n vectors of d floats, in clusters and between them.  The centres do not depend on the
 * seed.  The caller frees the array. */
static inline float *clustered(size_t n, int d, uint64_t seed)
{
    enum { CENTRES = 1000 };
    size_t width = (size_t)d;
    struct lcg r = {42}, noise = {seed};
    float *centres = need(CENTRES * width * sizeof(float)), *x = need(n * width * sizeof(float));
    for (size_t i = 0; i < CENTRES * width; i++)
        centres[i] = uniform(&r);
    for (size_t i = 0; i < n; i++) {
        const float *a = centres + width * (size_t)(uniform(&noise) * CENTRES);
        const float *b = centres + width * (size_t)(uniform(&noise) * CENTRES);
        float t = uniform(&noise);
        for (size_t j = 0; j < width; j++)
            x[i * width + j] = a[j] + t * (b[j] - a[j]) + 0.6f * (uniform(&noise) - 0.5f);
    }
    free(centres);
    return x;
}

#endif
