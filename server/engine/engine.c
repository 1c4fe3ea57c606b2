/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/engine.h"

#include <dlfcn.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "proto/sodium.h"
#include "server/engine/call/code_size.h"
#include "server/engine/call/printed.h"
#include "server/engine/guard/blas.h"
#include "server/engine/guard/catch.h"
#include "server/engine/guard/room.h"
#include "server/engine/guard/sandbox.h"
#include "server/engine/keep/keep.h"
#include "server/engine/run/house.h"
#include "server/engine/run/wide.h"
#include "server/engine/search/coalesce.h"
#include "server/engine/search/split.h"
#include "server/log.h"
#include "server/machine.h"

struct fxe_engine fxe_engine = {.lock = PTHREAD_MUTEX_INITIALIZER};

int64_t fxe_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Returns how many threads wide work uses: OMP_NUM_THREADS, or the cores this process may use. */
static int wide_cores(void)
{
    const char *env = getenv("OMP_NUM_THREADS");
    int n = env ? atoi(env) : 0;
    return n > 0 ? n : fxs_cores_of_machine();
}

/* By default the threads of OpenMP and of OpenBLAS spin while they wait, and each pool assumes
 * that it has all cores to itself: as soon as anything else runs, a search becomes 20 to 100
 * times slower.  Both libraries read these variables when they are loaded. */
static void thread_policy(void)
{
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
    setenv("OMP_WAIT_POLICY", "PASSIVE", 0);
    setenv("OMP_DYNAMIC", "false", 0);
    setenv("OMP_STACKSIZE", "4M", 0); /* stacks count against RLIMIT_DATA in full */
}

static int load_library(const char *path)
{
    char found[4096], why[8192];
    if (fx_library_find(path, found, sizeof found, why, sizeof why) != 0 ||
        fx_library_load(&fxe_engine.lib, found, why, sizeof why) != 0) {
        fxs_log(FXS_ERROR, "engine", "event=cannot-load-library path=%s why=\"%s\"", path, why);
        return -1;
    }
    void *omp = dlsym(fxe_engine.lib.dl, "omp_set_num_threads");
    memcpy(&fxe_engine.omp_set_num_threads, &omp, sizeof omp);
    fxe_blas_init(fxe_engine.lib.dl);
    /* Prefer the operator delete[] that FAISS itself resolves: libzmq has loaded a C++ runtime. */
    void *delete_array = dlsym(RTLD_DEFAULT, "_ZdaPv");
    if (!delete_array)
        delete_array = dlsym(fxe_engine.lib.dl, "_ZdaPv");
    fxe_engine.delete_array = free; /* for a library not written in C++ */
    if (delete_array)
        memcpy(&fxe_engine.delete_array, &delete_array, sizeof delete_array);
    fxe_split_init(fxe_engine.lib.dl);
    fxe_catch_init(fxe_engine.lib.dl);
    fxe_code_size_repair(&fxe_engine.lib);
    return 0;
}

/* Makes an allocation beyond the limit fail rather than end the engine: FAISS
 * then throws std::bad_alloc, which its C API reports as -4. */
static void limit_memory(long mib)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* sanitizers map terabytes */
    struct rlimit limit;
    if (mib > 0 && getrlimit(RLIMIT_DATA, &limit) == 0) {
        rlim_t want = (rlim_t)mib << 20; /* the front adjusts the soft limit later */
        limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
        setrlimit(RLIMIT_DATA, &limit);
    }
#else
    (void)mib;
#endif
}

int fxe_main(int argc, char **argv)
{
    const struct fxs_options *o = &fxe_engine.options;
    struct rlimit files;
    fxe_engine.started_ms = fxe_now_ms();
    fxe_engine.cores = wide_cores();
    if (fxs_options_engine(&fxe_engine.options, argc, argv) != 0)
        return 2;
    fxe_engine.max_pending = (size_t)o->max_pending << 20;
    /* The front decides when the engine ends, but Ctrl-C signals the whole process group. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    /* No core dumps: the link to the front closes only after the core is written.  A large one
     * takes long, and the tenant's clients would wait for it. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* each connection needs a descriptor */
        setrlimit(RLIMIT_NOFILE, &files);
    }
    /* Keep the memory of freed array pieces for the next ones: the kernel clears every page that
     * it hands out, which takes longer than filling it. */
    mallopt(M_MMAP_THRESHOLD, 16 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
    mallopt(M_ARENA_MAX, o->threads + 2); /* every arena retains freed memory */
    thread_policy();
    if (load_library(o->library) != 0)
        return 3;
    fxe_blas_reserve(o->threads);
    limit_memory(o->memory ? o->memory : o->total_memory); /* now: see guard/blas.h */
    fxe_room_init();
    fxe_wide_init();
    if (!fx_sodium()) /* before files are out of reach */
        fxs_log(FXS_WARN, "engine", "event=no-curve why=\"%s\"", fx_sodium_why());
    fxe_sandbox(fxe_engine.lib.api.get_num_gpus != NULL, o->store_dir);
    fxe_sandbox_syscalls(fxe_engine.lib.api.get_num_gpus != NULL);
    fxe_printed_init();
    if (getrandom(&fxe_engine.instance, sizeof fxe_engine.instance, 0) < 0)
        fxe_engine.instance = (uint64_t)getpid();
    fxs_log(FXS_INFO, "engine", "event=start tenant=%s pid=%d threads=%d faiss=%s library=%s",
            o->tenant, (int)getpid(), o->threads, fxe_engine.lib.version, fxe_engine.lib.path);
    if (fxe_keep_open() != 0 || fxe_keep_start() != 0)
        return 4;
    fxe_house_run(o->link);
    fxe_keep_stop();
    fflush(NULL);
    _exit(0); /* FAISS's threads and destructors have nothing left to save */
}
