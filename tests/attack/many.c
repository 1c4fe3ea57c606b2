/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of connections. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

enum { GIVE_UP_MS = 60000 };

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Closes those that the server has closed; returns how many are left. */
static int left_open(struct peer *peers, int n)
{
    int open = 0;
    for (int i = 0; i < n; i++) {
        if (peers[i].fd >= 0 && peer_closed(&peers[i]))
            peer_close(&peers[i]);
        open += peers[i].fd >= 0;
    }
    return open;
}

/* --- silent --- */

/* Opens a connection up to a step: nothing, half a greeting, a greeting, READY, a delimiter, half
 * a header. */
static void open_until(struct peer *p, const char *endpoint, int step)
{
    struct bytes b = {0};
    if (peer_connect(p, endpoint) != 0)
        die("cannot connect to %s: %s", endpoint, strerror(errno));
    put_greeting(&b, 3, "NULL");
    if (step == 0 || step == 1)
        b.n = step == 0 ? 0 : 30;
    if (step >= 3)
        put_ready(&b, "DEALER", NULL, 0);
    if (step >= 4)
        put_frame(&b, MORE, "", 0);
    if (step >= 5) {
        put_head(&b, 0, 16);
        put(&b, "\x81\xa9opera", 7);
    }
    peer_send(p, &b); /* may fail: closed to make room */
    bytes_free(&b);
}

int attack_silent(char **argv)
{
    int n = atoi(argv[1]), open = n;
    struct peer *peers = calloc((size_t)n, sizeof *peers);
    for (int i = 0; i < n; i++)
        open_until(&peers[i], argv[0], i % 6);
    for (int64_t end = now_ms() + GIVE_UP_MS; open && now_ms() < end; sleep_ms(100))
        open = left_open(peers, n);
    if (open)
        fault("%d of %d silent connections were never closed", open, n);
    printf("silent %d closed=%d\n", n, n - open);
    for (int i = 0; i < n; i++)
        if (peers[i].fd >= 0)
            peer_close(&peers[i]);
    free(peers);
    return 0;
}

/* --- places --- */

int attack_places(char **argv)
{
    enum { NEW = 10 };
    int n = atoi(argv[1]), open = n;
    struct peer *peers = calloc((size_t)n + NEW, sizeof *peers);
    for (int i = 0; i < n + NEW; i++) {
        if (i != n - 1)
            open_until(&peers[i], argv[0], i % 6);
        if (i == n - 1) { /* once the last is answered, all are connected */
            struct bytes b = {0};
            struct reply r;
            if (peer_open(&peers[i], argv[0]) != 0)
                die("cannot connect to %s: %s", argv[0], strerror(errno));
            put_simple(&b, "ping", NULL, 1);
            peer_ask(&peers[i], &b, &r);
            reply_free(&r);
            sleep_ms(200);
            if ((open = left_open(peers, n)) != n)
                fault("%d of %d places were taken away before they were all used", n - open, n);
        }
    }
    for (int64_t end = now_ms() + GIVE_UP_MS; open > n - NEW && now_ms() < end; sleep_ms(20))
        open = left_open(peers, n);
    for (int i = 0; i < n + NEW; i++)
        if ((peers[i].fd >= 0) != (i >= NEW))
            fault("connection %d of %d is %s", i, n + NEW, peers[i].fd >= 0 ? "open" : "closed");
    printf("%d places, the oldest %d gave theirs up\n", n, NEW);
    for (int i = 0; i < n + NEW; i++)
        if (peers[i].fd >= 0)
            peer_close(&peers[i]);
    free(peers);
    return 0;
}

/* --- idle --- */

/* Opens a connection and, with a key, waits for a reply from the engine. */
static int ping_one(struct peer *p, const char *key)
{
    struct bytes b = {0};
    struct reply r;
    int ok = 0;
    put_simple(&b, "ping", key, 1);
    if (peer_send(p, &b) == 0 && peer_recv(p, &r, WAIT_MS) == 1) {
        ok = reply_ok(&r);
        reply_free(&r);
    }
    bytes_free(&b);
    return ok;
}

static int idle_one(struct peer *p, const char *endpoint, const char *key)
{
    if (peer_open(p, endpoint) != 0)
        return 0;
    return key ? ping_one(p, key) : 1;
}

static int idle_some(const char *endpoint, const char *key, struct peer *peers, int n)
{
    int ok = 0;
    for (int i = 0; i < n; i++) {
        ok += peers[i].placed = idle_one(&peers[i], endpoint, key);
        if (key && !ok && i > 100)
            break;
    }
    return ok;
}

/* How many have a place at the engine still, of those that had one. */
static int idle_again(const char *key, struct peer *peers, int n)
{
    int ok = 0;
    for (int i = 0; i < n; i++)
        ok += peers[i].placed && ping_one(&peers[i], key);
    return ok;
}

/* Uses several processes, since one may not have enough descriptors. */
int attack_idle(char **argv)
{
    enum { EACH = 8000, CHILDREN = 16 };
    int n = atoi(argv[1]), least = atoi(argv[2]), children = 0, up[2], down[2], sum = 0, status;
    const char *key = argv[3];
    if (pipe(up) != 0 || pipe(down) != 0)
        die("pipe: %s", strerror(errno));
    for (int first = 0; first < n && children < CHILDREN; first += EACH, children++) {
        int some = n - first < EACH ? n - first : EACH;
        if (fork() != 0)
            continue;
        close(down[1]);
        struct peer *peers = calloc((size_t)some, sizeof *peers);
        int ok = idle_some(argv[0], key, peers, some);
        char c;
        if (write(up[1], &ok, sizeof ok) != sizeof ok)
            _exit(1);
        while (read(down[0], &c, 1) > 0)
            ;
        _exit(key && idle_again(key, peers, some) != ok ? 1 : 0); /* closes them all */
    }
    for (int i = 0; i < children; i++) {
        int ok = 0;
        if (read(up[0], &ok, sizeof ok) == sizeof ok)
            sum += ok;
    }
    printf("idle %d of %d\n", sum, n);
    if (sum < least)
        fault("only %d of %d", sum, least);
    hold();
    close(down[1]);
    while (wait(&status) > 0)
        if (status != 0)
            fault("connections with a key were closed");
    return 0;
}
