/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/transport/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/curve_shake.h"
#include "shim/calls/join.h"
#include "shim/faissx.h"
#include "shim/settings.h"
#include "shim/thread.h"
#include "shim/transport/hello.h"

enum { EXPLAIN_MS = 5000 };

enum state {
    NO_SESSION, /* the next call that needs one says hello */
    IN_SESSION,
    ENDED /* for good: the process is ending */
};

static struct {
    pthread_mutex_t lock;
    struct fx_credentials who;
    struct fx_welcome welcome;  /* its token is valid in a session */
    uid_t near_owner;           /* of welcome.near, when the server named it */
    enum state state;           /* atomic */
    unsigned generation, epoch; /* see session.h; atomic */
    int configured;             /* a server is; atomic */
    int curve; /* 1: under CURVE, with `keys`; -1: its settings are bad; 0: without */
    struct fx_curve_keys keys;
    int was_connected;       /* to this server; atomic */
    struct fx_channel spare; /* of a thread that has ended.  One is kept, because a session
                                without any connection ends. */
    pid_t owner; /* the process that may end the session: the one that said hello, until it forks.
                    0: none.  Atomic */
} session = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The session that was lost last, and the engine of the one after it.  A lock of its own, since the
 * session's is held while a thread connects. */
static struct {
    pthread_mutex_t lock; /* after the session's */
    int any, configured;  /* there was one; it was lost because the program chose another server */
    unsigned generation;
    uint64_t instance, now, durable; /* its engine; the present one, or 0 */
    char previous[FX_PREVIOUS_SIZE], tenant[FX_TENANT_MAX + 1]; /* how its engine ended, or "" */
} lost = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int replace(char **at, const char *with)
{
    char *copy = with && *with ? strdup(with) : NULL;
    if (with && *with && !copy)
        return -1;
    free(*at);
    *at = copy;
    return 0;
}

/* With the session's lock: the objects of the session are gone. */
static void next_generation(void)
{
    __atomic_add_fetch(&session.generation, 1, __ATOMIC_RELEASE);
}

static void set_state(enum state to)
{
    __atomic_store_n(&session.state, to, __ATOMIC_RELEASE);
}

static void lose_session(int configured)
{
    pthread_mutex_lock(&lost.lock);
    lost.generation = session.generation;
    lost.any = 1;
    lost.configured = configured;
    lost.instance = session.welcome.instance;
    lost.now = 0;
    memcpy(lost.previous, session.welcome.previous, sizeof lost.previous);
    memcpy(lost.tenant, session.welcome.tenant, sizeof lost.tenant);
    pthread_mutex_unlock(&lost.lock);
    set_state(NO_SESSION);
    next_generation();
}

/* Another thread may have it for as long as connecting takes. */
static int lock_session(int64_t deadline)
{
    struct timespec t;
    int64_t left = deadline - fx_now_ms();
    if (pthread_mutex_trylock(&session.lock) == 0)
        return 0;
    clock_gettime(CLOCK_REALTIME, &t);
    if (left > 0) {
        t.tv_sec += left / 1000;
        t.tv_nsec += left % 1000 * 1000000;
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
    }
    if (pthread_mutex_timedlock(&session.lock, &t) == 0)
        return 0;
    return fx_fail(FAISSX_E_TIMEOUT, "another thread is still connecting to the server");
}

int fx_session_configure(const char *server, const char *key, const char *tenant)
{
    fx_join_settle(0); /* while the server is configured that the indexes are on */
    fx_settings_read();
    pthread_mutex_lock(&session.lock);
    int same = session.who.server && server && strcmp(session.who.server, server) == 0;
    if (replace(&session.who.server, server) || replace(&session.who.key, key) ||
        replace(&session.who.tenant, tenant)) {
        pthread_mutex_unlock(&session.lock);
        return fx_fail(FAISSX_E_MEMORY, "out of memory");
    }
    if (session.state == IN_SESSION && !same)
        lose_session(1); /* with the same server, perhaps another key, the next connection attaches
                          */
    session.welcome.near[0] = '\0';
    fx_curve_forget(&session.keys, sizeof session.keys);
    session.curve = fx_settings_curve(&session.keys);
    __atomic_store_n(&session.configured, session.who.server != NULL, __ATOMIC_RELEASE);
    if (!same)
        __atomic_store_n(&session.was_connected, 0, __ATOMIC_RELAXED);
    __atomic_add_fetch(&session.epoch, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&session.lock);
    return 0;
}

int fx_session_open(void)
{
    struct fx_thread *self = fx_self();
    int cancel;
    if (!self || fx_thread_engage(self, &cancel) != 0)
        return -1;
    int rc = fx_session_conn(self, fx_now_ms() + fx_settings_connect_ms()) ? 0 : -1;
    fx_thread_disengage(self, cancel);
    return rc;
}

int fx_remote_configured(void)
{
    return __atomic_load_n(&session.configured, __ATOMIC_ACQUIRE);
}

unsigned fx_session_generation(void)
{
    return __atomic_load_n(&session.generation, __ATOMIC_ACQUIRE);
}

int fx_session_was_connected(void)
{
    return __atomic_load_n(&session.was_connected, __ATOMIC_RELAXED);
}

void fx_session_lost(unsigned generation, int64_t deadline)
{
    if (lock_session(deadline) != 0)
        return; /* who has it finds out as well */
    if (session.generation == generation && session.state == IN_SESSION) {
        session.welcome.previous[0] = '\0';
        lose_session(0);
    }
    pthread_mutex_unlock(&session.lock);
}

int fx_session_why(unsigned generation, char *why, size_t size)
{
    int died = 0;
    pthread_mutex_lock(&lost.lock);
    if (!lost.any || lost.generation != generation) {
        snprintf(why, size,
                 "the server was restarted, or this process was configured for another one");
    } else if (lost.configured) {
        snprintf(why, size, "this process was configured for another server");
    } else if (lost.previous[0]) {
        snprintf(why, size, "the engine of tenant '%s' died (%s)", lost.tenant, lost.previous);
        died = 1;
    } else if (lost.instance && lost.now == lost.instance) {
        snprintf(why, size,
                 "its session has ended: this process was not connected for longer than the "
                 "server's lease");
    } else {
        snprintf(why, size, "the server was restarted");
    }
    pthread_mutex_unlock(&lost.lock);
    return died;
}

int fx_session_remembers(unsigned generation)
{
    pthread_mutex_lock(&lost.lock);
    int yes = lost.any && lost.generation == generation && !lost.configured && lost.now &&
              (lost.durable || lost.now == lost.instance);
    pthread_mutex_unlock(&lost.lock);
    return yes;
}

const char *fx_session_server_version(void)
{
    return session.welcome.version;
}

/* --- connecting --- */

/* Connect to an endpoint of the server, under CURVE if that is configured: never without it then.
 */
static struct fx_conn *open_endpoint(const char *endpoint, int64_t deadline, char *err,
                                     size_t errlen)
{
    if (session.curve < 0) {
        snprintf(err, errlen, "the settings of CURVE are bad");
        return NULL;
    }
    return fx_conn_open(endpoint, session.curve ? &session.keys : NULL, deadline, err, errlen);
}

/* Say hello or attach over a new connection; with the session's lock. */
static int introduce(struct fx_conn *c, int attach, int64_t deadline)
{
    if (attach)
        return fx_attach(c, &session.who, &session.welcome, deadline);
    if (fx_hello(c, &session.who, &session.welcome, deadline) != 0)
        return -1;
    pthread_mutex_lock(&lost.lock);
    lost.now = session.welcome.instance;
    lost.durable = session.welcome.durable;
    pthread_mutex_unlock(&lost.lock);
    set_state(IN_SESSION);
    __atomic_store_n(&session.was_connected, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&session.owner, getpid(), __ATOMIC_RELAXED);
    return 0;
}

/* A channel over a connection that has been introduced; with the session's lock. */
static struct fx_channel new_channel(struct fx_conn *c, int near)
{
    struct fx_channel ch = {.conn = c,
                            .epoch = session.epoch,
                            .generation = session.generation,
                            .near = near,
                            .again = session.welcome.again == 1};
    memcpy(ch.token, session.welcome.token, sizeof ch.token);
    return ch;
}

static void close_channel(struct fx_channel *ch)
{
    fx_conn_close(ch->conn);
    *ch = (struct fx_channel){0};
}

static int is_fresh(const struct fx_channel *ch)
{
    return ch->conn && ch->epoch == __atomic_load_n(&session.epoch, __ATOMIC_ACQUIRE) &&
           ch->generation == fx_session_generation() && !fx_conn_is_dead(ch->conn);
}

int fx_session_is_own(const struct fx_channel *ch)
{
    return ch->epoch == __atomic_load_n(&session.epoch, __ATOMIC_ACQUIRE);
}

/* The server says at which path it can be reached on this host.  That can be wrong: through a
 * tunnel, the path is another server's, or nobody's.  So the socket must belong to the owner of its
 * directory, and nobody else may be able to put one there. */
static int is_trustworthy(const char *endpoint, uid_t *owner)
{
    struct stat dir, sock;
    char path[sizeof session.welcome.near];
    if (strncmp(endpoint, "ipc:///", 7) != 0)
        return 0;
    strcpy(path, endpoint + strlen("ipc://"));
    if (lstat(path, &sock) != 0)
        return 0;
    *strrchr(path, '/') = '\0';
    if (stat(path, &dir) != 0)
        return 0;
    *owner = dir.st_uid;
    return S_ISSOCK(sock.st_mode) && sock.st_uid == dir.st_uid &&
           !(dir.st_mode & (S_IWGRP | S_IWOTH));
}

/* A server that stops removes the directory, and then anybody can make one of that name, who would
 * be sent the key: later the owner must be the same as when the server named the path. */
static int is_near_still_trustworthy(void)
{
    uid_t owner;
    return is_trustworthy(session.welcome.near, &owner) && owner == session.near_owner;
}

/* Join the session over the server's Unix socket, if it has one: lower latency, and arrays in
 * memfds.  Not under CURVE: another user of this host could have made a socket at the path that a
 * server on another host has named, and pass on what is encrypted, but keep the memfds.  Returns
 * -1, without an error, if it is not possible. */
static int attach_near(struct fx_channel *ch, int64_t deadline)
{
    char err[256], near[sizeof session.welcome.near];
    struct fx_error before;
    if (!session.welcome.near[0] || session.curve || !is_near_still_trustworthy())
        return -1;
    struct fx_conn *c = open_endpoint(session.welcome.near, deadline, err, sizeof err);
    if (!c)
        return -1;
    fx_error_save(&before);
    memcpy(near, session.welcome.near, sizeof near);
    int rc = introduce(c, 1, deadline);
    memcpy(session.welcome.near, near, sizeof near); /* this connection's answer does not name it */
    fx_error_restore(&before);
    if (rc != 0) {
        fx_conn_close(c);
        return -1;
    }
    *ch = new_channel(c, 1);
    return 0;
}

/* Open a connection in the session, which is made if there is none; with the session's lock. */
static int connect_channel(struct fx_channel *ch, int64_t deadline)
{
    char err[512];
    if (session.state == IN_SESSION && attach_near(ch, deadline) == 0)
        return 0;
    if (session.state == IN_SESSION && session.welcome.near[0] && fx_now_ms() >= deadline) {
        session.welcome.near[0] = '\0'; /* the next one asks the server for it */
        return fx_fail(FAISSX_E_CONNECT, "%s: no answer to hello within the time allowed",
                       session.who.server);
    }
    struct fx_conn *c = open_endpoint(session.who.server, deadline, err, sizeof err);
    if (!c)
        return fx_fail(FAISSX_E_CONNECT, "%s", err);
    session.welcome.previous[0] = '\0';
    int attach = session.state == IN_SESSION, rc = introduce(c, attach, deadline);
    if (rc != 0 && attach && fx_error_kind() == FAISSX_E_SESSION) {
        lose_session(0); /* the server or the engine was restarted */
        rc = introduce(c, 0, deadline);
    }
    if (rc != 0) {
        /* A server is there, and has closed the connection: its engine may be about to end. */
        if (fx_error_kind() == FAISSX_E_CONNECT && fx_now_ms() < deadline)
            __atomic_store_n(&session.was_connected, 1, __ATOMIC_RELAXED);
        fx_conn_close(c);
        return -1;
    }
    if (is_trustworthy(session.welcome.near, &session.near_owner) &&
        attach_near(ch, deadline) == 0) {
        fx_conn_close(c);
        return 0;
    }
    session.welcome.near[0] = '\0';
    *ch = new_channel(c, !session.curve && strncmp(session.who.server, "ipc://", 6) == 0);
    return 0;
}

struct fx_conn *fx_session_conn(struct fx_thread *self, int64_t deadline)
{
    struct fx_channel *ch = &self->channel;
    struct fx_conn *conn = NULL;
    if (fx_settings_check() != 0)
        return NULL;
    if (__atomic_load_n(&session.state, __ATOMIC_ACQUIRE) == IN_SESSION && is_fresh(ch))
        return ch->conn; /* the usual case, which takes no lock */
    if (ch->conn && ch->epoch == __atomic_load_n(&session.epoch, __ATOMIC_ACQUIRE) &&
        fx_conn_is_dead(ch->conn)) {
        char why[256];
        snprintf(why, sizeof why, "%s",
                 *fx_conn_error(ch->conn) ? fx_conn_error(ch->conn)
                                          : "the server closed the connection");
        close_channel(ch);
        fx_event_broken(self, why);
    }
    if (lock_session(deadline) != 0)
        return NULL;
    if (ch->conn && session.state != ENDED && (session.state != IN_SESSION || !is_fresh(ch)))
        close_channel(ch);
    if (!session.who.server) {
        fx_fail(FAISSX_E_CONFIG, "no server is configured any more");
        goto out;
    }
    if (session.state == ENDED) {
        fx_fail(FAISSX_E_SESSION, "this process is ending, and has ended its session");
        goto out;
    }
    if (!ch->conn && session.state == IN_SESSION && is_fresh(&session.spare)) {
        *ch = session.spare;
        session.spare = (struct fx_channel){0};
    }
    if (!ch->conn) {
        int64_t limit = fx_now_ms() + fx_settings_connect_ms();
        connect_channel(ch, deadline < limit ? deadline : limit);
    }
    conn = ch->conn;
out:
    pthread_mutex_unlock(&session.lock);
    if (conn)
        fx_event_connected(self);
    return conn;
}

/* Another thread must not find replies to this one's requests on it. */
void fx_session_give_back(struct fx_channel *ch, int within)
{
    int clean = !within && ch->owed == 0;
    pthread_mutex_lock(&session.lock);
    if (clean && session.state == IN_SESSION && is_fresh(ch) && !is_fresh(&session.spare)) {
        close_channel(&session.spare);
        session.spare = *ch;
        *ch = (struct fx_channel){0};
    } else {
        close_channel(ch);
    }
    pthread_mutex_unlock(&session.lock);
}

/* The server starts a new engine for this connection, which knows how the one before ended. */
int fx_session_explain(const char *operation, int64_t deadline)
{
    int64_t limit = fx_now_ms() + EXPLAIN_MS;
    char err[512];
    int rc = -1, error = FAISSX_E_CONNECT;
    if (deadline > limit)
        deadline = limit;
    pthread_mutex_lock(&session.lock);
    session.welcome.previous[0] = '\0';
    /* A new connection may have been handed to the engine that was just dying: try again. */
    while (session.who.server && session.state == IN_SESSION && error == FAISSX_E_CONNECT &&
           fx_now_ms() < deadline) {
        struct fx_conn *c = open_endpoint(session.who.server, deadline, err, sizeof err);
        if (!c)
            break;
        error = introduce(c, 1, deadline) == 0 ? FAISSX_OK : fx_error_kind();
        fx_conn_close(c);
    }
    if (error == FAISSX_E_SESSION)
        lose_session(0);
    if (error == FAISSX_E_SESSION && session.welcome.previous[0]) {
        fx_fail(FAISSX_E_ENGINE,
                "the engine of tenant '%s' died (%s) while running %s; its objects are gone",
                session.welcome.tenant, session.welcome.previous, operation);
        rc = 0;
    } else if (error == FAISSX_E_ENGINE) {
        rc = 0; /* it cannot be started again, and the server has said why */
    }
    pthread_mutex_unlock(&session.lock);
    return rc;
}

int fx_session_farewell(struct fx_farewell *f)
{
    if (__atomic_load_n(&session.owner, __ATOMIC_RELAXED) != getpid() ||
        fx_lock_soon(&session.lock) != 0)
        return -1;
    if (!session.who.server || session.state != IN_SESSION) {
        pthread_mutex_unlock(&session.lock);
        return -1;
    }
    memcpy(f->token, session.welcome.token, sizeof f->token);
    f->key = session.who.key;
    f->tenant = session.who.tenant;
    f->epoch = session.epoch;
    f->spare = is_fresh(&session.spare) ? session.spare.conn : NULL;
    f->endpoint = session.curve                                   ? NULL /* it speaks NULL there */
                  : is_near_still_trustworthy()                   ? session.welcome.near
                  : strncmp(session.who.server, "ipc://", 6) == 0 ? session.who.server
                                                                  : NULL;
    set_state(ENDED);
    return 0;
}

void fx_session_farewell_done(void)
{
    pthread_mutex_unlock(&session.lock);
}

void fx_session_fork_prepare(void)
{
    pthread_mutex_lock(&session.lock);
    pthread_mutex_lock(&lost.lock);
}

/* Parent and child share the session, each over connections of its own: neither may end it. */
void fx_session_fork_done(int in_child)
{
    if (in_child)
        __atomic_add_fetch(&session.epoch, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&session.owner, 0, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&lost.lock);
    pthread_mutex_unlock(&session.lock);
}
