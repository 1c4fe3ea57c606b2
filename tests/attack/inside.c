/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks with a valid key, on an engine that others also use. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attack.h"

/* --- one after another --- */

int attack_requests(char **argv)
{
    int n = atoi(argv[2]);
    uint8_t token[TOKEN];
    struct peer p;
    struct reply r;
    float *x = vectors(1, 1);
    peer_hello(&p, argv[0], argv[1], token);
    uint64_t index = make_index(&p, token, 100, 1);
    puts("begin");
    hold();
    for (int i = 0; i < n; i++) {
        struct bytes b = {0};
        put_search(&b, token, 100 + (uint64_t)i, index, x, 1, 1);
        peer_ask(&p, &b, &r);
        if (!reply_ok(&r) || reply_id(&r) != 100 + (uint64_t)i)
            fault("request %d got no good reply", i);
        reply_free(&r);
    }
    printf("%d requests\n", n);
    peer_close(&p);
    free(x);
    return 0;
}

/* --- clients that do not read --- */

struct stranger {
    struct peer p;
    struct bytes requests;
    size_t sent;
};

/* Each client asks for 20 results of 4.8 MB and reads none of them. */
int attack_strangers(char **argv)
{
    enum { EACH = 20, QUERIES = 1000, K = 400, SETTLED_MS = 3000, GIVE_UP_MS = 60000 };
    int n = atoi(argv[2]);
    struct stranger *all = calloc((size_t)n, sizeof *all);
    float *x = vectors(QUERIES, 2);
    for (int i = 0; i < n; i++) {
        uint8_t token[TOKEN];
        struct stranger *s = &all[i];
        peer_hello(&s->p, argv[0], argv[1], token);
        uint64_t index = make_index(&s->p, token, 1000, 1);
        for (uint64_t k = 0; k < EACH; k++)
            put_search(&s->requests, token, 100 + k, index, x, QUERIES, K);
    }
    /* Send until the server accepts no more and no reply grows. */
    int64_t begin = now_ms(), moved = begin;
    while (now_ms() - moved < SETTLED_MS && now_ms() - begin < GIVE_UP_MS) {
        for (int i = 0; i < n; i++) {
            struct stranger *s = &all[i];
            size_t left = s->requests.n - s->sent;
            long sent = left ? peer_send_now(&s->p, s->requests.p + s->sent, left) : 0;
            if (sent > 0) {
                s->sent += (size_t)sent;
                moved = now_ms();
            }
        }
        poll(NULL, 0, 10);
    }
    printf("%d strangers wait\n", n);
    hold();
    /* Connections that read late get their results, or an error. */
    int read = 0, refused = 0;
    for (int i = 0; i < n; i++) {
        struct reply r;
        int rc = i % 4 || faults ? -1 : peer_recv(&all[i].p, &r, WAIT_MS);
        if (rc == 0)
            fault("stranger %d has had no reply for %d s", i, WAIT_MS / 1000);
        if (rc == 1) {
            read++;
            refused += !reply_ok(&r);
            if (reply_id(&r) != 100 ||
                (reply_ok(&r) && (r.n != 4 || r.frame[2].n != QUERIES * K * sizeof(float))))
                fault("stranger %d got a wrong reply: %d frames", i, r.n);
            reply_free(&r);
        }
        peer_close(&all[i].p);
        bytes_free(&all[i].requests);
    }
    printf("%d read, refused=%d\n", read, refused);
    free(x);
    free(all);
    return 0;
}

/* --- many at once --- */

/* The second connection sends its request when work for the first has certainly begun, and must get
 * its reply before the first has all of its replies. */
int attack_pipeline(char **argv)
{
    enum { QUERIES = 200, VECTORS = 20000 };
    int n = atoi(argv[2]), got = 0, before = -1, rc = 0;
    uint8_t token[TOKEN], token2[TOKEN];
    struct peer many, one;
    struct reply r;
    struct bytes b = {0};
    float *x = vectors(QUERIES, 2);
    size_t sent = 0;
    peer_hello(&many, argv[0], argv[1], token);
    peer_hello(&one, argv[0], argv[1], token2);
    uint64_t index = make_index(&many, token, VECTORS, 1);
    uint64_t index2 = make_index(&one, token2, 100, 1);
    for (int i = 0; i < n; i++)
        put_search(&b, token, 100 + (uint64_t)i, index, x, QUERIES, 1);
    while (got < n) {
        long more = sent < b.n ? peer_send_now(&many, b.p + sent, b.n - sent) : 0;
        if (more < 0)
            die("the connection was closed after %d replies", got);
        sent += (size_t)more;
        rc = peer_recv(&many, &r, sent < b.n ? (more ? 0 : 1) : WAIT_MS);
        if (rc < 0 || (rc == 0 && sent == b.n))
            die("%s after %d replies", rc ? "the connection was closed" : "nothing more", got);
        if (rc == 0)
            continue;
        if (!reply_ok(&r) || reply_id(&r) != 100 + (uint64_t)got)
            fault("reply %d is to request %lld", got, (long long)reply_id(&r) - 100);
        got++;
        reply_free(&r);
        if (got == 1) {
            struct bytes c = {0};
            put_search(&c, token2, 9, index2, x, 1, 1);
            peer_ask(&one, &c, &r);
            if (!reply_ok(&r) || reply_id(&r) != 9)
                fault("the second connection's call failed");
            reply_free(&r);
            before = got;
            while (peer_recv(&many, &r, 0) == 1) { /* replies that came before that */
                if (reply_id(&r) != 100 + (uint64_t)got)
                    fault("reply %d is to request %lld", got, (long long)reply_id(&r) - 100);
                got++, before++;
                reply_free(&r);
            }
        }
    }
    if (before >= n)
        fault("one call waited for all %d of another connection", n);
    if (peer_recv(&many, &r, 0) == 1)
        fault("more replies than requests");
    printf("one call was answered after %d of %d\n", before, n);
    peer_close(&many);
    peer_close(&one);
    bytes_free(&b);
    free(x);
    return 0;
}

/* --- heartbeats --- */

/* PONG must come before the next reply. */
static void expect_pong(struct peer *p, const char *when)
{
    struct bytes b = {0};
    struct reply r;
    unsigned before = p->pongs;
    put_command(&b, "PING", "\0\0sixteen bytes...", 18);
    peer_send(p, &b);
    bytes_free(&b);
    for (int waited = 0; p->pongs == before && waited < WAIT_MS; waited += 20)
        if (peer_recv(p, &r, 20) != 0) {
            fault("%s: the reply came before the PONG", when);
            return;
        }
    if (strcmp(p->pong, "sixteen bytes...") != 0)
        fault("%s: PONG has '%s' instead of the context of the PING", when, p->pong);
}

int attack_pong(char **argv)
{
    enum { POINTS = 2000, SHORT = 100, REDO = 400 };
    uint8_t token[TOKEN];
    struct peer p;
    struct bytes b = {0};
    struct reply r;
    uint64_t clusterings[2];
    float *x = vectors(POINTS, 3);
    peer_hello(&p, argv[0], argv[1], token);
    uint64_t index = make_index(&p, token, 10, 1);
    for (int i = 0; i < 2; i++) {
        put_clustering(&b, token, 5, i ? REDO : SHORT);
        peer_ask(&p, &b, &r);
        clusterings[i] = reply_handle(&r);
        if (!clusterings[i])
            die("no clustering was made");
        reply_free(&r);
    }
    /* Two requests at once: the second waits in the connection while the first runs.  Bytes after
     * it must still be noticed later. */
    put_train(&b, token, 6, clusterings[0], index, x, POINTS);
    put_train(&b, token, 7, clusterings[1], index, x, POINTS);
    peer_ask(&p, &b, &r);
    if (!reply_ok(&r) || reply_id(&r) != 6)
        fault("the first of two requests got no good reply");
    reply_free(&r);
    poll(NULL, 0, 200);
    expect_pong(&p, "the second request is under way");
    expect_pong(&p, "once more");
    if (peer_recv(&p, &r, 4 * WAIT_MS) != 1 || !reply_ok(&r) || reply_id(&r) != 7)
        fault("the second of two requests got no good reply");
    reply_free(&r);
    printf("%u PONG while a request is under way\n", p.pongs);
    peer_close(&p);
    free(x);
    return 0;
}

/* --- sessions of others --- */

static void no_session(const char *endpoint, const char *key, const uint8_t *token,
                       const char *what)
{
    struct peer p;
    struct bytes b = {0};
    struct reply r;
    uint8_t own[TOKEN];
    if (peer_open(&p, endpoint) != 0)
        die("cannot connect to %s: %s", endpoint, strerror(errno));
    put_attach(&b, key, token, 1);
    if (peer_send(&p, &b) == 0 && peer_recv(&p, &r, WAIT_MS) == 1) {
        if (reply_ok(&r))
            fault("attach with %s was accepted", what);
        reply_free(&r);
    }
    bytes_free(&b);
    peer_close(&p);
    peer_hello(&p, endpoint, key, own); /* the same on a connection that has had no errors */
    put_factory(&b, token, 2);
    if (peer_send(&p, &b) == 0 && peer_recv(&p, &r, WAIT_MS) == 1) {
        if (reply_ok(&r))
            fault("a call with %s was executed", what);
        reply_free(&r);
    }
    bytes_free(&b);
    peer_close(&p);
}

int attack_tokens(char **argv)
{
    uint8_t token[TOKEN], near[TOKEN];
    struct peer p;
    struct bytes b = {0};
    struct reply r;
    peer_hello(&p, argv[0], argv[2], token);
    no_session(argv[0], argv[1], token, "the session of another tenant");
    for (int bit = 0; bit < 8 * TOKEN; bit += 5) {
        memcpy(near, token, TOKEN);
        near[bit / 8] ^= (uint8_t)(1 << bit % 8);
        no_session(argv[0], argv[2], near, "a session that is nearly right");
    }
    put_factory(&b, token, 3);
    peer_ask(&p, &b, &r);
    if (!reply_ok(&r))
        fault("the owner's call failed");
    reply_free(&r);
    peer_close(&p);
    puts("tokens tried");
    return 0;
}

/* --- descriptors --- */

static void send_fds(struct peer *p, const void *data, size_t n, const int *fds, int nfds)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(250 * sizeof(int))];
    } c = {0};
    struct iovec iov = {(void *)(uintptr_t)data, n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c};
    m.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof *fds);
    c.head.cmsg_level = SOL_SOCKET;
    c.head.cmsg_type = SCM_RIGHTS;
    c.head.cmsg_len = CMSG_LEN((size_t)nfds * sizeof *fds);
    memcpy(CMSG_DATA(&c.head), fds, (size_t)nfds * sizeof *fds);
    ssize_t sent = sendmsg(p->fd, &m, MSG_NOSIGNAL);
    if (sent > 0 && (size_t)sent < n)
        peer_send_raw(p, (const char *)data + sent, n - (size_t)sent);
}

/* A descriptor of kind i: any kind but a sealed memfd with an array. */
static int wrong_fd(int i)
{
    static const char *const names[] = {"/dev/zero", "/", "/proc/self/status"};
    if (i % 6 < 3)
        return open(names[i % 3], O_RDONLY | O_CLOEXEC);
    if (i % 6 == 3)
        return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = memfd_create("attack", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ftruncate(fd, i % 6 == 4 ? 0 : 1 << 20) != 0)
        die("ftruncate: %s", strerror(errno));
    return fd;
}

int attack_fds(char **argv)
{
    enum { KINDS = 12 };
    static const int counts[] = {1, 2, 17, 250};
    int n = atoi(argv[2]);
    uint8_t token[TOKEN];
    for (int i = 0; i < n; i++) {
        struct peer p;
        struct bytes b = {0};
        int fds[250], kind = i % KINDS, nfds = counts[kind % 4];
        for (int k = 0; k < nfds; k++)
            fds[k] = k < 12 ? wrong_fd(i + k) : dup(fds[k % 12]);
        if (kind < 4) { /* with the greeting */
            if (peer_connect(&p, argv[0]) != 0)
                die("cannot connect to %s: %s", argv[0], strerror(errno));
            put_greeting(&b, 3, "NULL");
            put_ready(&b, "DEALER", NULL, 0);
            put_simple(&b, "ping", NULL, 1);
        } else if (kind < 8) { /* with the key */
            if (peer_open(&p, argv[0]) != 0)
                die("cannot connect to %s: %s", argv[0], strerror(errno));
            put_hello(&b, argv[1], 1);
        } else { /* with a request, and without one */
            peer_hello(&p, argv[0], argv[1], token);
            put_factory(&b, token, 5);
            put_frame(&b, MORE, "", 0);
        }
        send_fds(&p, b.p, b.n, fds, nfds);
        for (int k = 0; k < 20 && kind >= 8; k++) /* many times within one message */
            send_fds(&p, "\1\0", 2, fds, nfds);
        for (int k = 0; k < nfds; k++)
            close(fds[k]);
        if (i % 2) {
            struct reply r;
            if (peer_recv(&p, &r, 1000) == 1)
                reply_free(&r);
        }
        peer_close(&p);
        bytes_free(&b);
    }
    printf("descriptors passed %d times\n", n);
    return 0;
}
