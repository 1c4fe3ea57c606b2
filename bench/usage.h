/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU time, memory and network bytes that client and server use.  server_pid is the server's
 * front; its engines are children of that process.
 */
#ifndef FX_BENCH_USAGE_H
#define FX_BENCH_USAGE_H

#include <glob.h>

#include "bench.h"

static pid_t server_pid;

/* Returns the sum of what(child) over the children of all threads of a process. */
static inline double of_children(pid_t pid, double (*what)(pid_t))
{
    char pattern[64];
    glob_t threads;
    double sum = 0;
    int child;
    snprintf(pattern, sizeof(pattern), "/proc/%d/task/*/children", pid);
    if (glob(pattern, GLOB_NOSORT, NULL, &threads) != 0)
        return 0;
    for (size_t i = 0; i < threads.gl_pathc; i++) {
        FILE *f = fopen(threads.gl_pathv[i], "r");
        while (f && fscanf(f, "%d", &child) == 1)
            sum += what(child);
        if (f)
            fclose(f);
    }
    globfree(&threads);
    return sum;
}

/* Reads a value in KiB from a /proc file of a process (0: this one).  Returns bytes. */
static inline double kib_of(pid_t pid, const char *file, const char *format)
{
    char path[64], line[256];
    double kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/%s", pid ? pid : getpid(), file);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, format, &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib * 1024;
}

/* The peak memory of a process, in bytes. */
static inline double peak_memory(pid_t pid)
{
    return kib_of(pid, "status", "VmHWM: %lf");
}

/* Its current memory in bytes.  Memory shared by several processes is divided among them. */
static inline double memory(pid_t pid)
{
    return kib_of(pid, "smaps_rollup", "Pss: %lf");
}

/* Bytes that this network namespace has sent and received, except over loopback. */
static inline double network_bytes(void)
{
    char line[512], name[64];
    double in, out, sum = 0;
    FILE *f = fopen("/proc/self/net/dev", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, " %63[^:]: %lf %*s %*s %*s %*s %*s %*s %*s %lf", name, &in, &out) == 3 &&
            strcmp(name, "lo") != 0)
            sum += in + out;
    if (f)
        fclose(f);
    return sum;
}

struct used {
    double client, front, engine; /* CPU time in microseconds */
    double network;               /* bytes */
};

static inline struct used used_now(void)
{
    struct used u = {.client = cpu_us(0), .network = network_bytes()};
    if (server_pid) {
        u.front = cpu_us(server_pid);
        u.engine = of_children(server_pid, cpu_us);
    }
    return u;
}

static inline void report_used(struct used from, double calls)
{
    struct used to = used_now();
    report("cpu_client", (to.client - from.client) / calls);
    if (server_pid) {
        report("cpu_front", (to.front - from.front) / calls);
        report("cpu_engine", (to.engine - from.engine) / calls);
    }
    report("network", (to.network - from.network) / calls);
}

#endif
