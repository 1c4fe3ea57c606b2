/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

int faults;

_Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fputs("attack: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _exit(2);
}

void fault(const char *format, ...)
{
    va_list args;
    if (faults++ >= 20)
        return;
    va_start(args, format);
    fputs("fault: ", stdout);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

void hold(void)
{
    char c;
    puts("holding");
    fflush(stdout);
    while (read(0, &c, 1) > 0)
        ;
}

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint32_t random32(void)
{
    static uint64_t state;
    if (!state) {
        const char *seed = getenv("ATTACK_SEED");
        state = seed ? strtoull(seed, NULL, 0) : 1;
        state = state * 0x9e3779b97f4a7c15u + 1;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

long raise_nofile(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return 1024;
    struct rlimit more = {1 << 16, 1 << 16};
    if (r.rlim_max < more.rlim_max && setrlimit(RLIMIT_NOFILE, &more) == 0)
        return 1 << 16;
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    return (long)r.rlim_cur;
}

uint64_t make_index(struct peer *p, const uint8_t *token, size_t n, uint32_t seed)
{
    struct bytes b = {0};
    struct reply r;
    float *x = vectors(n, seed);
    put_factory(&b, token, 2);
    peer_ask(p, &b, &r);
    uint64_t index = reply_handle(&r);
    if (!index)
        die("faiss_index_factory failed");
    reply_free(&r);
    put_add(&b, token, 3, index, x, n);
    peer_ask(p, &b, &r);
    if (!reply_ok(&r))
        die("faiss_Index_add failed");
    reply_free(&r);
    free(x);
    return index;
}

static const struct {
    const char *name;
    int nargs, more; /* required, and optional arguments */
    int (*run)(char **argv);
    const char *help;
} attacks[] = {
    {"identity", 3, 0, attack_identity,
     "ENDPOINT KEY N: identities that a ROUTER assigns, and those of other peers"},
    {"flood", 3, 2, attack_flood,
     "ENDPOINT KIND MIB [KEY [N]]: more | empty | messages | commands | pings"},
    {"huge", 1, 1, attack_huge, "ENDPOINT [KEY]: frames that announce 2^31 to 2^64 - 1 bytes"},
    {"announce", 2, 1, attack_announce, "ENDPOINT N [KEY]: N times 8 MiB announced, 75 bytes sent"},
    {"silent", 2, 0, attack_silent,
     "ENDPOINT N: connections that stop at each step of the handshake"},
    {"places", 2, 0, attack_places,
     "ENDPOINT N: N connections without a key: the oldest is closed"},
    {"idle", 3, 1, attack_idle, "ENDPOINT N LEAST [KEY]: N idle connections, LEAST are made"},
    {"slow", 2, 0, attack_slow, "ENDPOINT KEY: byte by byte"},
    {"cut", 2, 0, attack_cut,
     "ENDPOINT KEY: a valid conversation, cut off after each of its bytes"},
    {"storm", 2, 0, attack_storm, "ENDPOINT N: N connections that come and go at once"},
    {"keyless", 2, 0, attack_keyless,
     "ENDPOINT KEY: first messages without a key, or with invalid ones"},
    {"first", 1, 1, attack_first, "ENDPOINT [KEY]: how large the first message may be"},
    {"refused", 1, 0, attack_refused, "ENDPOINT: other versions, mechanisms and socket types"},
    {"fds", 3, 0, attack_fds, "ENDPOINT KEY N: unexpected descriptors"},
    {"strangers", 3, 0, attack_strangers, "ENDPOINT KEY N: large results that are not read"},
    {"pipeline", 3, 0, attack_pipeline,
     "ENDPOINT KEY N: many requests at once, beside one at a time"},
    {"pong", 2, 0, attack_pong, "ENDPOINT KEY: PING during a request"},
    {"tokens", 3, 0, attack_tokens, "ENDPOINT KEY KEY2: sessions of another tenant"},
    {"mutate", 4, 0, attack_mutate, "ENDPOINT KEY N SEED: N requests that are nearly right"},
    {"victim", 2, 0, attack_victim, "ENDPOINT KEY: valid requests until the input ends"},
    {"watch", 1, 30, attack_watch, "PID...: memory and descriptors until the input ends"},
    {"cpu", 2, 30, attack_cpu, "SECONDS PID...: processor time used meanwhile, in ms"},
    {"requests", 3, 0, attack_requests, "ENDPOINT KEY N: N small requests, one after the other"},
};

int main(int argc, char **argv)
{
    size_t n = sizeof attacks / sizeof *attacks;
    signal(SIGPIPE, SIG_IGN);
    raise_nofile();
    for (size_t i = 0; argc > 1 && i < n; i++)
        if (strcmp(argv[1], attacks[i].name) == 0 && argc - 2 >= attacks[i].nargs &&
            argc - 2 <= attacks[i].nargs + attacks[i].more)
            return attacks[i].run(argv + 2) != 0 || faults != 0;
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "attack %s %s\n", attacks[i].name, attacks[i].help);
    return 2;
}
