/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time and memory of the client and, where usage.server is set, of the server. */
#ifndef FX_BENCH_USAGE_H
#define FX_BENCH_USAGE_H

#include "bench.h"

static struct {
    pid_t server, engine;
} usage;

struct cpu {
    double client, front, engine;
};

/* The engine is the server's only child, once there was a call. */
static inline pid_t first_child(pid_t pid)
{
    char path[64];
    int child = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%d", &child) != 1)
        child = 0;
    if (f)
        fclose(f);
    return child;
}

static inline struct cpu cpu_now(void)
{
    struct cpu c = {cpu_us(0), 0, 0};
    if (usage.server && !usage.engine)
        usage.engine = first_child(usage.server);
    if (usage.server)
        c.front = cpu_us(usage.server);
    if (usage.engine)
        c.engine = cpu_us(usage.engine);
    return c;
}

static inline void report_cpu(struct cpu from, double calls)
{
    struct cpu to = cpu_now();
    report("cpu_client", (to.client - from.client) / calls);
    if (usage.server) {
        report("cpu_front", (to.front - from.front) / calls);
        report("cpu_engine", (to.engine - from.engine) / calls);
    }
}

/* The most memory a process ever had, in bytes. */
static inline double peak_memory(pid_t pid)
{
    char path[64], line[256];
    double kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", pid ? pid : getpid());
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %lf", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib * 1024;
}

#endif
