/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/admin/admin.h"

int64_t fxa_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

char *fxa_time(int64_t ms, char *text)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(text, FXA_TIME, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, FXA_TIME - n, ".%03dZ", (int)(ms % 1000));
    return text;
}

/* Milliseconds in ".123"; *end is behind it. */
static int fraction(const char *text, char **end)
{
    double part = strtod(text, end);
    return (int)(part * 1000 + 0.5);
}

int fxa_time_of(const char *text, int64_t *ms)
{
    static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
                                          "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};
    char *end;
    if (*text == '@') {
        errno = 0;
        double seconds = strtod(text + 1, &end);
        if (end == text + 1 || *end || errno || seconds <= 0 || seconds > 1e11)
            return -1;
        *ms = (int64_t)(seconds * 1000);
        return 0;
    }
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct tm tm = {.tm_isdst = -1};
        int part = 0;
        end = strptime(text, formats[i], &tm);
        if (!end)
            continue;
        if (*end == '.' && i < 2)
            part = fraction(end, &end);
        bool utc = *end == 'Z';
        if (end[utc])
            continue;
        time_t t = utc ? timegm(&tm) : mktime(&tm);
        if (t <= 0)
            return -1;
        *ms = (int64_t)t * 1000 + part;
        return 0;
    }
    return -1;
}
