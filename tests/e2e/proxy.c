/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network that fails when it is told to: proxy PORT UPSTREAM CONTROL.  Passes TCP connections to
 * 127.0.0.1:PORT on to the Unix socket UPSTREAM, and takes commands, one per line, from the Unix
 * socket CONTROL.  Each is answered with a line.
 *
 *     up N        cut the connection that carries the Nth byte from now on to the server, after it
 *     down N      the same for bytes to the client
 *     cut         cut all connections now
 *     half        close the clients' sides to the server only: it reads the end
 *     drop N      accept and close the next N connections
 *     hold, go    pass nothing on; go on
 *     delay MS    wait before each chunk is passed on
 *     twice N     pass on twice each of the next N chunks in each direction
 *     count       answers with the bytes to the server and to the client, and the connections
 *                 accepted, since the last `count`
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAIRS = 64, CHUNK = 64 << 10 };

enum { UP, DOWN };

static struct pair {
    int fd[2]; /* the client's and the server's, or -1 */
} pairs[PAIRS];

static long long cut_after[2] = {-1, -1}; /* bytes; -1: not */
static long long passed[2], accepted;
static int drop, hold, delay_ms, twice[2]; /* chunks */

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int on_path(const char *path, int listening)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    if (listening && (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 8) != 0))
        die(path);
    if (!listening && connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int on_port(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0)
        die("port");
    return fd;
}

static void cut(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        if (p->fd[i] >= 0)
            close(p->fd[i]);
        p->fd[i] = -1;
    }
}

static void connected(int listener, const char *upstream)
{
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC), server = -1;
    struct pair *p = pairs;
    accepted++;
    while (p < pairs + PAIRS && p->fd[0] >= 0)
        p++;
    if (drop > 0)
        drop--;
    else if (client >= 0 && p < pairs + PAIRS)
        server = on_path(upstream, 0);
    if (server < 0) {
        close(client);
        return;
    }
    p->fd[0] = client;
    p->fd[1] = server;
}

static int send_all(int fd, const char *buf, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, buf, n, MSG_NOSIGNAL);
        if (k <= 0)
            return -1;
        buf += k;
        n -= (size_t)k;
    }
    return 0;
}

static void pass_on(struct pair *p, int way)
{
    static char buf[CHUNK];
    ssize_t n = recv(p->fd[way], buf, sizeof buf, 0);
    if (delay_ms)
        usleep((useconds_t)delay_ms * 1000);
    long long *left = &cut_after[way];
    int last = n > 0 && *left >= 0 && *left <= n;
    if (last)
        n = *left;
    int copies = n > 0 && twice[way] > 0 ? twice[way]--, 2 : 1;
    for (int i = 0; i < copies && n > 0; i++)
        if (send_all(p->fd[!way], buf, (size_t)n) != 0)
            n = -1;
    if (n > 0)
        passed[way] += n;
    if (n > 0 && *left > 0)
        *left -= n;
    if (last)
        *left = -1;
    if (n <= 0 || last)
        cut(p);
}

static int each_cut(void)
{
    for (struct pair *p = pairs; p < pairs + PAIRS; p++)
        cut(p);
    return 0;
}

static int execute(const char *line, char *answer, size_t size)
{
    char what[16] = "";
    long long n = 0;
    sscanf(line, "%15s %lld", what, &n);
    snprintf(answer, size, "ok\n");
    if (strcmp(what, "up") == 0 || strcmp(what, "down") == 0)
        cut_after[strcmp(what, "up") == 0 ? UP : DOWN] = n;
    else if (strcmp(what, "cut") == 0)
        each_cut();
    else if (strcmp(what, "drop") == 0)
        drop = (int)n;
    else if (strcmp(what, "hold") == 0 || strcmp(what, "go") == 0)
        hold = what[0] == 'h';
    else if (strcmp(what, "delay") == 0)
        delay_ms = (int)n;
    else if (strcmp(what, "twice") == 0)
        twice[UP] = twice[DOWN] = (int)n;
    else if (strcmp(what, "half") == 0)
        for (struct pair *p = pairs; p < pairs + PAIRS; p++)
            p->fd[1] < 0 ? 0 : shutdown(p->fd[1], SHUT_WR);
    else if (strcmp(what, "count") == 0)
        snprintf(answer, size, "%lld %lld %lld\n", passed[UP], passed[DOWN], accepted);
    else
        snprintf(answer, size, "what is '%s'?\n", what);
    if (strcmp(what, "count") == 0)
        passed[UP] = passed[DOWN] = accepted = 0;
    return 0;
}

static void command(int *fd)
{
    char line[100], answer[100];
    ssize_t n = recv(*fd, line, sizeof line - 1, 0);
    if (n > 0) {
        line[n] = '\0';
        execute(line, answer, sizeof answer);
        if (send_all(*fd, answer, strlen(answer)) == 0)
            return;
    }
    close(*fd);
    *fd = -1;
}

int main(int argc, char **argv)
{
    struct pollfd fds[2 * PAIRS + 3];
    int control = -1;
    if (argc != 4)
        die("usage: see the head of proxy.c");
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < PAIRS; i++)
        pairs[i].fd[0] = pairs[i].fd[1] = -1;
    int port = on_port(atoi(argv[1])), controls = on_path(argv[3], 1);
    for (;;) {
        fds[0] = (struct pollfd){.fd = port, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = control < 0 ? controls : control, .events = POLLIN};
        for (int i = 0; i < 2 * PAIRS; i++)
            fds[2 + i] =
                (struct pollfd){.fd = hold ? -1 : pairs[i / 2].fd[i % 2], .events = POLLIN};
        if (poll(fds, 2 + 2 * PAIRS, -1) < 0 && errno != EINTR)
            die("poll");
        if (fds[1].revents && control < 0)
            control = accept4(controls, NULL, NULL, SOCK_CLOEXEC);
        else if (fds[1].revents)
            command(&control);
        for (int i = 0; i < 2 * PAIRS; i++)
            if (fds[2 + i].revents && fds[2 + i].fd == pairs[i / 2].fd[i % 2])
                pass_on(&pairs[i / 2], i % 2);
        if (fds[0].revents)
            connected(port, argv[2]);
    }
}
