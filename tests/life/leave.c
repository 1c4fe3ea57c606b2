/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the calls that crash FAISS, and skips them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "life.h"

enum { MOST = 4096, TRIES = 300, SECONDS = 60 };

/* The calls to leave out: the number of the call within its life. */
static struct {
    char life[64];
    int call;
} list[MOST];
static int length;

/* The position in the current life.  With --ask, in memory that the process shares with its
 * children. */
static struct place {
    char life[64];
    int call, op;
} * at, own;

static FILE *answer; /* the file for the list, with --ask */

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

void leave_start(const char *file)
{
    at = mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    answer = fopen(file, "we");
    if (at == MAP_FAILED || !answer)
        fail(file);
}

void leave_load(const char *file)
{
    FILE *f = file && !answer ? fopen(file, "re") : NULL;
    if (!at)
        at = &own;
    while (f && length < MOST &&
           fscanf(f, "%d %*s in %63[^\n]", &list[length].call, list[length].life) == 2)
        length++;
    if (f)
        fclose(f);
}

void leave_begin(void)
{
    at->call = 0;
    snprintf(at->life, sizeof at->life, "%s", current);
}

int left_out(int op)
{
    at->call++;
    at->op = op;
    for (int i = 0; i < length; i++) {
        if (list[i].call == at->call && strcmp(list[i].life, current) == 0) {
            say("left out: %s", fx_fns[op].name);
            return 1;
        }
    }
    return 0;
}

static void child(void (*run)(void *), void *arg, int out)
{
    static const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    dup2(out, STDOUT_FILENO);
    alarm(SECONDS);
    run(arg);
    fflush(stdout);
    _exit(0);
}

/* Copy the output of the child to our own. */
static void copy(int out)
{
    char buf[65536];
    ssize_t n;
    lseek(out, 0, SEEK_SET);
    while ((n = read(out, buf, sizeof buf)) > 0)
        fwrite(buf, 1, (size_t)n, stdout);
}

void leave_ask(void (*run)(void *), void *arg)
{
    for (int tries = 0; tries < TRIES && length < MOST; tries++) {
        int status = 0, out = memfd_create("life", MFD_CLOEXEC);
        fflush(stdout);
        pid_t pid = out < 0 ? -1 : fork();
        if (pid == 0)
            child(run, arg, out);
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            fail("life");
        if (WIFEXITED(status)) {
            copy(out);
            close(out);
            if (status != 0)
                exit(2);
            return;
        }
        close(out);
        memcpy(list[length].life, at->life, sizeof at->life);
        list[length].call = at->call;
        fprintf(answer, "%d %s in %s\n", at->call, fx_fns[at->op].name, at->life);
        fflush(answer);
        length++;
    }
    fprintf(stderr, "life: too many calls end the process in %s\n", at->life);
    exit(1);
}
