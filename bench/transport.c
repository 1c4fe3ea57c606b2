/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of a round trip over bare sockets (the lower bound), with libzmq at both ends, and with
 * our own ZMTP client and a libzmq ROUTER.  The other ends are echo processes, which only answer.
 * A worker (see bench.h) that measures all of these in each turn.
 *
 *     transport [-n ROUND TRIPS of each way] [-u BYTES up] [-d BYTES down] [-w WINDOW]
 *               [-a ADDRESS] [-c NAMESPACE] [-e]
 *
 * The default is a query: a header and 128 floats up; a header, ten labels and ten
 * distances down (-d is the size of the labels' frame).  With -w, libzmq has WINDOW
 * requests in transit at a time.  The echo processes listen on ADDRESS (127.0.0.1) in the
 * network namespace that this program is started in.  With -c it connects to them from the
 * network namespace of a file such as /run/netns/NAME, which needs root.  With -e, libzmq and our
 * client use CURVE.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <zmq.h>

#include "bench.h"
#include "proto/client/conn.h"
#include "proto/curve_keys.h"

enum { HEAD_UP = 89, HEAD_DOWN = 24, TAIL_DOWN = 40 };

static size_t up = 512, down = 80;
static int window = 1;
static char *bytes; /* the data that every client sends */
static char *sink;  /* the buffer for received data */

/* CURVE: the keys of libzmq's ROUTER, and of its DEALER and our client. */
static int encrypted;
static struct {
    char server_public[41], server_secret[41], public[41], secret[41];
} texts;
static struct fx_curve_keys keys;

static void make_keys(void)
{
    char why[300];
    die_if(zmq_curve_keypair(texts.server_public, texts.server_secret) ||
               zmq_curve_keypair(texts.public, texts.secret),
           "zmq_curve_keypair");
    if (fx_curve_keys_configure(&keys, texts.server_public, NULL, why, sizeof(why)) != 1)
        die("%s", why);
}

/* --- bare sockets ------------------------------------------------------------------ */

static int write_all(int fd, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t r = send(fd, bytes + at, n - at, MSG_NOSIGNAL);
        if (r <= 0)
            return -1;
        at += (size_t)r;
    }
    return 0;
}

static int read_all(int fd, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t r = recv(fd, sink + at, n - at, 0);
        if (r <= 0)
            return -1;
        at += (size_t)r;
    }
    return 0;
}

static void serve_raw(int listener)
{
    int on = 1, fd = accept(listener, NULL, NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    while (read_all(fd, HEAD_UP + up) == 0 && write_all(fd, HEAD_DOWN + down + TAIL_DOWN) == 0)
        ;
}

static int trip_raw(void *fd)
{
    return write_all(*(int *)fd, HEAD_UP + up) ||
           read_all(*(int *)fd, HEAD_DOWN + down + TAIL_DOWN);
}

/* --- libzmq ------------------------------------------------------------------------ */

static void keep(void *data, void *hint)
{
    (void)data;
    (void)hint;
}

/* Sends large frames without a copy. */
static int zsend(void *s, size_t n, int flags)
{
    zmq_msg_t m;
    if (n < 65536)
        return zmq_send(s, bytes, n, flags);
    zmq_msg_init_data(&m, bytes, n, keep, NULL);
    return zmq_msg_send(&m, s, flags);
}

/* Receives all frames of a message without copying them out. */
static int zreceive(void *s)
{
    int more = 1;
    while (more) {
        zmq_msg_t m;
        zmq_msg_init(&m);
        if (zmq_msg_recv(&m, s, 0) < 0)
            return -1;
        more = zmq_msg_more(&m);
        if (zmq_msg_size(&m) > 0)
            sink[0] = ((char *)zmq_msg_data(&m))[0];
        zmq_msg_close(&m);
    }
    return 0;
}

static void serve_router(void *router)
{
    for (;;) {
        zmq_msg_t id;
        zmq_msg_init(&id);
        if (zmq_msg_recv(&id, router, 0) < 0 || zreceive(router) != 0)
            return;
        zmq_msg_send(&id, router, ZMQ_SNDMORE);
        zmq_send(router, "", 0, ZMQ_SNDMORE);
        zsend(router, HEAD_DOWN, ZMQ_SNDMORE);
        zsend(router, down, ZMQ_SNDMORE);
        zsend(router, TAIL_DOWN, 0);
    }
}

static int under_way;

static int trip_libzmq(void *s)
{
    for (; under_way < window; under_way++)
        if (zmq_send(s, "", 0, ZMQ_SNDMORE) < 0 || zsend(s, HEAD_UP, ZMQ_SNDMORE) < 0 ||
            zsend(s, up, 0) < 0)
            return -1;
    under_way--;
    return zreceive(s);
}

/* --- ours -------------------------------------------------------------------------- */

static int trip_ours(void *c)
{
    struct fx_frame f[2] = {{bytes, HEAD_UP}, {bytes, up}};
    int64_t deadline = fx_now_ms() + 60000; /* as the shim does, for each call */
    int more = 1;
    if (fx_conn_send(c, f, 2, deadline) != 0)
        return -1;
    while (more) {
        size_t n;
        if (fx_conn_frame(c, &n, &more, deadline) != 0 || fx_conn_read(c, sink, n, deadline) != 0)
            return -1;
    }
    return 0;
}

/* --- the echo processes ------------------------------------------------------------- */

static pid_t children[4];
static int nchildren;

/* Forks an echo process, which ends when its parent does.  Returns 0 in the child. */
static int spawn(void)
{
    pid_t parent = getpid(), pid = fork();
    die_if(pid < 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);
        return 0;
    }
    children[nchildren++] = pid;
    return 1;
}

/* Starts an echo process with a bare socket bound to *addr.  Stores the actual address there. */
static void start_raw(struct sockaddr *addr, socklen_t len)
{
    int listener = socket(addr->sa_family, SOCK_STREAM, 0);
    die_if(bind(listener, addr, len) || listen(listener, 1), "listen");
    getsockname(listener, addr, &len);
    if (spawn() == 0) {
        serve_raw(listener);
        _exit(0);
    }
    close(listener);
}

static int connect_raw(const struct sockaddr *addr, socklen_t len)
{
    int on = 1, fd = socket(addr->sa_family, SOCK_STREAM, 0);
    die_if(connect(fd, addr, len), "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* Moves this thread, and threads that it starts later, to the namespace, for the sockets they open.
 */
static void enter(const char *namespace)
{
    int fd = open(namespace, O_RDONLY | O_CLOEXEC);
    die_if(fd < 0 || setns(fd, CLONE_NEWNET) != 0, namespace);
    close(fd);
}

/* Starts an echo process with a ROUTER bound to `where`.  Sets `endpoint` to the actual one. */
static void start_router(const char *where, char *endpoint, size_t len)
{
    int fd[2];
    die_if(pipe(fd), "pipe");
    if (spawn() == 0) {
        void *router = zmq_socket(zmq_ctx_new(), ZMQ_ROUTER);
        int on = 1;
        if (encrypted) {
            zmq_setsockopt(router, ZMQ_CURVE_SERVER, &on, sizeof(on));
            zmq_setsockopt(router, ZMQ_CURVE_SECRETKEY, texts.server_secret, 41);
        }
        die_if(zmq_bind(router, where), where);
        zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &len);
        die_if(write(fd[1], endpoint, len) != (ssize_t)len, "write");
        serve_router(router);
        _exit(0);
    }
    close(fd[1]);
    die_if(read(fd[0], endpoint, len) <= 0, "an echo process does not start");
    close(fd[0]);
}

static void *dealer(void *ctx, const char *endpoint)
{
    void *s = zmq_socket(ctx, ZMQ_DEALER);
    int linger = 0;
    zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof(linger));
    if (encrypted) {
        zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, texts.server_public, 41);
        zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, texts.public, 41);
        zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, texts.secret, 41);
    }
    die_if(!s || zmq_connect(s, endpoint), endpoint);
    return s;
}

static struct fx_conn *ours(const char *endpoint)
{
    char err[300];
    struct fx_conn *c =
        fx_conn_open(endpoint, encrypted ? &keys : NULL, fx_now_ms() + 5000, err, sizeof(err));
    if (!c)
        die("%s", err);
    return c;
}

/* --- measuring ---------------------------------------------------------------------- */

struct way {
    const char *name;
    int (*trip)(void *);
    void *to;
    int echo; /* number of the echo process that answers */
};

static void measure(const struct way *w, int64_t *ns, int trips)
{
    char name[80];
    int window_now = window;
    double cpu = cpu_us(0), echo = cpu_us(children[w->echo]);
    int64_t begin = now_ns();
    for (int i = 0; i < trips; i++) {
        int64_t start = now_ns();
        if (window > trips - i)
            window = trips - i; /* leave no reply in transit at the end */
        die_if(w->trip(w->to), w->name);
        ns[i] = now_ns() - start;
    }
    window = window_now;
    snprintf(name, sizeof(name), "%s_seconds", w->name);
    report(name, (double)(now_ns() - begin) / 1e9);
    snprintf(name, sizeof(name), "%s_cpu", w->name);
    report(name, (cpu_us(0) - cpu) / trips);
    snprintf(name, sizeof(name), "%s_echo_cpu", w->name);
    report(name, (cpu_us(children[w->echo]) - echo) / trips);
    snprintf(name, sizeof(name), "%s_", w->name);
    report_times(name, ns, (size_t)trips);
}

int main(int argc, char **argv)
{
    int opt, trips = 200;
    const char *at = "127.0.0.1", *namespace = NULL;
    while ((opt = getopt(argc, argv, "n:u:d:w:a:c:e")) != -1) {
        if (opt == 'n')
            trips = atoi(optarg);
        else if (opt == 'u')
            up = strtoul(optarg, NULL, 10);
        else if (opt == 'd')
            down = strtoul(optarg, NULL, 10);
        else if (opt == 'w')
            window = atoi(optarg);
        else if (opt == 'e')
            encrypted = 1;
        else if (opt == 'a')
            at = optarg;
        else if (opt == 'c')
        namespace = optarg;
        else return 2;
    }
    if (trips < 1 || window < 1)
        die("what?");
    if (encrypted)
        make_keys();
    size_t most = (up > down ? up : down) + HEAD_UP + HEAD_DOWN + TAIL_DOWN;
    bytes = calloc(1, most);
    sink = malloc(most);
    int64_t *ns = calloc((size_t)trips, sizeof(*ns));
    die_if(!bytes || !sink || !ns, "memory");
    memset(sink, 0, most);

    char dir[] = "/tmp/fx-transport-XXXXXX", path[64], ipc[128], tcp[128] = "", local[128] = "";
    char bind_to[128];
    die_if(!mkdtemp(dir), dir);
    snprintf(path, sizeof(path), "%s/raw", dir);
    snprintf(ipc, sizeof(ipc), "ipc://%s/zmq", dir);
    snprintf(bind_to, sizeof(bind_to), "tcp://%s:*", at);

    /* Start all processes first: a libzmq context does not survive fork(). */
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, at, &in.sin_addr) != 1)
        die("'%s' is not an IPv4 address", at);
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    start_raw((struct sockaddr *)&un, sizeof(un));
    start_raw((struct sockaddr *)&in, sizeof(in));
    start_router(bind_to, tcp, sizeof(tcp));
    start_router(ipc, local, sizeof(local));

    if (namespace)
        enter(namespace);
    int raw_unix = connect_raw((struct sockaddr *)&un, sizeof(un));
    int raw_tcp = connect_raw((struct sockaddr *)&in, sizeof(in));
    void *ctx = zmq_ctx_new();
    const struct way ways[] = {
        {.name = "unix_bare", .trip = trip_raw, .to = &raw_unix, .echo = 0},
        {.name = "unix_ours", .trip = trip_ours, .to = ours(local), .echo = 3},
        {.name = "unix_zmq", .trip = trip_libzmq, .to = dealer(ctx, local), .echo = 3},
        {.name = "tcp_bare", .trip = trip_raw, .to = &raw_tcp, .echo = 1},
        {.name = "tcp_ours", .trip = trip_ours, .to = ours(tcp), .echo = 2},
        {.name = "tcp_zmq", .trip = trip_libzmq, .to = dealer(ctx, tcp), .echo = 2},
    };
    int nways = sizeof(ways) / sizeof(ways[0]);
    while (turn())
        for (int i = 0; i < nways; i++)
            measure(&ways[i], ns, trips);

    for (int i = 0; i < nways; i++) {
        if (ways[i].trip == trip_ours)
            fx_conn_close(ways[i].to);
        else if (ways[i].trip == trip_libzmq)
            zmq_close(ways[i].to);
    }
    zmq_ctx_term(ctx);
    for (int i = 0; i < nchildren; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    unlink(path);
    unlink(ipc + 6);
    rmdir(dir);
    free(bytes);
    free(sink);
    free(ns);
    return 0;
}
