/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the attacks: plain sockets, and ZMTP and msgpack written byte by byte, because no
 * library would send most of these bytes.
 *
 * Everything is bounded in count and time.  A timeout that should never happen ends the program
 * with status 2 and a text; an attack that found a fault ends it with status 1.
 */
#ifndef ATTACK_H
#define ATTACK_H

#include <stddef.h>
#include <stdint.h>

enum { MORE = 1, LONG = 2, COMMAND = 4 }; /* flags of a ZMTP frame */
enum { TOKEN = 16, FRAMES_MAX = 64, WAIT_MS = 60000, D = 16 };

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints a fault of the server; main() will return 1. */
void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern int faults;
/* Prints "holding" and waits until standard input ends. */
void hold(void);

int64_t now_ms(void);
uint32_t random32(void); /* reproducible: starts from ATTACK_SEED, or else 1 */

/* --- bytes to send (bytes.c) --- */

struct bytes {
    uint8_t *p;
    size_t n, room;
};

void put(struct bytes *b, const void *p, size_t n);
void put_head(struct bytes *b, int flags, uint64_t size); /* a frame's head; sets LONG if needed */
void put_frame(struct bytes *b, int flags, const void *p, size_t n);
void put_command(struct bytes *b, const char *name, const void *data, size_t n);
void put_greeting(struct bytes *b, int major, const char *mechanism);
void put_ready(struct bytes *b, const char *type, const void *identity, size_t n);
void bytes_free(struct bytes *b);

void mp_map(struct bytes *b, unsigned n); /* fewer than 16 pairs */
void mp_array(struct bytes *b, unsigned n);
void mp_str(struct bytes *b, const char *s);
void mp_strn(struct bytes *b, const void *s, size_t n);
void mp_bin(struct bytes *b, const void *p, size_t n);
void mp_uint(struct bytes *b, uint64_t v);
void mp_int(struct bytes *b, int64_t v);
void mp_true(struct bytes *b);

/* --- requests (request.c): whole messages, from the delimiter on --- */

/* A request without a session; with the key unless it is NULL. */
void put_simple(struct bytes *b, const char *operation, const char *key, uint64_t id);
void put_hello(struct bytes *b, const char *key, uint64_t id);
void put_attach(struct bytes *b, const char *key, const uint8_t *token, uint64_t id);
/* A header up to its args: the caller must append nargs values. */
struct bytes call_header(const char *function, const uint8_t *token, uint64_t id, unsigned nargs);
void put_factory(struct bytes *b, const uint8_t *token, uint64_t id);
void put_add(struct bytes *b, const uint8_t *token, uint64_t id, uint64_t index, const float *x,
             size_t n);
void put_search(struct bytes *b, const uint8_t *token, uint64_t id, uint64_t index, const float *x,
                size_t n, size_t k);
/* A k-means on D numbers, repeated nredo times, some ms each, takes two calls.  This is the first;
 * its reply has a clustering. */
void put_clustering(struct bytes *b, const uint8_t *token, uint64_t id, unsigned nredo);
void put_train(struct bytes *b, const uint8_t *token, uint64_t id, uint64_t clustering,
               uint64_t index, const float *x, size_t n);
/* The same numbers for the same seed. */
float *vectors(size_t n, uint32_t seed);

/* --- connections (peer.c) --- */

struct peer {
    int fd;
    int local;  /* over a Unix socket */
    int placed; /* attack_idle: it got its reply */
    uint8_t *in;
    size_t have, at, room;
    int greeted;     /* the server's greeting has been read */
    unsigned pongs;  /* PONGs seen */
    char pong[64];   /* context of the last one */
    char error[256]; /* reason of an ERROR command */
};

struct reply {
    int n;
    struct {
        uint8_t *p;
        size_t n;
    } frame[FRAMES_MAX];
};

/* Connects and sends nothing.  Returns 0, or -1 on failure. */
int peer_connect(struct peer *p, const char *endpoint);
/* Connects and shakes hands as a DEALER; libzmq's ROUTER accepts no message before that.  Returns
 * 0, or -1 on failure; peer_open_as does it with an identity. */
int peer_open(struct peer *p, const char *endpoint);
int peer_open_as(struct peer *p, const char *endpoint, const void *identity, size_t n);
/* Reads until READY has come. */
int peer_shake(struct peer *p);
/* Opens, says hello, and stores the session's token.  Calls die() if hello is refused. */
void peer_hello(struct peer *p, const char *endpoint, const char *key, uint8_t *token);
void peer_close(struct peer *p);
void peer_reset(struct peer *p); /* RST instead of FIN */
/* Sends all bytes.  Returns 0, or -1 if the server has closed or accepts nothing for WAIT_MS. */
int peer_send(struct peer *p, const struct bytes *b);
int peer_send_raw(struct peer *p, const void *data, size_t n);
/* Sends as much as possible without waiting.  Returns the number of bytes, or -1 if the server has
 * closed. */
long peer_send_now(struct peer *p, const void *data, size_t n);
/* Receives the next message.  Returns 1, 0 if none came in time, or -1 at the end of the connection
 * or for bad framing. */
int peer_recv(struct peer *p, struct reply *r, int ms);
/* Reads and drops until the connection ends.  Returns 0, or -1 if it does not end in time. */
int peer_drain(struct peer *p, int ms);
/* Has the server closed the connection?  Does not wait. */
int peer_closed(struct peer *p);
/* Sends a request and receives its one reply.  Calls die() if none comes. */
void peer_ask(struct peer *p, struct bytes *b, struct reply *r);

void reply_free(struct reply *r);
int reply_ok(const struct reply *r);
uint64_t reply_id(const struct reply *r); /* UINT64_MAX if it has none */
uint64_t reply_handle(const struct reply *r);
/* Copies the string or bytes of that key.  Returns their length, or -1. */
long reply_str(const struct reply *r, const char *key, char *out, size_t room);

/* Makes a Flat index with n vectors in the session.  Returns its handle. */
uint64_t make_index(struct peer *p, const uint8_t *token, size_t n, uint32_t seed);

/* Raises the limit on descriptors as far as possible.  Returns the new limit. */
long raise_nofile(void);

/* --- the attacks; main.c's table describes their arguments --- */

int attack_identity(char **argv);
int attack_flood(char **argv);
int attack_huge(char **argv);
int attack_announce(char **argv);
int attack_silent(char **argv);
int attack_places(char **argv);
int attack_idle(char **argv);
int attack_slow(char **argv);
int attack_cut(char **argv);
int attack_storm(char **argv);
int attack_keyless(char **argv);
int attack_first(char **argv);
int attack_refused(char **argv);
int attack_fds(char **argv);
int attack_strangers(char **argv);
int attack_pipeline(char **argv);
int attack_pong(char **argv);
int attack_tokens(char **argv);
int attack_mutate(char **argv);
int attack_victim(char **argv);
int attack_watch(char **argv);
int attack_cpu(char **argv);
int attack_requests(char **argv);

#endif
