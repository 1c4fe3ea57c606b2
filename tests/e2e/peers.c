/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordinary ZeroMQ peers: libzmq's own sockets, used as by a client that was written from
 * proto/wire.md alone.
 *
 *     peers req ENDPOINT KEY N         a REQ: hello, N calls, bye
 *     peers dealer ENDPOINT KEY N      a DEALER: N calls before the first reply is read
 *     peers several ENDPOINT KEY N     N sockets of one process, in turn
 *     peers heartbeat ENDPOINT KEY     PING every 200 ms while a request takes long
 *     peers between ENDPOINT KEY N     N requests of several large frames, and PING all the time
 *     peers reconnect ENDPOINT KEY     waits until the server closes, and asks again
 *     peers refused ENDPOINT TYPE      the server must refuse a socket of that type, or, if
 *                                      TYPE is PLAIN or CURVE, a DEALER with that mechanism
 *
 * Prints what happened, and exits with status 1 if it is not as expected.
 */
#include <errno.h>
#include <msgpack.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { D = 16, TOKEN = 16, WAIT_MS = 60000 };

static void *context;

static _Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("peers: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _exit(1);
}

static void *open_socket(int type)
{
    int wait = WAIT_MS, linger = 0, ipv6 = 1;
    void *s = zmq_socket(context, type);
    if (!s)
        die("zmq_socket: %s", zmq_strerror(errno));
    zmq_setsockopt(s, ZMQ_RCVTIMEO, &wait, sizeof wait);
    zmq_setsockopt(s, ZMQ_SNDTIMEO, &wait, sizeof wait);
    zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(s, ZMQ_IPV6, &ipv6, sizeof ipv6);
    return s;
}

static void connect_to(void *s, const char *endpoint)
{
    if (zmq_connect(s, endpoint) != 0)
        die("%s: %s", endpoint, zmq_strerror(errno));
}

/* --- requests --- */

struct client {
    void *s;
    int req; /* a REQ, which adds the delimiter itself */
    const char *key;
    char token[TOKEN];
    uint64_t index;
};

static void str(msgpack_packer *pk, const char *text)
{
    msgpack_pack_str(pk, strlen(text));
    msgpack_pack_str_body(pk, text, strlen(text));
}

/* Begins a header with the session, or else the key; the caller packs `more` pairs. */
static void begin(struct client *c, msgpack_packer *pk, const char *operation, uint64_t id,
                  int session, unsigned more)
{
    msgpack_pack_map(pk, 3 + more);
    str(pk, "operation");
    str(pk, operation);
    str(pk, "request_id");
    msgpack_pack_uint64(pk, id);
    str(pk, session ? "session" : "api_key");
    if (session) {
        msgpack_pack_bin(pk, TOKEN);
        msgpack_pack_bin_body(pk, c->token, TOKEN);
    } else {
        str(pk, c->key);
    }
}

static void send_it(struct client *c, const msgpack_sbuffer *header, const void *x, size_t n)
{
    if ((!c->req && zmq_send(c->s, "", 0, ZMQ_SNDMORE) < 0) ||
        zmq_send(c->s, header->data, header->size, x ? ZMQ_SNDMORE : 0) < 0 ||
        (x && zmq_send(c->s, x, n, 0) < 0))
        die("send: %s", zmq_strerror(errno));
}

struct reply {
    uint64_t id, handle;
    int ok;
    char session[TOKEN], message[200];
    int frames;
};

static int named(const msgpack_object *key, const char *name)
{
    return key->type == MSGPACK_OBJECT_STR && key->via.str.size == strlen(name) &&
           memcmp(key->via.str.ptr, name, key->via.str.size) == 0;
}

static void read_header(struct reply *r, const void *data, size_t n)
{
    msgpack_unpacked u;
    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, data, n, NULL) != MSGPACK_UNPACK_SUCCESS ||
        u.data.type != MSGPACK_OBJECT_MAP)
        die("a reply's header is not a map");
    for (uint32_t i = 0; i < u.data.via.map.size; i++) {
        const msgpack_object *key = &u.data.via.map.ptr[i].key, *v = &u.data.via.map.ptr[i].val;
        if (named(key, "status"))
            r->ok = named(v, "ok");
        else if (named(key, "request_id"))
            r->id = v->via.u64;
        else if (named(key, "session") && v->via.bin.size == TOKEN)
            memcpy(r->session, v->via.bin.ptr, TOKEN);
        else if (named(key, "message"))
            snprintf(r->message, sizeof r->message, "%.*s", (int)v->via.str.size, v->via.str.ptr);
        else if (named(key, "out")) {
            while (v->type == MSGPACK_OBJECT_ARRAY && v->via.array.size)
                v = v->via.array.ptr;
            r->handle = v->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? v->via.u64 : 0;
        }
    }
    msgpack_unpacked_destroy(&u);
}

/* Receives the next reply.  Calls die() if none comes. */
static struct reply receive(struct client *c)
{
    struct reply r = {.id = UINT64_MAX};
    zmq_msg_t frame;
    int more = 1;
    for (int i = c->req; more; i++) {
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, c->s, 0) < 0)
            die("no reply: %s", zmq_strerror(errno));
        if (i == 0 && zmq_msg_size(&frame) != 0)
            die("a reply has no delimiter");
        if (i == 1)
            read_header(&r, zmq_msg_data(&frame), zmq_msg_size(&frame));
        r.frames = i;
        more = zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
    return r;
}

static struct reply must(struct client *c, const msgpack_sbuffer *header, const void *x, size_t n)
{
    send_it(c, header, x, n);
    struct reply r = receive(c);
    if (!r.ok)
        die("request %llu: %s", (unsigned long long)r.id, r.message);
    return r;
}

/* Says hello, with protocol 1. */
static void hello(struct client *c)
{
    msgpack_sbuffer b;
    msgpack_packer pk;
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
    begin(c, &pk, "hello", 1, 0, 1);
    str(&pk, "protocol");
    msgpack_pack_uint64(&pk, 1);
    struct reply r = must(c, &b, NULL, 0);
    memcpy(c->token, r.session, TOKEN);
    msgpack_sbuffer_destroy(&b);
}

static void make_index(struct client *c)
{
    msgpack_sbuffer b;
    msgpack_packer pk;
    float x[4 * D] = {0};
    for (int i = 0; i < 4 * D; i++)
        x[i] = (float)(i % 7);
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
    begin(c, &pk, "faiss_index_factory", 2, 1, 1);
    str(&pk, "args");
    msgpack_pack_array(&pk, 4);
    msgpack_pack_true(&pk);
    msgpack_pack_int(&pk, D);
    str(&pk, "Flat");
    msgpack_pack_int(&pk, 1);
    c->index = must(c, &b, NULL, 0).handle;
    msgpack_sbuffer_clear(&b);
    begin(c, &pk, "faiss_Index_add", 3, 1, 1);
    str(&pk, "args");
    msgpack_pack_array(&pk, 3);
    msgpack_pack_uint64(&pk, c->index);
    msgpack_pack_int(&pk, 4);
    msgpack_pack_int(&pk, 0);
    must(c, &b, x, sizeof x);
    msgpack_sbuffer_destroy(&b);
}

static void send_search(struct client *c, uint64_t id)
{
    static const float x[D];
    msgpack_sbuffer b;
    msgpack_packer pk;
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
    begin(c, &pk, "faiss_Index_search", id, 1, 1);
    str(&pk, "args");
    msgpack_pack_array(&pk, 6);
    msgpack_pack_uint64(&pk, c->index);
    msgpack_pack_int(&pk, 1);
    msgpack_pack_int(&pk, 0);
    msgpack_pack_int(&pk, 2);
    msgpack_pack_true(&pk);
    msgpack_pack_true(&pk);
    send_it(c, &b, x, sizeof x);
    msgpack_sbuffer_destroy(&b);
}

static void expect_search(struct client *c, uint64_t id)
{
    struct reply r = receive(c);
    if (!r.ok || r.id != id || r.frames != 3)
        die("a reply to request %llu with %d frames instead of %llu: %s", (unsigned long long)r.id,
            r.frames, (unsigned long long)id, r.message);
}

static void simple(struct client *c, const char *operation, uint64_t id, int session)
{
    msgpack_sbuffer b;
    msgpack_packer pk;
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
    begin(c, &pk, operation, id, session, 0);
    must(c, &b, NULL, 0);
    msgpack_sbuffer_destroy(&b);
}

static struct client open_client(const char *endpoint, const char *key, int type)
{
    struct client c = {.s = open_socket(type), .req = type == ZMQ_REQ, .key = key};
    connect_to(c.s, endpoint);
    hello(&c);
    make_index(&c);
    return c;
}

/* --- what the peers do --- */

static void req(const char *endpoint, const char *key, int n)
{
    struct client c = open_client(endpoint, key, ZMQ_REQ);
    for (int i = 0; i < n; i++) {
        send_search(&c, 100 + (uint64_t)i);
        expect_search(&c, 100 + (uint64_t)i);
    }
    simple(&c, "ping", 7, 0);
    simple(&c, "health", 8, 0);
    simple(&c, "stats", 9, 0);
    simple(&c, "bye", 10, 1);
    zmq_close(c.s);
    printf("%d calls\n", n);
}

static void dealer(const char *endpoint, const char *key, int n)
{
    struct client c = open_client(endpoint, key, ZMQ_DEALER);
    int wait = 100;
    char byte;
    for (int i = 0; i < n; i++)
        send_search(&c, 100 + (uint64_t)i);
    for (int i = 0; i < n; i++)
        expect_search(&c, 100 + (uint64_t)i);
    zmq_setsockopt(c.s, ZMQ_RCVTIMEO, &wait, sizeof wait);
    if (zmq_recv(c.s, &byte, 1, 0) >= 0)
        die("more replies than requests");
    zmq_close(c.s);
    printf("%d calls in order\n", n);
}

static void several(const char *endpoint, const char *key, int n)
{
    struct client *all = calloc((size_t)n, sizeof *all);
    for (int i = 0; i < n; i++)
        all[i] = open_client(endpoint, key, i % 2 ? ZMQ_REQ : ZMQ_DEALER);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < n; i++)
            send_search(&all[i], (uint64_t)(1000 * i + round));
        for (int i = n - 1; i >= 0; i--)
            expect_search(&all[i], (uint64_t)(1000 * i + round));
    }
    for (int i = 0; i < n; i++)
        zmq_close(all[i].s);
    free(all);
    printf("%d sockets\n", n);
}

/* --- events of a connection --- */

static void *monitor(void *s)
{
    static int number;
    char name[40];
    snprintf(name, sizeof name, "inproc://monitor-%d", number++);
    if (zmq_socket_monitor(s, name, ZMQ_EVENT_ALL) != 0)
        die("zmq_socket_monitor: %s", zmq_strerror(errno));
    void *m = open_socket(ZMQ_PAIR);
    connect_to(m, name);
    return m;
}

/* The next event, or 0 if there is none in time. */
static int event(void *m, int ms, int *value)
{
    uint8_t data[6];
    uint16_t number;
    int more = 1;
    zmq_setsockopt(m, ZMQ_RCVTIMEO, &ms, sizeof ms);
    if (zmq_recv(m, data, sizeof data, 0) != sizeof data)
        return 0;
    memcpy(&number, data, 2);
    memcpy(value, data + 2, 4);
    for (size_t size = sizeof more; more;) {
        char address[256];
        if (zmq_recv(m, address, sizeof address, 0) < 0)
            break;
        zmq_getsockopt(m, ZMQ_RCVMORE, &more, &size);
    }
    return number;
}

/* Waits for one of the wanted events and returns it.  Calls die() if none comes in time. */
static int wait_event(void *m, int wanted, const char *name)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        int value, e = event(m, 1000, &value);
        if (e & wanted)
            return e;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec < WAIT_MS / 1000);
    die("no event: %s", name);
}

/* Requests a k-means on D numbers, repeated nredo times, without waiting for the reply. */
static void send_train(struct client *c, int nredo)
{
    enum { POINTS = 2000 };
    /* FaissClusteringParameters: niter, nredo, ..., min and max points, seed, block size. */
    struct {
        int niter, nredo, flags[5], min, max, seed;
        size_t block;
    } p = {25, nredo, {0}, 39, 256, 1234, 32768};
    static float x[POINTS * D];
    msgpack_sbuffer b;
    msgpack_packer pk;
    for (int i = 0; i < POINTS * D; i++)
        x[i] = (float)((i * 7919) % 1000);
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
    begin(c, &pk, "faiss_Clustering_new_with_params", 5, 1, 1);
    str(&pk, "args");
    msgpack_pack_array(&pk, 4);
    msgpack_pack_true(&pk);
    msgpack_pack_int(&pk, D);
    msgpack_pack_int(&pk, 32);
    msgpack_pack_int(&pk, 0);
    uint64_t clustering = must(c, &b, &p, sizeof p).handle;
    msgpack_sbuffer_clear(&b);
    begin(c, &pk, "faiss_Clustering_train", 6, 1, 1);
    str(&pk, "args");
    msgpack_pack_array(&pk, 4);
    msgpack_pack_uint64(&pk, clustering);
    msgpack_pack_int(&pk, POINTS);
    msgpack_pack_int(&pk, 0);
    msgpack_pack_uint64(&pk, c->index);
    send_it(c, &b, x, sizeof x);
    msgpack_sbuffer_destroy(&b);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Returns whether libzmq has closed the connection, as it does if no PONG arrives in time. */
static int disconnected(void *m)
{
    int value, e, n = 0;
    while ((e = event(m, 0, &value)) != 0)
        n += e == ZMQ_EVENT_DISCONNECTED;
    return n;
}

static void heartbeat(const char *endpoint, const char *key)
{
    enum { PING_MS = 200, TIMEOUT_MS = 3000, LONG = 5 };
    int ivl = PING_MS, timeout = TIMEOUT_MS;
    struct client c = {.s = open_socket(ZMQ_DEALER), .key = key};
    zmq_setsockopt(c.s, ZMQ_HEARTBEAT_IVL, &ivl, sizeof ivl);
    zmq_setsockopt(c.s, ZMQ_HEARTBEAT_TIMEOUT, &timeout, sizeof timeout);
    void *m = monitor(c.s);
    connect_to(c.s, endpoint);
    hello(&c);
    make_index(&c);
    double took = 0;
    for (int nredo = 20; took < LONG; nredo *= took < LONG / 8.0 ? 4 : 2) {
        zmq_pollitem_t item = {.socket = c.s, .events = ZMQ_POLLIN};
        took = seconds();
        send_train(&c, nredo);
        while (zmq_poll(&item, 1, 100) == 0) {
            if (disconnected(m))
                die("the connection was lost while a request was under way, after %.1f s",
                    seconds() - took);
            if (seconds() - took > WAIT_MS / 1000)
                die("no reply to a long request");
        }
        struct reply r = receive(&c);
        if (!r.ok)
            die("train: %s", r.message);
        took = seconds() - took;
    }
    printf("a request took %d times as long as a heartbeat may\n", (int)(took * 1000 / TIMEOUT_MS));
    zmq_close(m);
    zmq_close(c.s);
}

/* libzmq also sends PING between the frames of a message. */
static void between(const char *endpoint, const char *key, int n)
{
    enum { VECTORS = 4000, PING_MS = 1, TIMEOUT_MS = 20000 };
    static float x[VECTORS * D];
    static int64_t ids[VECTORS];
    int ivl = PING_MS, timeout = TIMEOUT_MS;
    struct client c = {.s = open_socket(ZMQ_DEALER), .key = key};
    msgpack_sbuffer b;
    msgpack_packer pk;
    zmq_setsockopt(c.s, ZMQ_HEARTBEAT_IVL, &ivl, sizeof ivl);
    zmq_setsockopt(c.s, ZMQ_HEARTBEAT_TIMEOUT, &timeout, sizeof timeout);
    void *m = monitor(c.s);
    connect_to(c.s, endpoint);
    hello(&c);
    make_index(&c);
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
    for (int i = 0; i < n; i++) {
        /* A Flat index does not accept ids, so the reply is an error of FAISS. */
        msgpack_sbuffer_clear(&b);
        begin(&c, &pk, "faiss_Index_add_with_ids", 100 + (uint64_t)i, 1, 1);
        str(&pk, "args");
        msgpack_pack_array(&pk, 4);
        msgpack_pack_uint64(&pk, c.index);
        msgpack_pack_int(&pk, VECTORS);
        msgpack_pack_int(&pk, 0);
        msgpack_pack_int(&pk, 1);
        if (zmq_send(c.s, "", 0, ZMQ_SNDMORE) < 0 ||
            zmq_send(c.s, b.data, b.size, ZMQ_SNDMORE) < 0 ||
            zmq_send(c.s, x, sizeof x, ZMQ_SNDMORE) < 0 || zmq_send(c.s, ids, sizeof ids, 0) < 0)
            die("send: %s", zmq_strerror(errno));
        zmq_pollitem_t item = {.socket = c.s, .events = ZMQ_POLLIN};
        while (zmq_poll(&item, 1, 100) == 0)
            if (disconnected(m))
                die("the connection was lost during request %d", i);
        struct reply r = receive(&c);
        if (r.id != 100 + (uint64_t)i)
            die("a reply to request %llu instead of %d", (unsigned long long)r.id, 100 + i);
    }
    msgpack_sbuffer_destroy(&b);
    printf("%d requests\n", n);
    zmq_close(m);
    zmq_close(c.s);
}

static void reconnect(const char *endpoint, const char *key)
{
    struct client c = {.s = open_socket(ZMQ_DEALER), .key = key};
    void *m = monitor(c.s);
    connect_to(c.s, endpoint);
    wait_event(m, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, "connected");
    wait_event(m, ZMQ_EVENT_DISCONNECTED, "closed for saying nothing");
    wait_event(m, ZMQ_EVENT_HANDSHAKE_SUCCEEDED, "connected again");
    hello(&c);
    make_index(&c);
    send_search(&c, 100);
    expect_search(&c, 100);
    puts("served after a reconnect");
    zmq_close(m);
    zmq_close(c.s);
}

static void refused(const char *endpoint, const char *what)
{
    static const struct {
        const char *name;
        int type;
    } types[] = {{"PUB", ZMQ_PUB},   {"SUB", ZMQ_SUB},   {"XPUB", ZMQ_XPUB}, {"XSUB", ZMQ_XSUB},
                 {"PUSH", ZMQ_PUSH}, {"PULL", ZMQ_PULL}, {"PAIR", ZMQ_PAIR}, {"REP", ZMQ_REP}};
    static const char server[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    char public[41], secret[41];
    int type = ZMQ_DEALER, once = 10000;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(what, types[i].name) == 0)
            type = types[i].type;
    void *s = open_socket(type);
    if (type == ZMQ_SUB)
        zmq_setsockopt(s, ZMQ_SUBSCRIBE, "", 0);
    zmq_setsockopt(s, ZMQ_RECONNECT_IVL, &once, sizeof once);
    if (strcmp(what, "PLAIN") == 0) {
        zmq_setsockopt(s, ZMQ_PLAIN_USERNAME, "admin", 5);
        zmq_setsockopt(s, ZMQ_PLAIN_PASSWORD, "admin", 5);
    } else if (strcmp(what, "CURVE") == 0) {
        if (zmq_curve_keypair(public, secret) != 0)
            die("this libzmq has no CURVE");
        zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, server, sizeof server);
        zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, public, sizeof public);
        zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, secret, sizeof secret);
    } else if (type == ZMQ_DEALER) {
        die("there is no %s", what);
    }
    void *m = monitor(s);
    connect_to(s, endpoint);
    int failed = ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_DISCONNECTED;
    int e = wait_event(m, failed | ZMQ_EVENT_HANDSHAKE_SUCCEEDED, "the handshake fails");
    if (e == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
        die("%s shook hands", what);
    printf("%s was refused\n", what);
    zmq_close(m);
    zmq_close(s);
}

int main(int argc, char **argv)
{
    const char *what = argc > 3 ? argv[1] : "";
    int n = argc > 4 ? atoi(argv[4]) : 0;
    context = zmq_ctx_new();
    if (strcmp(what, "req") == 0 && n)
        req(argv[2], argv[3], n);
    else if (strcmp(what, "dealer") == 0 && n)
        dealer(argv[2], argv[3], n);
    else if (strcmp(what, "several") == 0 && n)
        several(argv[2], argv[3], n);
    else if (strcmp(what, "between") == 0 && n)
        between(argv[2], argv[3], n);
    else if (strcmp(what, "heartbeat") == 0)
        heartbeat(argv[2], argv[3]);
    else if (strcmp(what, "reconnect") == 0)
        reconnect(argv[2], argv[3]);
    else if (strcmp(what, "refused") == 0)
        refused(argv[2], argv[3]);
    else
        die("usage: see the head of peers.c");
    zmq_ctx_term(context);
    return 0;
}
