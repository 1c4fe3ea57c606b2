/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/stats.h"

#include <unistd.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/object.h"
#include "server/engine/objects/session.h"
#include "server/engine/objects/shared.h"
#include "server/engine/run/answers.h"
#include "server/engine/run/request.h"
#include "server/engine/run/under_way.h"

static struct {
    uint64_t requests, errors, batches, batched, helped;
    uint64_t by_op[FX_NOPS]; /* by_op[0]: operations that are not functions of the C API */
} stats;                     /* each counter is atomic */

void fxe_stats_count(const struct fxe_req *r)
{
    __atomic_add_fetch(&stats.requests, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&stats.by_op[r->op], 1, __ATOMIC_RELAXED);
    fxe_index_count(r);
    if (r->failed)
        __atomic_add_fetch(&stats.errors, 1, __ATOMIC_RELAXED);
}

void fxe_stats_batch(int n)
{
    if (n > 0) {
        __atomic_add_fetch(&stats.batches, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&stats.batched, (uint64_t)n, __ATOMIC_RELAXED);
    }
}

void fxe_stats_helped(void)
{
    __atomic_add_fetch(&stats.helped, 1, __ATOMIC_RELAXED);
}

static void pack_str(struct fxe_req *r, const char *key, const char *value)
{
    msgpack_packer pk = fxe_reply_key(r, key);
    fx_pack_str(&pk, value);
}

static void pack_uint(struct fxe_req *r, const char *key, uint64_t value)
{
    msgpack_packer pk = fxe_reply_key(r, key);
    msgpack_pack_uint64(&pk, value);
}

/* What is on disk, if anything is. */
static void pack_store(struct fxe_req *r)
{
    struct fxs_store_stats s;
    if (!fxe_keep_store())
        return;
    fxs_store_stats(fxe_keep_store(), &s);
    pack_uint(r, "records", s.appends);
    pack_uint(r, "commits", s.commits);
    pack_uint(r, "log_bytes", s.log_bytes);
    pack_uint(r, "snapshot_bytes", s.snapshot_bytes);
    pack_uint(r, "set_aside", s.set_aside);
    pack_uint(r, "disk_full", s.full != 0);
}

static void run_stats(struct fxe_req *r)
{
    uint32_t used = 0;
    fxe_lock();
    size_t objects = fxe_obj_count(), sessions = fxe_sessions_count();
    struct fxe_shared_stats shared = fxe_shared_stats();
    int under_way = fxe_under_way_count() - 1; /* this one */
    fxe_unlock();
    pack_str(r, "tenant", fxe_engine.options.tenant);
    pack_str(r, "library", fxe_engine.lib.path);
    pack_str(r, "faiss_version", fxe_engine.lib.version);
    pack_uint(r, "pid", (uint64_t)getpid());
    pack_uint(r, "threads", (uint64_t)fxe_engine.options.threads);
    pack_uint(r, "requests", __atomic_load_n(&stats.requests, __ATOMIC_RELAXED));
    pack_uint(r, "errors", __atomic_load_n(&stats.errors, __ATOMIC_RELAXED));
    pack_uint(r, "batches", __atomic_load_n(&stats.batches, __ATOMIC_RELAXED));
    pack_uint(r, "batched_searches", __atomic_load_n(&stats.batched, __ATOMIC_RELAXED));
    pack_uint(r, "helped_queries", __atomic_load_n(&stats.helped, __ATOMIC_RELAXED));
    pack_uint(r, "objects", objects);
    pack_uint(r, "sessions", sessions);
    pack_uint(r, "pending", under_way > 0 ? (uint64_t)under_way : 0);
    pack_uint(r, "shared", shared.objects);
    pack_uint(r, "shared_handles", shared.handles);
    pack_uint(r, "known", shared.known);
    pack_uint(r, "copies", shared.copies);
    pack_store(r);
    uint64_t by_op[FX_NOPS];
    for (int op = 1; op < FX_NOPS; op++) {
        by_op[op] = __atomic_load_n(&stats.by_op[op], __ATOMIC_RELAXED);
        used += by_op[op] != 0;
    }
    msgpack_packer pk = fxe_reply_key(r, "operations");
    msgpack_pack_map(&pk, used);
    for (int op = 1; op < FX_NOPS; op++)
        if (by_op[op]) {
            fx_pack_str(&pk, fx_fns[op].name);
            msgpack_pack_uint64(&pk, by_op[op]);
        }
}

const struct fxe_operation fxe_stats_operation = {"stats", 0, NULL, run_stats, NULL};

/* --- hello, attach, bye, ping, health --- */

/* Packs what a client has to know about the engine that it has reached. */
static void pack_engine(struct fxe_req *r)
{
    pack_uint(r, "instance", fxe_engine.instance);
    pack_uint(r, "durable", fxe_answers_are_durable());
    pack_str(r, "tenant", fxe_engine.options.tenant);
    if (r->conn->near && fxe_engine.options.near[0])
        pack_str(r, "near", fxe_engine.options.near);
}

const struct fxe_operation fxe_attach_operation = {"attach", 1, NULL, pack_engine, NULL};

/* Creates the session here, with engine.lock held, so that the request counts as one of its own. */
static int prepare_hello(struct fxe_req *r)
{
    uint64_t protocol;
    if (r->session)
        return fxe_fail(r, "protocol", "hello creates a session and must not name one");
    if (!fx_header_uint(&r->header, "protocol", &protocol))
        return fxe_fail(r, "protocol", "hello has no protocol number");
    if (protocol != FX_PROTOCOL)
        return fxe_fail(r, "protocol", "the client speaks protocol %llu, this server protocol %d",
                        (unsigned long long)protocol, FX_PROTOCOL);
    r->session = fxe_session_new();
    if (!r->session)
        return fxe_fail(r, "limit", "the server has too many sessions, or no memory for another");
    r->session->busy++;
    fxe_session_bind(r->session, r->conn);
    return 0;
}

static void run_hello(struct fxe_req *r)
{
    pack_engine(r);
    msgpack_packer pk = fxe_reply_key(r, "session");
    fx_pack_bin(&pk, r->session->token, FX_TOKEN_SIZE);
    pack_uint(r, "protocol", FX_PROTOCOL);
    pack_uint(r, "lease", (uint64_t)fxe_engine.options.lease);
    pack_str(r, "table", FX_TABLE_HASH);
    pack_str(r, "version", FAISSX_VERSION);
    pack_str(r, "library", fxe_engine.lib.path);
    pack_str(r, "faiss_version", fxe_engine.lib.version);
}

const struct fxe_operation fxe_hello_operation = {"hello", 0, prepare_hello, run_hello, NULL};

static void run_bye(struct fxe_req *r)
{
    struct fxe_obj *doomed = NULL;
    fxe_lock();
    fxe_answers_forget(r->session);
    if (!r->session->ended)
        fxe_session_end(r->session, &doomed); /* freed when this request leaves it */
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
}

const struct fxe_operation fxe_bye_operation = {"bye", 1, NULL, run_bye, NULL};

static void run_ping(struct fxe_req *r)
{
    (void)r;
}

const struct fxe_operation fxe_ping_operation = {"ping", 0, NULL, run_ping, NULL};

static void run_health(struct fxe_req *r)
{
    pack_str(r, "version", FAISSX_VERSION);
    msgpack_packer pk = fxe_reply_key(r, "uptime");
    msgpack_pack_double(&pk, (double)(fxe_now_ms() - fxe_engine.started_ms) / 1000);
    pack_str(r, "tenant", fxe_engine.options.tenant);
}

const struct fxe_operation fxe_health_operation = {"health", 0, NULL, run_health, NULL};
