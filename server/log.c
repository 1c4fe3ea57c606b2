/* SPDX-License-Identifier: Apache-2.0 */
#include "server/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum fxs_level threshold = FXS_INFO;

static const char *const names[] = {"error", "warn", "info", "debug"}; /* the words of FXS_LEVELS */

void fxs_log_level(enum fxs_level level)
{
    threshold = level;
}

void fxs_log(enum fxs_level level, const char *component, const char *format, ...)
{
    char line[2048];
    struct timespec now;
    struct tm tm;
    if (level > threshold)
        return;
    int saved = errno;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03dZ %s %s ", (int)(now.tv_nsec / 1000000),
                          names[level], component);
    va_list args;
    va_start(args, format);
    int text = vsnprintf(line + n, sizeof line - n, format, args);
    va_end(args);
    if (text > 0)
        n += (size_t)text;
    if (n > sizeof line - 1)
        n = sizeof line - 1;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[n++] = '\n';
    while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR)
        ;
    errno = saved;
}
