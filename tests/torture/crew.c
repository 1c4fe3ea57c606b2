/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"

enum { END_TRIES = 1200 }; /* of 50 ms */

/* Clients come by the Unix socket, through the proxy, or by TCP. */
static pid_t start_client(struct driver *d, int i, const char *log, char *const args[])
{
    char *argv[256] = {NULL};
    char program[TEXT_MAX], preload[TEXT_MAX], server[TEXT_MAX + 32], cli[TEXT_MAX + 32];
    char dir[TEXT_MAX + 32], client[40], clients[40], seed[60];
    snprintf(program, sizeof program, "%s/tests/torture/client", d->build);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", d->preload);
    snprintf(server, sizeof server, "FAISSX_SERVER=%s",
             i % 3 == 0   ? d->ipc
             : i % 3 == 1 ? d->network
                          : d->tcp);
    snprintf(cli, sizeof cli, "TORTURE_CLI=%s/bin/faissx", d->build);
    snprintf(dir, sizeof dir, "TORTURE_DIR=%s", d->dir);
    snprintf(client, sizeof client, "TORTURE_CLIENT=%d", i);
    snprintf(clients, sizeof clients, "TORTURE_CLIENTS=%d", d->nclients);
    snprintf(seed, sizeof seed, "TORTURE_SEED=%u", driver_random(d, 1u << 30));
    char *env[] = {preload,
                   server,
                   cli,
                   dir,
                   client,
                   clients,
                   seed,
                   "FAISSX_TIMEOUT=30",
                   "FAISSX_FAISS_LIBRARY=/nonexistent",
                   NULL};
    argv[0] = program;
    for (int n = 0; n < 254 && args[n]; n++)
        argv[n + 1] = args[n];
    return start(d, log, argv, env);
}

void crew_start(struct driver *d, int i)
{
    char log[40];
    char *args[] = {"work", NULL};
    snprintf(log, sizeof log, "client-%d.log", i);
    d->client[i] = (struct crew){.pid = start_client(d, i, log, args)};
}

int crew_run(struct driver *d, char *const args[])
{
    int status = -1;
    pid_t pid = start_client(d, 0, "dump.log", args);
    waitpid(pid, &status, 0);
    return status;
}

/* Did it end by a signal of this program?  SIGTERM: before it had begun to work. */
static bool is_ours(int status)
{
    return WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
}

static void ended(struct driver *d, int i, int status)
{
    d->client[i].pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
        d->did.given_up++;
    } else if (status != 0 && !is_ours(status)) {
        d->model.n.wrong++;
        model_report(&d->model, "client %d ended with status 0x%x, see its log", i,
                     (unsigned)status);
    }
}

void crew_look_after(struct driver *d)
{
    for (int i = 0; i < d->nclients; i++) {
        struct crew *c = &d->client[i];
        int status;
        if (c->stopped && now_ns() > c->resume_ns) {
            c->stopped = false;
            kill(c->pid, SIGCONT);
        }
        if (c->pid > 0 && waitpid(c->pid, &status, WNOHANG) == c->pid)
            ended(d, i, status);
        if (c->pid <= 0)
            crew_start(d, i);
    }
}

void crew_end(struct driver *d, int signal)
{
    int status, tries = 0;
    for (int i = 0; i < d->nclients; i++) {
        if (d->client[i].pid <= 0)
            continue;
        kill(d->client[i].pid, signal);
        kill(d->client[i].pid, SIGCONT);
    }
    for (int i = 0; i < d->nclients; i++) {
        if (d->client[i].pid <= 0)
            continue;
        while (waitpid(d->client[i].pid, &status, WNOHANG) == 0) {
            if (tries++ == END_TRIES) {
                printf("client %d does not end\n", i);
                d->did.stuck++;
            }
            if (tries >= END_TRIES)
                kill(d->client[i].pid, SIGKILL);
            sleep_ms(50);
        }
        ended(d, i, status);
    }
}
