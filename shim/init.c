/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/init.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shim/calls/join.h"
#include "shim/error.h"
#include "shim/export.h"
#include "shim/faissx.h"
#include "shim/legacy.h"
#include "shim/object.h"
#include "shim/real.h"
#include "shim/remote_table.h"
#include "shim/settings.h"
#include "shim/thread.h"
#include "shim/transport/session.h"

/* --- lazy: initialise on the first call of any function, then call again --- */

static void initialise(void);

static union fx_val lazy_call(int op, union fx_val *v)
{
    initialise();
    fx_invoke(&fx_entry, op, v);
    return v[fx_fns[op].nparams];
}

#define FX_STUB_STORAGE static
#define FX_STUB(name) lazy_##name
#define FX_STUB_CALL lazy_call
#include "stubs.h"
#undef FX_STUB
#undef FX_STUB_CALL

/* --- missing: the real library lacks the function --- */

static union fx_val missing_call(int op, union fx_val *v)
{
    const struct fx_fn *fn = &fx_fns[op];
    union fx_val *ret = &v[fn->nparams];
    *ret = (union fx_val){.i = 0};
    int code = fx_abi_code(fx_fail_missing(op));
    if (fn->ret.kind == FX_ERR)
        ret->i = code;
    return *ret;
}

#define FX_STUB(name) missing_##name
#define FX_STUB_CALL missing_call
#include "stubs.h"
#undef FX_STUB
#undef FX_STUB_CALL

#define TABLE_ENTRY(prefix, name) .name = prefix##name,
static const struct fx_api missing = {
#define FX_FN(name) TABLE_ENTRY(missing_, name)
#include "names.h"
#undef FX_FN
};

struct fx_api fx_entry = {
#define FX_FN(name) TABLE_ENTRY(lazy_, name)
#include "names.h"
#undef FX_FN
};

/* --- switching tables --- */

static pthread_mutex_t switch_lock = PTHREAD_MUTEX_INITIALIZER;
static int remote_ever; /* atomic: the remote table was installed, and stays */

static void install(const struct fx_api *from)
{
    const fx_any_fn *src = (const fx_any_fn *)from;
    fx_any_fn *dst = (fx_any_fn *)&fx_entry;
    for (int i = 0; i < FX_NOPS - 1; i++)
        __atomic_store_n(&dst[i], src[i], __ATOMIC_RELAXED);
}

/* An inline function of FAISS's header, which programs built without optimisation call. */
static void local_IndexIVFStats_init(FaissIndexIVFStats *stats)
{
    memset(stats, 0, sizeof *stats);
}

static void install_local(void)
{
    struct fx_api table = missing;
    const struct fx_library *lib = fx_real();
    if (lib) {
        const fx_any_fn *src = (const fx_any_fn *)&lib->api;
        fx_any_fn *dst = (fx_any_fn *)&table;
        for (int i = 0; i < FX_NOPS - 1; i++)
            if (src[i])
                dst[i] = src[i];
    }
    if (!lib || !lib->api.IndexIVFStats_init)
        table.IndexIVFStats_init = local_IndexIVFStats_init;
    if (!lib || !lib->api.real_to_binary)
        table.real_to_binary = fx_custom_table.real_to_binary;
    table.get_last_error = fx_last_error; /* the shim has errors of its own */
    fx_legacy(&table, lib && !lib->api.Clustering_decode_block_size);
    install(&table);
}

/* Once a server was used, the program may hold handles of its objects.  So the remote table, which
 * looks at each handle, stays even when faissx_configure(NULL) returns to the real library. */
static void install_remote(void)
{
    if (!remote_ever) {
        struct fx_api table = fx_remote_table;
        table.get_last_error = fx_last_error;
        fx_legacy(&table, 0);
        install(&table);
        __atomic_store_n(&remote_ever, 1, __ATOMIC_RELEASE);
    }
}

static void after_fork_prepare(void)
{
    fx_join_fork_prepare();
    fx_session_fork_prepare();
    fx_threads_fork_prepare();
    fx_obj_fork_prepare();
}

static void after_fork_parent(void)
{
    fx_obj_fork_done(0);
    fx_threads_fork_done(0);
    fx_session_fork_done(0);
    fx_join_fork_done(0);
}

/* Another thread may have been loading FAISS, or choosing a server: it does not exist here, and
 * will not unlock anything. */
static void after_fork_child(void)
{
    pthread_mutex_init(&switch_lock, NULL);
    fx_real_after_fork();
    fx_settings_after_fork();
    fx_obj_fork_done(1);
    fx_threads_fork_done(1);
    fx_session_fork_done(1);
    fx_join_fork_done(1);
}

/* Runs a second time in a child that was forked meanwhile. */
static void init_once(void)
{
    static int handles_forks;
    const char *server = secure_getenv("FAISSX_SERVER");
    if (!handles_forks)
        pthread_atfork(after_fork_prepare, after_fork_parent, after_fork_child);
    handles_forks = 1;
    pthread_mutex_lock(&switch_lock);
    if (server && *server) {
        /* With a bad address every call fails; none of them works locally instead. */
        fx_session_configure(server, secure_getenv("FAISSX_API_KEY"),
                             secure_getenv("FAISSX_TENANT_ID"));
        install_remote();
    } else {
        install_local();
    }
    pthread_mutex_unlock(&switch_lock);
}

static void initialise(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
}

FX_EXPORT int faissx_configure(const char *server, const char *api_key, const char *tenant_id)
{
    initialise();
    pthread_mutex_lock(&switch_lock);
    int rc = fx_session_configure(server, api_key, tenant_id);
    if (server && *server)
        install_remote();
    else if (!remote_ever)
        install_local();
    pthread_mutex_unlock(&switch_lock);
    if (rc == 0 && server && *server)
        rc = fx_session_open();
    return fx_abi_code(rc);
}

FX_EXPORT int faissx_is_remote(const void *handle)
{
    return handle && fx_obj_is_ours(handle);
}

FX_EXPORT const char *faissx_version(void)
{
    return FAISSX_VERSION;
}
