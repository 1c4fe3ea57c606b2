/* SPDX-License-Identifier: Apache-2.0 */
/* The process's session with the server, and each thread's connection in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc.h"
#include "shim.h"
#include "zmtp.h"

enum { CONNECT_MS = 5000, DEFAULT_TIMEOUT_S = 3600 };

static struct {
    pthread_mutex_t lock;
    char *server, *key, *tenant; /* server NULL: none configured */
    int said_hello;
    uint8_t token[FX_TOKEN_SIZE];
    unsigned generation; /* of the session: objects of an older one are gone */
    unsigned epoch;      /* of the connections: those of before a fork are not ours */
    char version[64];
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

/* --- hello --- */

static void pack_hello(msgpack_sbuffer *buf)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, buf, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 6u + !!session.key + !!session.tenant);
    fx_pack_str(&pk, "operation");
    fx_pack_str(&pk, "hello");
    fx_pack_str(&pk, "request_id");
    msgpack_pack_uint64(&pk, 0);
    fx_pack_str(&pk, "protocol");
    msgpack_pack_int(&pk, FX_PROTOCOL);
    fx_pack_str(&pk, "table");
    fx_pack_str(&pk, FX_TABLE_HASH);
    fx_pack_str(&pk, "version");
    fx_pack_str(&pk, FAISSX_VERSION);
    fx_pack_str(&pk, "lease");
    msgpack_pack_true(&pk);
    if (session.key) {
        fx_pack_str(&pk, "api_key");
        fx_pack_str(&pk, session.key);
    }
    if (session.tenant) {
        fx_pack_str(&pk, "tenant_id");
        fx_pack_str(&pk, session.tenant);
    }
}

static int read_hello(const struct fx_header *h)
{
    const char *s;
    size_t n;
    if (!fx_header_is(h, "status", "ok")) {
        int known = fx_header_str(h, "message", &s, &n);
        int kind = fx_header_is(h, "kind", "auth") ? FAISSX_E_AUTH : FAISSX_E_PROTOCOL;
        if (fx_header_is(h, "kind", "engine"))
            kind = FAISSX_E_ENGINE;
        if (known)
            fx_set_error(kind, s, n);
        else
            fx_fail(kind, "%s refused the connection", session.server);
        return -1;
    }
    if (!fx_header_str(h, "session", &s, &n) || n != FX_TOKEN_SIZE) {
        fx_fail(FAISSX_E_PROTOCOL, "%s answered hello without a session", session.server);
        return -1;
    }
    memcpy(session.token, s, n);
    session.version[0] = '\0';
    if (fx_header_str(h, "faiss_version", &s, &n))
        snprintf(session.version, sizeof session.version, "%.*s", (int)n, s);
    session.said_hello = 1;
    return 0;
}

/* Say hello on a fresh connection; the session lock is held. */
static int hello(struct fx_conn *c, int64_t deadline)
{
    msgpack_sbuffer buf;
    struct fx_header h = {0};
    char reply[4096];
    const char *why = "no answer";
    size_t size = 0, n = 0;
    int more = 1, rc = -1;
    msgpack_sbuffer_init(&buf);
    pack_hello(&buf);
    struct fx_frame frame = {buf.data, buf.size};
    if (fx_conn_send(c, &frame, 1, deadline) != 0)
        goto broken;
    for (int i = 0; more; i++) {
        if (fx_conn_frame(c, &size, &more, deadline) != 0)
            goto broken;
        if (i == 1 && size <= sizeof reply) {
            n = size;
            if (fx_conn_read(c, reply, size, deadline) != 0)
                goto broken;
        } else if (fx_conn_skip(c, size, deadline) != 0) {
            goto broken;
        }
    }
    if (fx_header_read(&h, reply, n, &why) != 0)
        fx_fail(FAISSX_E_PROTOCOL, "%s answered hello with nonsense: %s", session.server, why);
    else
        rc = read_hello(&h);
    fx_header_free(&h);
    msgpack_sbuffer_destroy(&buf);
    return rc;
broken:
    fx_fail(FAISSX_E_CONNECT, "%s: %s", session.server, fx_conn_error(c));
    msgpack_sbuffer_destroy(&buf);
    return -1;
}

struct fx_conn *fx_session_conn(struct fx_thread *self, int64_t deadline)
{
    char err[512];
    pthread_mutex_lock(&session.lock);
    if (self->conn && (self->conn_generation != session.epoch || !session.said_hello ||
                       fx_conn_is_dead(self->conn))) {
        fx_conn_close(self->conn);
        self->conn = NULL;
    }
    if (!session.server) {
        fx_fail(FAISSX_E_CONFIG, "no server is configured any more");
        goto out;
    }
    if (self->conn)
        goto out;
    int64_t limit = fx_now_ms() + CONNECT_MS;
    if (deadline < limit)
        limit = deadline;
    self->conn = fx_conn_open(session.server, limit, err, sizeof err);
    self->conn_generation = session.epoch;
    if (!self->conn) {
        fx_fail(FAISSX_E_CONNECT, "%s", err);
    } else if (!session.said_hello && hello(self->conn, limit) != 0) {
        fx_conn_close(self->conn);
        self->conn = NULL;
    }
out:
    pthread_mutex_unlock(&session.lock);
    return self->conn;
}

/* A child of fork() stays in its parent's session, over connections of its own. */
void fx_session_fork_prepare(void)
{
    pthread_mutex_lock(&session.lock);
}

void fx_session_fork_done(int in_child)
{
    if (in_child)
        session.epoch++;
    pthread_mutex_unlock(&session.lock);
}
