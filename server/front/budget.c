/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One memory budget for the whole server.  The data limit (RLIMIT_DATA) of each engine is what it
 * uses now, plus all that the engines together leave of the budget.  An allocation beyond that
 * fails in the engine, where FAISS reports it.  Without this limit the kernel would kill some
 * process of the machine.
 *
 * The limits are updated every FAST_MS while memory use changes, otherwise every SLOW_MS.  So two
 * engines that both take all that is left at the same moment can exceed the budget: by default it
 * leaves a fifth of the machine's memory for that.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "server/front/state.h"
#include "server/log.h"

enum { FAST_MS = 100, SLOW_MS = 1000 };

/* These sanitizers map terabytes of address space, which would use up any limit. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool is_limited = false;
#else
static const bool is_limited = true;
#endif

static const uint64_t change = 16 << 20; /* bytes of change after which to look again soon */

/* Returns the bytes of a process that RLIMIT_DATA counts, or 0 if it cannot tell.  Mapped memfds
 * are not among them: blob.c counts those. */
static uint64_t used(pid_t pid)
{
    char line[256];
    unsigned long long kib = 0;
    snprintf(line, sizeof line, "/proc/%d/status", (int)pid);
    FILE *f = fopen(line, "re");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "VmData: %llu", &kib) != 1)
        ;
    if (f)
        fclose(f);
    return kib << 10;
}

void fxs_budget_divide(struct fxs_front *f)
{
    uint64_t budget = (uint64_t)f->options->total_memory << 20, sum = 0;
    uint64_t most = (uint64_t)f->options->memory << 20; /* for each engine; 0: only the budget */
    bool changed = false;
    for (struct fxs_engine *e = f->engines.by_tenant; e; e = e->hh.next) {
        /* One that starts may be reading indexes already, and one that ends has them until it has
         * written its snapshots. */
        uint64_t now = e->state != FXS_DOWN ? used(e->pid) : 0;
        changed |= now > e->used + change || e->used > now + change;
        e->used = now;
        sum += now;
    }
    uint64_t left = sum < budget ? budget - sum : 0;
    struct rlimit hard;
    getrlimit(RLIMIT_DATA, &hard); /* the engines have inherited this process's hard limit */
    for (struct fxs_engine *e = f->engines.by_tenant; e; e = e->hh.next) {
        uint64_t limit = e->used + left;
        if (most && limit > most)
            limit = most;
        struct rlimit r = {limit < hard.rlim_max ? limit : hard.rlim_max, hard.rlim_max};
        if (is_limited && e->state == FXS_RUNNING && prlimit(e->pid, RLIMIT_DATA, &r, NULL) != 0)
            fxs_log(FXS_DEBUG, "front", "event=cannot-limit-memory tenant=%s", e->tenant);
    }
    f->budget = f->now + (changed ? FAST_MS : SLOW_MS);
}
