/* SPDX-License-Identifier: Apache-2.0 */
/* First messages that have no key, an invalid key or too many bytes; and refused handshakes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "attack.h"

enum { CLOSED_MS = 40000, PAD = 2 << 20 };

static void message(struct bytes *b, const struct bytes *header, size_t payload)
{
    static const uint8_t zeros[PAD];
    put_frame(b, MORE, "", 0);
    put_frame(b, payload ? MORE : 0, header->p, header->n);
    if (payload)
        put_frame(b, 0, zeros, payload);
}

/* The message must be refused.  After that the server may close the connection, or serve the next
 * message, which has the key. */
static void refused(const char *endpoint, const char *what, struct bytes *first, const char *key)
{
    struct peer p;
    struct reply r;
    char kind[32] = "";
    if (peer_open(&p, endpoint) != 0)
        die("cannot connect to %s: %s", endpoint, strerror(errno));
    put_hello(first, key, 77);
    peer_send(&p, first);
    bytes_free(first);
    int rc = peer_recv(&p, &r, CLOSED_MS);
    if (rc == 1) {
        if (reply_ok(&r))
            fault("%s was answered", what);
        reply_str(&r, "kind", kind, sizeof kind);
        reply_free(&r);
        rc = peer_recv(&p, &r, CLOSED_MS);
    }
    if (rc == 0)
        fault("%s: no reply, and the connection is still open", what);
    if (rc == 1) {
        if (!reply_ok(&r) || reply_id(&r) != 77)
            fault("%s: the reply to the next request is wrong", what);
        reply_free(&r);
    }
    peer_close(&p);
    printf("%s: %s\n", what, *kind ? kind : "closed");
}

static void operations(const char *endpoint, const char *key)
{
    static const char *const names[] = {
        "hello",       "attach", "stats",    "bye",     "list",   "upload",
        "download",    "save",   "load",     "publish", "open",   "unpublish",
        "load_stream", "feed",   "shutdown", "",        "search", "faiss_index_factory",
    };
    uint8_t token[TOKEN] = {1, 2, 3};
    struct bytes b = {0};
    char what[64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(what, sizeof what, "%s without a key", names[i]);
        put_simple(&b, names[i], NULL, 1);
        refused(endpoint, what, &b, key);
        snprintf(what, sizeof what, "%s with a wrong key", names[i]);
        put_simple(&b, names[i], "key", 1);
        refused(endpoint, what, &b, key);
    }
    put_attach(&b, NULL, token, 1);
    refused(endpoint, "attach with a session that is none", &b, key);
    put_factory(&b, token, 1);
    refused(endpoint, "a function with a session that is none", &b, key);
    put_simple(&b, "ping", "key", 1);
    refused(endpoint, "ping with a wrong key", &b, key);
}

/* The beginning of hello.  The caller packs `more` pairs, with an api_key that is not a string. */
static struct bytes hello_with(unsigned more)
{
    struct bytes h = {0};
    mp_map(&h, 2 + more);
    mp_str(&h, "operation");
    mp_str(&h, "hello");
    mp_str(&h, "protocol");
    mp_uint(&h, 1);
    return h;
}

static void odd(const char *endpoint, const char *what, struct bytes *header, const char *key)
{
    struct bytes b = {0};
    message(&b, header, 0);
    bytes_free(header);
    refused(endpoint, what, &b, key);
}

static void odd_keys(const char *endpoint, const char *key)
{
    size_t n = strlen(key);
    struct bytes h = hello_with(1), longer = {0};
    mp_str(&h, "api_key");
    mp_uint(&h, 1);
    odd(endpoint, "a key that is a number", &h, key);
    h = hello_with(1);
    mp_str(&h, "api_key");
    mp_array(&h, 1);
    mp_str(&h, key);
    odd(endpoint, "a key in a list", &h, key);
    h = hello_with(1);
    mp_str(&h, "api_key");
    mp_strn(&h, key, n - 1);
    odd(endpoint, "a key without its end", &h, key);
    put(&longer, key, n);
    put(&longer, "\0x", 2);
    h = hello_with(1);
    mp_str(&h, "api_key");
    mp_strn(&h, longer.p, n + 1);
    odd(endpoint, "a key and a NUL", &h, key);
    h = hello_with(1);
    mp_str(&h, "api_key");
    mp_strn(&h, longer.p, n + 2);
    odd(endpoint, "a key, a NUL and more", &h, key);
    bytes_free(&longer);
    h = hello_with(1);
    mp_str(&h, "api_key");
    mp_strn(&h, "", 0);
    odd(endpoint, "an empty key", &h, key);
    h = hello_with(0);
    put(&h, "\xdf\xff\xff\xff\xff", 5);
    odd(endpoint, "something behind the map", &h, key);
    static const char *const bytes[] = {"",
                                        "\x80",
                                        "\x90",
                                        "\x01",
                                        "\xc1",
                                        "\xdf\xff\xff\xff\xff",
                                        "\x81\xdb\xff\xff\xff\xff",
                                        "\x81\xa9operation\x91"};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        put(&h, bytes[i], strlen(bytes[i]));
        odd(endpoint, "a header that makes no sense", &h, key);
    }
}

/* Operations that are answered without a key, then hello with a key on the same connection. */
static void ping_first(const char *endpoint, const char *key)
{
    static const char *const names[] = {"ping", "health", "ping"};
    struct peer p;
    struct bytes b = {0};
    struct reply r;
    if (peer_open(&p, endpoint) != 0)
        die("cannot connect to %s: %s", endpoint, strerror(errno));
    for (int i = 0; i < 3; i++) {
        put_simple(&b, names[i], NULL, 1);
        peer_ask(&p, &b, &r);
        if (!reply_ok(&r))
            fault("%s without a key was refused", names[i]);
        reply_free(&r);
    }
    put_hello(&b, key, 2);
    peer_ask(&p, &b, &r);
    if (!reply_ok(&r))
        fault("hello after ping was refused");
    reply_free(&r);
    peer_close(&p);
}

int attack_keyless(char **argv)
{
    operations(argv[0], argv[1]);
    odd_keys(argv[0], argv[1]);
    ping_first(argv[0], argv[1]);
    return 0;
}

/* --- sizes --- */

/* Returns whether a first message with the key and that many more bytes is answered with ok. */
static int first(const char *endpoint, const char *key, size_t pad, size_t payload)
{
    static char text[PAD];
    struct peer p;
    struct reply r;
    struct bytes b = {0}, h = hello_with(key ? 2 : 1);
    memset(text, 'x', pad);
    mp_str(&h, "version");
    mp_strn(&h, text, pad);
    if (key) {
        mp_str(&h, "api_key");
        mp_str(&h, key);
    }
    message(&b, &h, payload);
    bytes_free(&h);
    if (peer_open(&p, endpoint) != 0)
        die("cannot connect to %s: %s", endpoint, strerror(errno));
    peer_send(&p, &b);
    bytes_free(&b);
    int rc = peer_recv(&p, &r, CLOSED_MS), ok = rc == 1 && reply_ok(&r);
    if (rc == 1)
        reply_free(&r);
    if (!ok && peer_drain(&p, CLOSED_MS) != 0)
        fault("a first message with %zu + %zu bytes: the connection is still open", pad, payload);
    peer_close(&p);
    return ok;
}

int attack_first(char **argv)
{
    static const size_t sizes[] = {100, 1000, 3000, 9000, 60000, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int header = first(argv[0], argv[1], sizes[i], 0);
        int frame = first(argv[0], argv[1], 1, sizes[i]);
        int fits = sizes[i] < (argv[1] ? 4000u : 65000u);
        if (header != fits)
            fault("a header of %zu bytes was %s", sizes[i], header ? "accepted" : "refused");
        /* hello ignores a payload, so only the limit matters. */
        if (frame && argv[1] && sizes[i] > 8192)
            fault("a frame of %zu bytes was accepted", sizes[i]);
        printf("%zu: header %s, frame %s\n", sizes[i], header ? "accepted" : "refused",
               frame ? "accepted" : "refused");
    }
    return 0;
}

/* --- refused handshakes --- */

/* The server must refuse, with a reason if `reason` is set, and never send a reply. */
static void no_way_in(const char *endpoint, const char *what, const struct bytes *opening,
                      int reason)
{
    struct peer p;
    struct reply r;
    struct bytes b = {0};
    int rc;
    if (peer_connect(&p, endpoint) != 0)
        die("cannot connect to %s: %s", endpoint, strerror(errno));
    put(&b, opening->p, opening->n);
    put_simple(&b, "ping", NULL, 1);
    peer_send(&p, &b);
    shutdown(p.fd, SHUT_WR); /* otherwise the server would wait for the rest */
    while ((rc = peer_recv(&p, &r, CLOSED_MS)) == 1) {
        fault("%s: a request was answered", what);
        reply_free(&r);
    }
    if (rc == 0)
        fault("%s: the connection is still open", what);
    if (reason && !*p.error)
        fault("%s: refused without a reason", what);
    printf("%s: %s\n", what, *p.error ? p.error : "closed");
    peer_close(&p);
    bytes_free(&b);
}

static void no_way(const char *endpoint, const char *what, const void *data, size_t n)
{
    struct bytes b = {0};
    put(&b, data, n);
    no_way_in(endpoint, what, &b, 0);
    bytes_free(&b);
}

static void after_greeting(const char *endpoint, const char *what, const void *data, size_t n,
                           int reason)
{
    struct bytes b = {0};
    put_greeting(&b, 3, "NULL");
    put(&b, data, n);
    no_way_in(endpoint, what, &b, reason);
    bytes_free(&b);
}

static void mechanisms(const char *endpoint)
{
    static const char *const names[] = {"PLAIN", "CURVE", "GSSAPI", "NULLX", "null", ""};
    char what[64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct bytes b = {0};
        snprintf(what, sizeof what, "mechanism '%s'", names[i]);
        put_greeting(&b, 3, names[i]);
        put_command(&b, "HELLO", "\5admin\5admin", 12);
        no_way_in(endpoint, what, &b, 1);
        bytes_free(&b);
    }
}

static void socket_types(const char *endpoint)
{
    static const char *const types[] = {"PUB",  "SUB",  "XPUB", "XSUB",     "PUSH",
                                        "PULL", "PAIR", "REP",  "NONSENSE", ""};
    char what[64];
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct bytes b = {0};
        snprintf(what, sizeof what, "socket type '%s'", types[i]);
        put_greeting(&b, 3, "NULL");
        put_ready(&b, types[i], NULL, 0);
        no_way_in(endpoint, what, &b, 1);
        bytes_free(&b);
    }
}

int attack_refused(char **argv)
{
    const char *endpoint = argv[0];
    no_way(endpoint, "ZMTP 1.0", "\1\0\5hello", 8);
    no_way(endpoint, "ZMTP 2.0", "\xff\0\0\0\0\0\0\0\1\x7f\1\5\0\0", 14);
    no_way(endpoint, "HTTP", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 36);
    no_way(endpoint, "TLS", "\x16\3\1\2\0\1\0\1\xfc\3\3", 11);
    char many[200] = "";
    no_way(endpoint, "zeros", many, sizeof many);
    memset(many, 0xff, sizeof many);
    no_way(endpoint, "ones", many, sizeof many);
    mechanisms(endpoint);
    socket_types(endpoint);
    after_greeting(endpoint, "a message before READY", "\1\0\0\1\x80", 5, 0);
    after_greeting(endpoint, "another command before READY", "\4\6\5XYZZY", 8, 0);
    after_greeting(endpoint, "READY without a socket type", "\4\6\5READY", 8, 1);
    after_greeting(endpoint, "a property without its name", "\4\7\5READY\x20", 9, 1);
    after_greeting(endpoint, "a property without its value",
                   "\4\x16\5READY\x0bSocket-Type\xff\xff\xff\xff", 24, 1);
    after_greeting(endpoint, "a command without a name", "\4\0", 2, 0);
    after_greeting(endpoint, "a name that is longer than its command", "\4\2\xffR", 4, 0);
    after_greeting(endpoint, "a peer that gives up", "\4\x0b\5ERROR\4nope", 13, 0);
    return 0;
}
