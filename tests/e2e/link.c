/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network between two namespaces that treats packets as it is told to: link NETNS NETNS CONTROL.
 * Makes the interface link0 (a tun device) in each namespace, and passes packets between them.
 * Takes commands, one per line, from the Unix socket CONTROL.  Each is answered with a line.
 *
 *     delay MS      each packet takes so long
 *     jitter MS     and a random time of up to so long more, so packets overtake each other
 *     loss N        N of 1000 packets are lost
 *     silence, go   all packets are lost; not any more
 *     forget        packets of the TCP connections there have been are lost from now on, as by a
 *                   NAT that has forgotten them
 *     count         answers with the packets passed on, lost, and overtaken, since the last `count`
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { QUEUE = 4096, PACKET = 2048, PORTS = 65536, SYN = 2, ACK = 16 };

struct packet {
    int64_t due; /* ms */
    int to;      /* an end */
    size_t size;
    uint8_t bytes[PACKET];
};

static int ends[2];
static struct packet *queue[QUEUE]; /* in the order in which they are due */
static int queued;
static int delay_ms, jitter_ms, loss, silent;
static long long passed, lost, overtaken;
/* By the client's port, of which only the exclusive or with the server's is known: which of the two
 * is the client's does not show. */
static uint8_t seen[PORTS], forgotten[PORTS];

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "link: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int interface_in(const char *netns)
{
    struct ifreq want = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int ns = open(netns, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
        die(netns);
    close(ns);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    strcpy(want.ifr_name, "link0");
    if (fd < 0 || ioctl(fd, TUNSETIFF, &want) != 0)
        die("/dev/net/tun");
    return fd;
}

/* Where the TCP header is, or NULL. */
static const uint8_t *tcp_of(const uint8_t *p, size_t n)
{
    size_t at = n < 40                                  ? 0
                : p[0] >> 4 == 4 && p[9] == IPPROTO_TCP ? 4u * (p[0] & 15)
                : p[0] >> 4 == 6 && p[6] == IPPROTO_TCP ? 40
                                                        : 0;
    return at && at + 14 <= n ? p + at : NULL;
}

static int is_lost(const struct packet *p)
{
    const uint8_t *tcp = tcp_of(p->bytes, p->size);
    int ports = 0;
    if (tcp) {
        ports = (tcp[0] << 8 | tcp[1]) ^ (tcp[2] << 8 | tcp[3]);
        seen[ports] = 1;
        if ((tcp[13] & (SYN | ACK)) == SYN) /* a new connection, perhaps from a port as before */
            forgotten[ports] = 0;
    }
    return silent || (tcp && forgotten[ports]) || (loss && rand() % 1000 < loss);
}

static void take(int from)
{
    struct packet *p = malloc(sizeof *p);
    ssize_t n = p ? read(ends[from], p->bytes, sizeof p->bytes) : -1;
    if (n > 0) {
        p->size = (size_t)n;
        p->to = !from;
        p->due = now_ms() + delay_ms + (jitter_ms ? rand() % (jitter_ms + 1) : 0);
    }
    if (n <= 0 || queued == QUEUE || is_lost(p)) {
        lost += n > 0;
        free(p);
        return;
    }
    int at = queued++;
    for (; at > 0 && queue[at - 1]->due > p->due; at--) {
        overtaken += queue[at - 1]->to == p->to;
        queue[at] = queue[at - 1];
    }
    queue[at] = p;
}

/* Passes on what is due.  Returns how long to wait for the next, in ms, or -1: there is none. */
static int pass_on(void)
{
    int n = 0;
    for (; n < queued && queue[n]->due <= now_ms(); n++) {
        if (write(ends[queue[n]->to], queue[n]->bytes, queue[n]->size) > 0)
            passed++;
        free(queue[n]);
    }
    queued -= n;
    memmove(queue, queue + n, (size_t)queued * sizeof *queue);
    int64_t wait = queued ? queue[0]->due - now_ms() : -1;
    return wait < 0 && queued ? 0 : (int)wait;
}

static void execute(const char *line, char *answer, size_t size)
{
    char what[16] = "";
    int n = 0;
    sscanf(line, "%15s %d", what, &n);
    snprintf(answer, size, "ok\n");
    if (strcmp(what, "delay") == 0)
        delay_ms = n;
    else if (strcmp(what, "jitter") == 0)
        jitter_ms = n;
    else if (strcmp(what, "loss") == 0)
        loss = n;
    else if (strcmp(what, "silence") == 0 || strcmp(what, "go") == 0)
        silent = what[0] == 's';
    else if (strcmp(what, "forget") == 0)
        memcpy(forgotten, seen, sizeof seen);
    else if (strcmp(what, "count") == 0)
        snprintf(answer, size, "%lld %lld %lld\n", passed, lost, overtaken);
    else
        snprintf(answer, size, "what is '%s'?\n", what);
    if (strcmp(what, "count") == 0)
        passed = lost = overtaken = 0;
}

static void command(int *fd)
{
    char line[100], answer[100];
    ssize_t n = recv(*fd, line, sizeof line - 1, 0);
    if (n > 0) {
        line[n] = '\0';
        execute(line, answer, sizeof answer);
        if (send(*fd, answer, strlen(answer), MSG_NOSIGNAL) > 0)
            return;
    }
    close(*fd);
    *fd = -1;
}

int main(int argc, char **argv)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int control = -1;
    if (argc != 4)
        die("usage: see the head of link.c");
    for (int i = 0; i < 2; i++)
        ends[i] = interface_in(argv[1 + i]);
    int controls = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", argv[3]);
    if (bind(controls, (struct sockaddr *)&a, sizeof a) != 0 || listen(controls, 8) != 0)
        die(argv[3]);
    srand(1);
    for (;;) {
        struct pollfd fds[3] = {{ends[0], POLLIN, 0},
                                {ends[1], POLLIN, 0},
                                {control < 0 ? controls : control, POLLIN, 0}};
        if (poll(fds, 3, pass_on()) < 0 && errno != EINTR)
            die("poll");
        for (int i = 0; i < 2; i++)
            if (fds[i].revents)
                take(i);
        if (fds[2].revents && control < 0)
            control = accept4(controls, NULL, NULL, SOCK_CLOEXEC);
        else if (fds[2].revents)
            command(&control);
    }
}
