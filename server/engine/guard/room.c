/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/room.h"

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/engine/engine.h"
#include "server/engine/objects/again.h"

enum { LATELY_MS = 50 };

/* Descriptors, kept open because the sandbox allows no opening later; -1: no such file. */
static int machine = -1, own = -1, group_max = -1, group_now = -1, group_stat = -1;

static int open_in_group(const char *group, const char *file)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", group, file);
    return open(path, O_RDONLY | O_CLOEXEC);
}

void fxe_room_init(void)
{
    char line[PATH_MAX] = "";
    machine = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    own = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = '\0';
            const char *group = line[4] ? line + 3 : "";
            group_max = open_in_group(group, "memory.max");
            group_now = open_in_group(group, "memory.current");
            group_stat = open_in_group(group, "memory.stat");
            break;
        }
    if (f)
        fclose(f);
}

/* Returns the number after `key` in the file, times `unit`; SIZE_MAX if there is none. */
static size_t number_after(int fd, const char *key, size_t unit)
{
    char buf[8192];
    ssize_t n = fd < 0 ? -1 : pread(fd, buf, sizeof buf - 1, 0);
    if (n <= 0)
        return SIZE_MAX;
    buf[n] = '\0';
    const char *at = strstr(buf, key);
    char *end;
    if (!at)
        return SIZE_MAX;
    unsigned long long value = strtoull(at + strlen(key), &end, 10);
    return end == at + strlen(key) ? SIZE_MAX : (size_t)value * unit;
}

static size_t left(size_t most, size_t used)
{
    return most == SIZE_MAX ? SIZE_MAX : most > used ? most - used : 0;
}

static struct {
    size_t room, unused;
    int64_t since;
} last;

static void look(void)
{
    size_t room = number_after(machine, "MemAvailable:", 1024), unused,
           group = number_after(group_max, "", 1);
    if (group != SIZE_MAX) { /* the page cache counts, but can be reclaimed */
        size_t now = number_after(group_now, "", 1),
               cache = number_after(group_stat, "inactive_file ", 1),
               used = number_after(group_stat, "\nactive_file ", 1); /* of mapped indexes, say */
        now = now == SIZE_MAX ? 0 : now;
        if (cache != SIZE_MAX && used != SIZE_MAX)
            cache += used;
        group = left(group, cache < now ? now - cache : now);
        room = group < room ? group : room;
    }
    unused = room;
    struct rlimit data; /* the front may change it */
    if (getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_cur != RLIM_INFINITY) {
        struct mallinfo2 heap = mallinfo2();
        size_t used = number_after(own, "VmData:", 1024);
        if (used == SIZE_MAX) /* a trial's process has closed the file */
            used = heap.arena + heap.hblkhd;
        size_t limit = left(data.rlim_cur, used);
        unused = limit < room ? limit : room;
        limit += heap.fordblks; /* freed, but not returned to the kernel */
        room = limit < room ? limit : room;
    }
    __atomic_store_n(&last.room, room, __ATOMIC_RELAXED);
    __atomic_store_n(&last.unused, unused, __ATOMIC_RELAXED);
    __atomic_store_n(&last.since, fxe_now_ms(), __ATOMIC_RELAXED);
}

static void look_again(bool fresh)
{
    int64_t since = __atomic_load_n(&last.since, __ATOMIC_RELAXED);
    if (fresh || !since || fxe_now_ms() - since > LATELY_MS)
        look();
}

size_t fxe_room(void)
{
    look_again(true);
    return __atomic_load_n(&last.room, __ATOMIC_RELAXED);
}

size_t fxe_room_for(size_t bytes)
{
    size_t room = fxe_room();
    return room < bytes && fxe_again_drop_all() ? fxe_room() : room;
}

void *fxe_room_realloc(void *old, size_t size)
{
    void *p = realloc(old, size);
    if (!p && fxe_again_drop_all())
        p = realloc(old, size);
    return p;
}

size_t fxe_room_lately(void)
{
    look_again(false);
    return __atomic_load_n(&last.room, __ATOMIC_RELAXED);
}

size_t fxe_room_unused(bool fresh)
{
    look_again(fresh);
    return __atomic_load_n(&last.unused, __ATOMIC_RELAXED);
}
