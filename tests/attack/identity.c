/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that claim an identity.  libzmq's ROUTER assigns a number (\0 and 32 bits) to peers without
 * one, and trusts the identity that a peer claims.  A peer that claims the next number, or another
 * peer's identity, gets other peers' messages or crashes the process.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attack.h"

static void open_as(struct peer *p, const char *endpoint, const void *identity, size_t n)
{
    if (peer_open_as(p, endpoint, identity, n) != 0 && p->fd < 0)
        die("cannot connect to %s: %s", endpoint, strerror(errno));
}

static void ping(struct peer *p, uint64_t id)
{
    struct bytes b = {0};
    put_simple(&b, "ping", NULL, id);
    peer_send(p, &b);
    bytes_free(&b);
}

/* A fault unless the peer gets exactly one reply, to that request, or is refused.  Returns whether
 * it got a reply. */
static int expect_own(struct peer *p, uint64_t id, const char *who)
{
    struct reply r;
    int rc = peer_recv(p, &r, WAIT_MS);
    if (rc != 1)
        return 0; /* refused, which is fine */
    if (reply_id(&r) != id)
        fault("%s: got the reply to request %llu instead of %llu", who,
              (unsigned long long)reply_id(&r), (unsigned long long)id);
    reply_free(&r);
    if (peer_recv(p, &r, 0) == 1) {
        fault("%s: got a second reply, to %llu", who, (unsigned long long)reply_id(&r));
        reply_free(&r);
    }
    return 1;
}

/* Claims the numbers that a ROUTER would assign next, from 0 and from random starts. */
static long numbered(const char *endpoint, int n)
{
    enum { AT_ONCE = 50 };
    struct peer claims[AT_ONCE], plain[AT_ONCE];
    uint32_t next = 0;
    long answered = 0;
    for (int done = 0; done < n; done += AT_ONCE) {
        if (done % 500 == 250)
            next = random32();
        for (int i = 0; i < AT_ONCE; i++) {
            uint8_t id[5] = {0, (uint8_t)(next >> 24), (uint8_t)(next >> 16), (uint8_t)(next >> 8),
                             (uint8_t)next};
            next++;
            open_as(&claims[i], endpoint, id, sizeof id);
            open_as(&plain[i], endpoint, NULL, 0);
            ping(&claims[i], (uint64_t)(2 * (done + i)));
            ping(&plain[i], (uint64_t)(2 * (done + i) + 1));
        }
        for (int i = 0; i < AT_ONCE; i++) {
            answered += expect_own(&claims[i], (uint64_t)(2 * (done + i)), "a claimed number");
            if (!expect_own(&plain[i], (uint64_t)(2 * (done + i) + 1), "without an identity"))
                fault("a client without an identity was not answered (%s)", plain[i].error);
            peer_close(&claims[i]);
            peer_close(&plain[i]);
        }
    }
    return answered;
}

/* Claims the identity of a connected peer, which must keep working. */
static void living(const char *endpoint, const char *key)
{
    struct peer owner, thief;
    struct bytes b = {0};
    struct reply r;
    uint8_t token[TOKEN];
    open_as(&owner, endpoint, "same", 4);
    put_hello(&b, key, 1);
    peer_ask(&owner, &b, &r);
    if (reply_str(&r, "session", (char *)token, TOKEN) != TOKEN)
        die("a client with an identity is not served");
    reply_free(&r);
    for (uint64_t id = 100; id < 200; id++) {
        open_as(&thief, endpoint, "same", 4);
        put_factory(&b, token, id);
        peer_send(&owner, &b);
        bytes_free(&b);
        ping(&thief, 10000 + id);
        expect_own(&thief, 10000 + id, "who claims a living client's identity");
        if (!expect_own(&owner, id, "whose identity is claimed"))
            fault("a client whose identity is claimed was not answered (%s)", owner.error);
        peer_close(&thief);
    }
    peer_close(&owner);
}

/* Claims the identity of a peer that has left before its reply came. */
static void departed(const char *endpoint, const char *key)
{
    struct peer owner, thief;
    struct bytes b = {0};
    struct reply r;
    for (int i = 0; i < 200; i++) {
        open_as(&owner, endpoint, "same", 4);
        put_hello(&b, key, 7);
        peer_send(&owner, &b);
        bytes_free(&b);
        if (i % 2)
            peer_close(&owner);
        else
            peer_reset(&owner);
        open_as(&thief, endpoint, "same", 4);
        if (peer_recv(&thief, &r, i % 10 ? 2 : 100) == 1) {
            fault("a reply to a client that has left went to another (request %llu)",
                  (unsigned long long)reply_id(&r));
            reply_free(&r);
        }
        peer_close(&thief);
    }
}

int attack_identity(char **argv)
{
    long answered = numbered(argv[0], atoi(argv[2]));
    living(argv[0], argv[1]);
    departed(argv[0], argv[1]);
    printf("%ld claimed numbers answered\n", answered);
    return 0;
}
