/* SPDX-License-Identifier: Apache-2.0 */
#include "server/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t read_number(const char *path)
{
    char text[64] = "";
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (!fgets(text, sizeof text, f))
        text[0] = '\0';
    fclose(f);
    return strtoull(text, NULL, 10); /* 0 for "max": no limit */
}

/* Returns the lowest memory limit, in bytes, of this process's control groups (version 1 or 2) and
 * their parents; 0 if there is none. */
static uint64_t group_limit(void)
{
    char line[4096], path[4300];
    uint64_t least = 0;
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *group = strncmp(line, "0::", 3) == 0 ? line + 3 : strstr(line, ":memory:");
        if (!group)
            continue;
        int v1 = group != line + 3;
        if (v1)
            group += strlen(":memory:");
        for (;;) {
            snprintf(path, sizeof path, "/sys/fs/cgroup%s%s/%s", v1 ? "/memory" : "", group,
                     v1 ? "memory.limit_in_bytes" : "memory.max");
            uint64_t limit = read_number(path);
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

uint64_t fxs_memory_of_machine(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t group = group_limit();
    return group && group < machine ? group : machine;
}

int fxs_cores_of_machine(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}
