/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "life.h"

void say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("%s: ", current);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
}

int code(const char *what, int rc)
{
    const char *text = rc == 0 ? "" : api.get_last_error();
    say("%s: %d%s%s", what, rc, rc == 0 ? "" : " ", text ? text : "(no text)");
    return rc;
}

int bare(const char *what, int rc)
{
    const char *text = rc == 0 ? NULL : api.get_last_error();
    say("%s: %d%s", what, rc, rc == 0 ? "" : text && *text ? " and a text" : " and no text");
    return rc;
}

double number(const char *what, double value)
{
    say("%s: %.17g", what, value);
    return value;
}

static uint64_t sum(uint64_t h, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static const uint64_t start = 0xcbf29ce484222325u;

void show(const char *what, const void *data, size_t size)
{
    char hex[2 * 24 + 1] = "";
    for (size_t i = 0; i < size && i < 24; i++)
        sprintf(hex + 2 * i, "%02x", ((const uint8_t *)data)[i]);
    say("%s: %zu bytes %016llx %s", what, size, (unsigned long long)sum(start, data, size), hex);
}

void show_file(const char *what, const char *name)
{
    char buf[4096];
    uint64_t h = start;
    size_t n, size = 0;
    FILE *f = fopen(name, "rb");
    if (!f) {
        say("%s: no file %s", what, name);
        return;
    }
    while ((n = fread(buf, 1, sizeof buf, f)) > 0) {
        h = sum(h, buf, n);
        size += n;
    }
    fclose(f);
    say("%s: file of %zu bytes %016llx", what, size, (unsigned long long)h);
}

void same(const char *what, const void *a, const void *b)
{
    say("%s: %s", what, !a ? "NULL" : a == b ? "the same" : "another");
}

/* --- memory --- */

static struct {
    void **list;
    size_t n;
} rooms;

void *room(size_t size)
{
    void *p = malloc(size ? size : 1), **more;
    more = realloc(rooms.list, (rooms.n + 1) * sizeof *more);
    if (!p || !more) {
        perror("life");
        exit(2);
    }
    rooms.list = more;
    rooms.list[rooms.n++] = p;
    memset(p, 0x5a, size);
    return p;
}

void clear_rooms(void)
{
    while (rooms.n)
        free(rooms.list[--rooms.n]);
    free(rooms.list);
    rooms.list = NULL;
}

/* --- data --- */

static uint32_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

float *floats(size_t n, unsigned seed)
{
    uint64_t state = seed * 2654435761u + 12345u;
    float *x = ROOM(float, n);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(next(&state) >> 7) / (float)(1u << 24);
    return x;
}

uint8_t *bits(size_t n, unsigned seed)
{
    uint64_t state = seed * 2654435761u + 54321u;
    uint8_t *x = ROOM(uint8_t, n);
    for (size_t i = 0; i < n; i++)
        x[i] = (uint8_t)(next(&state) >> 11);
    return x;
}

idx_t *numbers(size_t n, idx_t first, idx_t step)
{
    idx_t *x = ROOM(idx_t, n);
    for (size_t i = 0; i < n; i++)
        x[i] = first + step * (idx_t)i;
    return x;
}
