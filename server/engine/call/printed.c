/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/printed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/log.h"

static _Thread_local struct fxe_printed *listeners[2]; /* by enum fxe_printed_what */

static void keep_text(struct fxe_printed *p, const char *data, size_t n)
{
    size_t fits = p->limit && n > p->limit - p->size ? p->limit - p->size : n;
    if (p->size + fits > p->room) {
        size_t room = 2 * (p->size + fits);
        char *text = realloc(p->text, room);
        if (text) {
            p->text = text;
            p->room = room;
        } else {
            fits = 0;
        }
    }
    if (fits)
        memcpy(p->text + p->size, data, fits);
    p->size += fits;
    p->lost += n - fits;
}

static void to_log(const char *data, size_t n)
{
    while (n) {
        ssize_t done = write(STDERR_FILENO, data, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return; /* there is nowhere to report it */
        data += done;
        n -= (size_t)done;
    }
}

/* Always returns n: after a short write, stdio would mark the stream as failed. */
static ssize_t print(void *is_stdout, const char *data, size_t n)
{
    int saved = errno;
    if (is_stdout && listeners[FXE_PRINTED_RESULT]) {
        keep_text(listeners[FXE_PRINTED_RESULT], data, n);
    } else {
        if (listeners[FXE_PRINTED_ALL])
            keep_text(listeners[FXE_PRINTED_ALL], data, n);
        to_log(data, n);
    }
    errno = saved;
    return (ssize_t)n;
}

/* Unbuffered: print() must run in the thread that printed, to find its listener. */
static FILE *open_stream(void *is_stdout)
{
    static const cookie_io_functions_t functions = {.write = print};
    FILE *f = fopencookie(is_stdout, "w", functions);
    if (f)
        setvbuf(f, NULL, _IONBF, 0);
    return f;
}

void fxe_printed_init(void)
{
    static int yes;
    FILE *out = open_stream(&yes), *err = open_stream(NULL);
    dup2(STDERR_FILENO, STDOUT_FILENO); /* for direct writes to descriptor 1 */
    if (!out || !err) {
        fxs_log(FXS_WARN, "engine", "event=no-streams errno=%d", errno);
        return;
    }
    fflush(NULL);
    stdout = out; /* glibc lets a program assign these */
    stderr = err;
}

void fxe_printed_begin(enum fxe_printed_what what, struct fxe_printed *p)
{
    listeners[what] = p;
}

void fxe_printed_end(enum fxe_printed_what what)
{
    listeners[what] = NULL;
}
