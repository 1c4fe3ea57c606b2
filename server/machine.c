/* SPDX-License-Identifier: Apache-2.0 */
#include "server/machine.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Returns the nth number (from 0) of a file in a folder; 0 if there is none, for "max", and for -1:
 * no limit. */
static uint64_t read_number(const char *folder, const char *name, int n)
{
    char path[4400], text[64] = "", *next = text;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (!fgets(text, sizeof text, f))
        text[0] = '\0';
    fclose(f);
    for (; n > 0; n--)
        next += strcspn(next, " "), next += strspn(next, " ");
    long long value = strtoll(next, NULL, 10);
    return value > 0 ? (uint64_t)value : 0;
}

/* Both: the limit of one group; 0: none. */
static uint64_t memory_limit(const char *folder, bool v1)
{
    return read_number(folder, v1 ? "memory.limit_in_bytes" : "memory.max", 0);
}

static uint64_t cores_limit(const char *folder, bool v1)
{
    uint64_t quota = read_number(folder, v1 ? "cpu.cfs_quota_us" : "cpu.max", 0);
    uint64_t period = read_number(folder, v1 ? "cpu.cfs_period_us" : "cpu.max", v1 ? 0 : 1);
    return quota && period ? (quota + period - 1) / period : 0;
}

/* Is it one of the names in a list that is separated by commas and ended by a colon? */
static bool is_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (; *list && *list != ':'; list += strcspn(list, ",:"), list += *list == ',')
        if (strncmp(list, name, n) == 0 && (list[n] == ',' || list[n] == ':'))
            return true;
    return false;
}

uint64_t fxs_group_limit(const char *own, const char *root, enum fxs_group_what what)
{
    const char *controller = what == FXS_GROUP_CORES ? "cpu" : "memory";
    char line[4096], path[4300];
    uint64_t least = 0;
    FILE *f = fopen(own, "re");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
        if (!group)
            continue;
        bool v1 = group != list + 1;
        if (v1 && !is_listed(list + 1, controller))
            continue;
        group++;
        for (;;) {
            snprintf(path, sizeof path, "%s%s%s%s", root, v1 ? "/" : "", v1 ? controller : "",
                     group);
            uint64_t limit =
                what == FXS_GROUP_CORES ? cores_limit(path, v1) : memory_limit(path, v1);
            if (limit && (!least || limit < least))
                least = limit;
            char *slash = strrchr(group, '/');
            if (!slash || !*group)
                break;
            *slash = '\0';
        }
    }
    if (f)
        fclose(f);
    return least;
}

static const char own_groups[] = "/proc/self/cgroup", groups_root[] = "/sys/fs/cgroup";

uint64_t fxs_memory_of_machine(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t group = fxs_group_limit(own_groups, groups_root, FXS_GROUP_MEMORY);
    return group && group < machine ? group : machine;
}

int fxs_cores_of_machine(void)
{
    /* Not a cpu_set_t, which is too small for a machine with more than 1024 processors. */
    long configured = sysconf(_SC_NPROCESSORS_CONF);
    int most = configured > CPU_SETSIZE ? (int)configured * 2 : CPU_SETSIZE, n = 0;
    cpu_set_t *set = CPU_ALLOC((size_t)most);
    if (set && sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)most), set) == 0)
        n = CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)most), set);
    else
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    CPU_FREE(set);
    uint64_t group = fxs_group_limit(own_groups, groups_root, FXS_GROUP_CORES);
    if (group && group < (uint64_t)n)
        n = (int)group;
    return n > 0 ? n : 1;
}
