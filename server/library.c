/* SPDX-License-Identifier: Apache-2.0 */
#include "server/library.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/library.h"

/* Writes why it fails; nothing if it does not. */
_Noreturn static void load(const char *path, int out)
{
    static struct fx_library lib;
    char why[4096];
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    if (fx_library_load(&lib, path, why, sizeof why) == 0)
        _exit(0);
    _exit(write(out, why, strlen(why)) < 0 ? 2 : 1);
}

/* Takes the descriptor. */
static size_t read_all(int in, char *text, size_t len)
{
    FILE *f = fdopen(in, "r");
    size_t size = f ? fread(text, 1, len - 1, f) : 0;
    text[size] = '\0';
    if (f)
        fclose(f);
    else
        close(in);
    return size;
}

int fxs_library_try(const char *path, char *why, size_t len)
{
    int ends[2], status = 0;
    pid_t pid = -1;
    if (pipe(ends) == 0 && (pid = fork()) == 0)
        load(path, ends[1]);
    if (pid < 0) {
        snprintf(why, len, "cannot start a process: %s", strerror(errno));
        return -1;
    }
    close(ends[1]);
    size_t size = read_all(ends[0], why, len);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0 && size == 0)
        snprintf(why, len, "a process that loads it ends with status 0x%x", (unsigned)status);
    return status == 0 ? 0 : -1;
}
