/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"

enum { ARGS_MAX = 40 };

pid_t start(struct driver *d, const char *log, char *const argv[], char *const env[])
{
    char path[TEXT_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", d->dir, log);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(127);
    close(fd);
    for (int i = 0; env && env[i]; i++)
        putenv(env[i]);
    execv(argv[0], argv);
    _exit(127);
}

int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        abort();
    close(fd);
    return ntohs(a.sin_port);
}

static bool accepts(const struct driver *d)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/sock", d->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return yes;
}

void server_start(struct driver *d)
{
    char program[TEXT_MAX], data[TEXT_MAX];
    snprintf(program, sizeof program, "%s/faissx-server", d->build);
    snprintf(data, sizeof data, "%s/data", d->dir);
    if (!*d->tcp)
        snprintf(d->tcp, sizeof d->tcp, "tcp://127.0.0.1:%d", free_port());
    snprintf(d->ipc, sizeof d->ipc, "ipc://%s/sock", d->dir);
    char *argv[ARGS_MAX] = {program,
                            "run",
                            "--bind",
                            d->tcp,
                            "--bind",
                            d->ipc,
                            "--data-dir",
                            data,
                            "--durability",
                            (char *)(uintptr_t)d->durability,
                            "--snapshot-interval",
                            "1",
                            "--lease",
                            "2",
                            "--idle",
                            "1",
                            "--threads",
                            "2"};
    int n = 0;
    while (argv[n])
        n++;
    for (int i = 0; d->options[i] && n < ARGS_MAX - 1; i++)
        argv[n++] = d->options[i];
    for (int i = 0; i < 600; i++) {
        int status;
        if (d->front <= 0)
            d->front = start(d, "server.log", argv, NULL);
        if (waitpid(d->front, &status, WNOHANG) == d->front) {
            d->front = 0;
            d->did.starts_refused++;
        } else if (accepts(d)) {
            return;
        }
        sleep_ms(50);
    }
    printf("the server does not start: see %s/server.log\n", d->dir);
    exit(1);
}

/* Is it a child of `parent`, and not a zombie? */
static bool is_child(pid_t pid, pid_t parent)
{
    char path[64], text[512], state = 'Z';
    int ppid = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    const char *end = strrchr(text, ')');
    return end && sscanf(end + 1, " %c %d", &state, &ppid) == 2 && ppid == parent && state != 'Z';
}

int server_engines(const struct driver *d, pid_t engine[ENGINES_MAX])
{
    int n = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *e; proc && n < ENGINES_MAX && (e = readdir(proc));) {
        pid_t pid = (pid_t)atoi(e->d_name);
        if (pid > 0 && is_child(pid, d->front))
            engine[n++] = pid;
    }
    if (proc)
        closedir(proc);
    return n;
}

static bool alive(pid_t pid)
{
    char path[64], state = 'Z', text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    const char *end = strrchr(text, ')');
    return end && sscanf(end + 1, " %c", &state) == 1 && state != 'Z';
}

void server_gone(struct driver *d, const pid_t *engine, int n)
{
    int status, tries = 0;
    waitpid(d->front, &status, 0);
    d->front = 0;
    for (int i = 0; i < n; i++)
        while (alive(engine[i]) && tries++ < 600)
            sleep_ms(50);
    if (tries >= 600) {
        printf("FAULT: an engine has not ended with its server\n");
        d->did.stuck++;
    }
}
