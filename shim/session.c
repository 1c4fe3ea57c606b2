/* SPDX-License-Identifier: Apache-2.0 */
/* The process's session with the server, and each thread's connection in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "join.h"
#include "rpc.h"
#include "shim.h"
#include "zmtp.h"

enum { CONNECT_MS = 5000, DEFAULT_TIMEOUT_S = 3600, DRAIN_MS = 60000, EXPLAIN_MS = 2000 };

static struct {
    pthread_mutex_t lock;
    char *server, *key, *tenant; /* server NULL: none configured */
    int said_hello;
    uint8_t token[FX_TOKEN_SIZE];
    unsigned generation; /* of the session: objects of an older one are gone */
    unsigned epoch;      /* of the connections: those of before a fork are not ours */
    char version[64];
    struct fx_conn *keeper; /* see keep() */
    unsigned keeper_epoch;
    int64_t drain_at;
    int direct_known;   /* direct, instance and previous are of the engine that runs */
    char direct[128];   /* its own endpoint, or "" */
    char previous[128]; /* how the engine before it ended */
    char tenant_name[160];
    uint64_t instance;
} session = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int replace(char **at, const char *with)
{
    char *copy = with && *with ? strdup(with) : NULL;
    if (with && *with && !copy)
        return -1;
    free(*at);
    *at = copy;
    return 0;
}

int fx_session_configure(const char *server, const char *key, const char *tenant)
{
    fx_join_settle(0); /* with the server that the indexes are on */
    const char *spin = secure_getenv("FAISSX_SPIN");
    if (spin && *spin) /* microseconds */
        fx_conn_spin_ns = strtoll(spin, NULL, 10) * 1000;
    pthread_mutex_lock(&session.lock);
    int same = session.server && server && strcmp(session.server, server) == 0;
    if (replace(&session.server, server) || replace(&session.key, key) ||
        replace(&session.tenant, tenant)) {
        pthread_mutex_unlock(&session.lock);
        return fx_fail(FAISSX_E_MEMORY, "out of memory");
    }
    if (!same && session.said_hello)
        __atomic_add_fetch(&session.generation, 1, __ATOMIC_RELEASE);
    session.said_hello = 0;
    session.direct_known = 0;
    session.epoch++;
    pthread_mutex_unlock(&session.lock);
    return 0;
}

int fx_session_open(void)
{
    struct fx_thread *self = fx_self();
    if (!self)
        return -4;
    return fx_session_conn(self, fx_now_ms() + CONNECT_MS) ? 0 : -4;
}

int fx_remote_configured(void)
{
    pthread_mutex_lock(&session.lock);
    int yes = session.server != NULL;
    pthread_mutex_unlock(&session.lock);
    return yes;
}

unsigned fx_session_generation(void)
{
    return __atomic_load_n(&session.generation, __ATOMIC_ACQUIRE);
}

void fx_session_token(uint8_t token[FX_TOKEN_SIZE])
{
    pthread_mutex_lock(&session.lock);
    memcpy(token, session.token, FX_TOKEN_SIZE);
    pthread_mutex_unlock(&session.lock);
}

void fx_session_lost(unsigned generation)
{
    pthread_mutex_lock(&session.lock);
    if (session.generation == generation) {
        session.said_hello = 0;
        session.direct_known = 0;
        __atomic_add_fetch(&session.generation, 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&session.lock);
}

const char *fx_session_server_version(void)
{
    return session.version;
}

int64_t fx_session_timeout_ms(void)
{
    static int64_t ms; /* atomic; the same whoever computes it */
    int64_t t = __atomic_load_n(&ms, __ATOMIC_RELAXED);
    if (!t) {
        const char *env = secure_getenv("FAISSX_TIMEOUT");
        double s = env ? strtod(env, NULL) : 0;
        t = (int64_t)((s > 0 && s < 1e9 ? s : DEFAULT_TIMEOUT_S) * 1000);
        __atomic_store_n(&ms, t, __ATOMIC_RELAXED);
    }
    return t;
}

/* --- hello and attach --- */

static void pack_text(msgpack_packer *pk, const char *key, const char *value)
{
    fx_pack_str(pk, key);
    fx_pack_str(pk, value);
}

/* hello makes a session; attach joins the one there is over a new connection. */
static void pack_request(msgpack_sbuffer *buf, int attach)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, buf, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, attach ? 3u : 6u + !!session.key + !!session.tenant);
    pack_text(&pk, "operation", attach ? "attach" : "hello");
    fx_pack_str(&pk, "request_id");
    msgpack_pack_uint64(&pk, 0);
    if (attach) {
        fx_pack_str(&pk, "session");
        fx_pack_bin(&pk, session.token, sizeof session.token);
        return;
    }
    fx_pack_str(&pk, "protocol");
    msgpack_pack_int(&pk, FX_PROTOCOL);
    pack_text(&pk, "table", FX_TABLE_HASH);
    pack_text(&pk, "version", FAISSX_VERSION);
    fx_pack_str(&pk, "lease");
    msgpack_pack_true(&pk);
    if (session.key)
        pack_text(&pk, "api_key", session.key);
    if (session.tenant)
        pack_text(&pk, "tenant_id", session.tenant);
}

static void copy_text(const struct fx_header *h, const char *key, char *to, size_t len)
{
    const char *s;
    size_t n;
    to[0] = '\0';
    if (fx_header_str(h, key, &s, &n) && n < len) {
        memcpy(to, s, n);
        to[n] = '\0';
    }
}

static int refused(const struct fx_header *h)
{
    static const struct {
        const char *kind;
        int error;
    } kinds[] = {{"auth", FAISSX_E_AUTH},
                 {"engine", FAISSX_E_ENGINE},
                 {"session", FAISSX_E_SESSION},
                 {"shutdown", FAISSX_E_CONNECT}};
    const char *s;
    size_t n;
    int error = FAISSX_E_PROTOCOL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (fx_header_is(h, "kind", kinds[i].kind))
            error = kinds[i].error;
    if (fx_header_str(h, "message", &s, &n))
        fx_set_error(error, s, n);
    else
        fx_fail(error, "%s refused the connection", session.server);
    return error;
}

static int read_answer(const struct fx_header *h, int attach)
{
    const char *s;
    size_t n;
    if (!fx_header_is(h, "status", "ok"))
        return refused(h);
    if (!attach && (!fx_header_str(h, "session", &s, &n) || n != FX_TOKEN_SIZE)) {
        fx_fail(FAISSX_E_PROTOCOL, "%s answered hello without a session", session.server);
        return FAISSX_E_PROTOCOL;
    }
    if (!attach) {
        memcpy(session.token, s, n);
        copy_text(h, "faiss_version", session.version, sizeof session.version);
        session.said_hello = 1;
    }
    session.instance = 0;
    fx_header_uint(h, "instance", &session.instance);
    copy_text(h, "direct", session.direct, sizeof session.direct);
    copy_text(h, "previous", session.previous, sizeof session.previous);
    copy_text(h, "tenant", session.tenant_name, sizeof session.tenant_name);
    return 0;
}

/* Read one whole message; its header goes to buf. */
static int receive(struct fx_conn *c, char *buf, size_t len, size_t *got, int64_t deadline)
{
    size_t size;
    int more = 1;
    *got = 0;
    for (int i = 0; more; i++) {
        if (fx_conn_frame(c, &size, &more, deadline) != 0)
            return -1;
        if (i == 1 && size <= len) {
            *got = size;
            if (fx_conn_read(c, buf, size, deadline) != 0)
                return -1;
        } else if (fx_conn_skip(c, size, deadline) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Say hello or attach over the keeper; the session lock is held.  Returns 0, or the
 * error (set). */
static int introduce(int attach, int64_t deadline)
{
    msgpack_sbuffer buf;
    struct fx_header h = {0};
    char reply[4096];
    const char *why = "no answer";
    size_t n = 0;
    uint64_t id;
    int rc = FAISSX_E_CONNECT;
    msgpack_sbuffer_init(&buf);
    pack_request(&buf, attach);
    struct fx_frame frame = {buf.data, buf.size};
    if (fx_conn_send(session.keeper, &frame, 1, deadline) != 0)
        goto broken;
    do { /* probes of the server lie in between */
        fx_header_free(&h);
        if (receive(session.keeper, reply, sizeof reply, &n, deadline) != 0)
            goto broken;
        if (fx_header_read(&h, reply, n, &why) != 0) {
            fx_fail(FAISSX_E_PROTOCOL, "%s answered with nonsense: %s", session.server, why);
            rc = FAISSX_E_PROTOCOL;
            goto out;
        }
    } while (!fx_header_uint(&h, "request_id", &id));
    rc = read_answer(&h, attach);
    goto out;
broken:
    fx_fail(FAISSX_E_CONNECT, "%s: %s", session.server, fx_conn_error(session.keeper));
out:
    fx_header_free(&h);
    msgpack_sbuffer_destroy(&buf);
    return rc;
}

static void lose_session(void)
{
    session.said_hello = 0;
    __atomic_add_fetch(&session.generation, 1, __ATOMIC_RELEASE);
}

/* The keeper is the connection that the session lives by: the server probes it.  (Clients
 * of the same host talk to the engine directly, where the front does not see them.)  After
 * a fork the child needs one of its own. */
static int keep(int64_t deadline)
{
    char err[512];
    if (session.keeper && session.keeper_epoch == session.epoch &&
        !fx_conn_is_dead(session.keeper) && session.said_hello && session.direct_known)
        return 0;
    int fresh =
        !session.keeper || session.keeper_epoch != session.epoch || fx_conn_is_dead(session.keeper);
    if (fresh) {
        fx_conn_close(session.keeper);
        session.keeper = fx_conn_open(session.server, deadline, err, sizeof err);
        session.keeper_epoch = session.epoch;
        if (!session.keeper) {
            fx_fail(FAISSX_E_CONNECT, "%s", err);
            return -1;
        }
    }
    int attach = session.said_hello, rc = introduce(attach, deadline);
    if (rc == FAISSX_E_SESSION && attach) { /* the server was restarted */
        lose_session();
        rc = introduce(0, deadline);
    }
    session.direct_known = rc == 0;
    if (rc != 0 && rc != FAISSX_E_ENGINE) {
        fx_conn_close(session.keeper);
        session.keeper = NULL;
    }
    return rc ? -1 : 0;
}

/* Drop the server's probes, lest they fill the socket. */
static void drain_keeper(void)
{
    char buf[FX_TOKEN_SIZE];
    size_t n;
    int64_t now = fx_now_ms();
    if (!session.keeper || session.keeper_epoch != session.epoch || now < session.drain_at)
        return;
    session.drain_at = now + DRAIN_MS;
    while (receive(session.keeper, buf, 0, &n, now) == 0)
        ;
}

/* A connection for one thread: to the engine itself where that is possible. */
static struct fx_conn *connect_thread(int64_t deadline, int *direct)
{
    char err[512];
    struct fx_conn *c = NULL;
    if (session.direct[0] && fx_conn_is_local(session.keeper))
        c = fx_conn_open(session.direct, deadline, err, sizeof err);
    *direct = c != NULL;
    if (!c) /* another host, or another network namespace */
        c = fx_conn_open(session.server, deadline, err, sizeof err);
    if (!c)
        fx_fail(FAISSX_E_CONNECT, "%s", err);
    return c;
}

struct fx_conn *fx_session_conn(struct fx_thread *self, int64_t deadline)
{
    pthread_mutex_lock(&session.lock);
    if (self->conn && (self->conn_generation != session.epoch || !session.said_hello ||
                       fx_conn_is_dead(self->conn))) {
        fx_conn_close(self->conn);
        self->conn = NULL;
        session.direct_known = 0; /* the engine may be another one now */
    }
    if (!session.server) {
        fx_fail(FAISSX_E_CONFIG, "no server is configured any more");
        goto out;
    }
    drain_keeper();
    if (self->conn)
        goto out;
    int64_t limit = fx_now_ms() + CONNECT_MS;
    if (deadline < limit)
        limit = deadline;
    if (keep(limit) == 0) {
        self->conn = connect_thread(limit, &self->conn_direct);
        self->conn_generation = session.epoch;
        self->conn_instance = session.instance;
    }
out:
    pthread_mutex_unlock(&session.lock);
    return self->conn;
}

/* The connection broke while a call was under way.  If the engine died, say so as the
 * server does; it takes the server a moment to know. */
int fx_session_explain(struct fx_thread *self, const char *operation)
{
    int64_t deadline = fx_now_ms() + EXPLAIN_MS;
    int rc = -1;
    pthread_mutex_lock(&session.lock);
    if (session.server && session.direct[0]) {
        do {
            session.direct_known = 0;
            rc = keep(deadline);
            if (rc == 0 && session.instance != self->conn_instance)
                break;
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        } while (fx_now_ms() < deadline && session.keeper);
        if (rc == 0 && session.instance != self->conn_instance && session.previous[0])
            fx_fail(FAISSX_E_ENGINE,
                    "the engine of tenant '%s' died (%s) while running %s; its objects are gone",
                    session.tenant_name, session.previous, operation);
        else if (rc == 0)
            rc = -1;
    }
    pthread_mutex_unlock(&session.lock);
    return rc;
}

/* A child of fork() stays in its parent's session, over connections of its own. */
void fx_session_fork_prepare(void)
{
    pthread_mutex_lock(&session.lock);
}

void fx_session_fork_done(int in_child)
{
    if (in_child) {
        session.epoch++;
        session.direct_known = 0;
    }
    pthread_mutex_unlock(&session.lock);
}
