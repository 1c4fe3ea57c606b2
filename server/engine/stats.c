/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include <unistd.h>

#include "request.h"

static struct {
    uint64_t requests, errors, batches, batched;
    uint64_t by_op[FX_NOPS]; /* 0: what is no function of the C API */
} stats;                     /* atomic, each for itself */

void fxe_stats_count(const struct fxe_req *r)
{
    __atomic_add_fetch(&stats.requests, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&stats.by_op[r->op], 1, __ATOMIC_RELAXED);
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

static void run_stats(struct fxe_req *r)
{
    uint32_t used = 0;
    fxe_lock();
    size_t objects = fxe_obj_count(), sessions = HASH_COUNT(fxe_engine.sessions);
    int under_way = fxe_pool_under_way() - 1; /* this one */
    fxe_unlock();
    pack_str(r, "tenant", fxe_engine.tenant);
    pack_str(r, "library", fxe_engine.lib.path);
    pack_str(r, "faiss_version", fxe_engine.lib.version);
    pack_uint(r, "pid", (uint64_t)getpid());
    pack_uint(r, "threads", (uint64_t)fxe_engine.threads);
    pack_uint(r, "requests", __atomic_load_n(&stats.requests, __ATOMIC_RELAXED));
    pack_uint(r, "errors", __atomic_load_n(&stats.errors, __ATOMIC_RELAXED));
    pack_uint(r, "batches", __atomic_load_n(&stats.batches, __ATOMIC_RELAXED));
    pack_uint(r, "batched_searches", __atomic_load_n(&stats.batched, __ATOMIC_RELAXED));
    pack_uint(r, "objects", objects);
    pack_uint(r, "sessions", sessions);
    pack_uint(r, "pending", under_way > 0 ? (uint64_t)under_way : 0);
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

/* Where the engine is to be reached, and which one it is. */
static void run_attach(struct fxe_req *r)
{
    pack_uint(r, "instance", fxe_engine.instance);
    pack_str(r, "tenant", fxe_engine.tenant);
    if (fxe_engine.direct[0])
        pack_str(r, "direct", fxe_engine.direct);
    if (fxe_engine.previous)
        pack_str(r, "previous", fxe_engine.previous);
}

const struct fxe_operation fxe_attach = {"attach", 1, NULL, run_attach, NULL};

static void run_hello(struct fxe_req *r)
{
    run_attach(r);
    msgpack_packer pk = fxe_reply_key(r, "session");
    fx_pack_bin(&pk, r->msg.head.token, FX_TOKEN_SIZE);
    pack_uint(r, "protocol", FX_PROTOCOL);
    pack_uint(r, "lease", (uint64_t)fxe_engine.lease);
    pack_str(r, "table", FX_TABLE_HASH);
    pack_str(r, "version", FAISSX_VERSION);
    pack_str(r, "library", fxe_engine.lib.path);
    pack_str(r, "faiss_version", fxe_engine.lib.version);
}

const struct fxe_operation fxe_hello = {"hello", 1, NULL, run_hello, NULL};
