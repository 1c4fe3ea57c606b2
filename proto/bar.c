/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bar.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 30, EACH_MS = 100 };

static struct {
    const char *what;
    uint64_t total, done;
    int64_t shown_ms;
    int on;
} bar;

const char *fx_bar_size(uint64_t bytes, char *text)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double n = (double)bytes;
    int u = 0;
    for (; n >= 1024 && u < 5; u++)
        n /= 1024;
    snprintf(text, 32, u ? "%.1f %s" : "%.0f %s", n, units[u]);
    return text;
}

static void show(void)
{
    char done[32], total[32], line[WIDTH + 1];
    double part = bar.total ? (double)bar.done / (double)bar.total : 0;
    if (part > 1)
        part = 1;
    for (int i = 0; i < WIDTH; i++)
        line[i] = (double)i < part * WIDTH ? '#' : '.';
    line[WIDTH] = 0;
    if (bar.total)
        fprintf(stderr, "\r\033[K%s [%s] %3.0f %% of %s", bar.what, line, part * 100,
                fx_bar_size(bar.total, total));
    else
        fprintf(stderr, "\r\033[K%s %s", bar.what, fx_bar_size(bar.done, done));
    fflush(stderr);
}

void fx_bar_begin(const char *what, uint64_t total)
{
    bar.what = what;
    bar.total = total;
    bar.done = 0;
    bar.shown_ms = 0;
    bar.on = isatty(STDERR_FILENO);
}

void fx_bar_add(uint64_t bytes)
{
    struct timespec t;
    bar.done += bytes;
    if (!bar.on)
        return;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    if (now - bar.shown_ms < EACH_MS)
        return;
    bar.shown_ms = now;
    show();
}

void fx_bar_end(void)
{
    if (bar.on && bar.shown_ms)
        fputs("\r\033[K", stderr);
    bar.on = 0;
}
