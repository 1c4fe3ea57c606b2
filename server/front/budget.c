/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One budget of memory for the whole server: each engine may have what it has and what all
 * engines together have not, as its limit of data (RLIMIT_DATA).  An allocation beyond that fails
 * in the engine, where FAISS reports it; without this, the kernel would kill some process of the
 * machine.
 *
 * The limits follow what the engines take, a few times a second while that changes, so two
 * engines that both take all that is left at the same moment can get more than there is: the
 * budget leaves a fifth of the machine for that.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/front/state.h"
#include "server/log.h"

enum { FAST_MS = 100, SLOW_MS = 1000 };

/* These map terabytes, which would leave nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool is_limited = false;
#else
static const bool is_limited = true;
#endif

static const uint64_t change = 16 << 20; /* bytes that make it look again soon */

/* Bytes of a process that RLIMIT_DATA counts.  Not its mapped memfds: blob.c counts those. */
static uint64_t used(pid_t pid)
{
    char path[64];
    unsigned long long total, resident, shared, text, lib, data;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    int n =
        fscanf(f, "%llu %llu %llu %llu %llu %llu", &total, &resident, &shared, &text, &lib, &data);
    fclose(f);
    return n == 6 ? data * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

void fxs_budget_divide(struct fxs_front *f)
{
    uint64_t budget = (uint64_t)f->options->total_memory << 20, sum = 0;
    uint64_t most = (uint64_t)f->options->memory << 20; /* of one; 0: no more than the budget */
    bool changed = false;
    for (struct fxs_engine *e = f->engines.by_tenant; e; e = e->hh.next) {
        uint64_t now = e->state == FXS_RUNNING ? used(e->pid) : 0;
        changed |= now > e->used + change || e->used > now + change;
        e->used = now;
        sum += now;
    }
    uint64_t left = sum < budget ? budget - sum : 0;
    struct rlimit hard;
    getrlimit(RLIMIT_DATA, &hard); /* of this process, which the engines have inherited */
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
