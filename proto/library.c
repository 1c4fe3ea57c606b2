/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/library.h"

#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Fill names with the variants of libfaiss_c that this CPU can run, best first.  Returns how many.
 */
static int variants(const char *names[3])
{
    int n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw"))
        names[n++] = "libfaiss_c_avx512.so";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        names[n++] = "libfaiss_c_avx2.so";
#endif
    names[n++] = "libfaiss_c.so";
    return n;
}

/* Is the file at `path` our own shim?  The shim's string table holds a name that no other library
 * has.  The file is read rather than loaded, so none of its code runs. */
static int is_shim(const char *path)
{
    static const char mark[] = "faissx_configure";
    char buf[65536 + sizeof mark];
    size_t keep = 0, n;
    int found = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    while (!found && (n = fread(buf + keep, 1, 65536, f)) > 0) {
        n += keep;
        found = memmem(buf, n, mark, sizeof mark) != NULL;
        keep = n < sizeof mark - 1 ? n : sizeof mark - 1;
        memmove(buf, buf + n - keep, keep);
    }
    fclose(f);
    return found;
}

struct library_search {
    char *path;
    size_t pathlen;
    char *why;
    size_t whylen;
};

static void note(struct library_search *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void note(struct library_search *s, const char *fmt, ...)
{
    size_t used = strlen(s->why);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->why + used, s->whylen - used, fmt, ap);
    va_end(ap);
}

/* Take `path` if it is a file and not the shim. */
static int take(struct library_search *s, const char *path)
{
    char real[PATH_MAX];
    if (!realpath(path, real))
        return 0;
    if (is_shim(real)) {
        note(s, "  %s is this shim itself\n", path);
        return 0;
    }
    if (strlen(real) >= s->pathlen)
        return 0;
    memcpy(s->path, real, strlen(real) + 1);
    return 1;
}

static int take_from_folder(struct library_search *s, const char *folder)
{
    const char *names[3];
    int n = variants(names);
    char path[PATH_MAX];
    if (!*folder)
        return 0; /* an empty entry means the current folder, which is never searched */
    for (int i = 0; i < n; i++)
        if (snprintf(path, sizeof path, "%s/%s", folder, names[i]) < (int)sizeof path &&
            take(s, path))
            return 1;
    note(s, "  %s\n", folder);
    return 0;
}

static int take_mapped(struct dl_phdr_info *info, size_t size, void *arg)
{
    const char *base = strrchr(info->dlpi_name, '/');
    (void)size;
    return base && strncmp(base + 1, "libfaiss_c", 10) == 0 && take(arg, info->dlpi_name);
}

static int take_from_list(struct library_search *s, const char *list)
{
    char *copy = list ? strdup(list) : NULL, *save;
    int found = 0;
    if (!copy)
        return 0;
    for (char *d = strtok_r(copy, ":;", &save); d && !found; d = strtok_r(NULL, ":;", &save))
        found = take_from_folder(s, d);
    free(copy);
    return found;
}

/* Search the folders listed in ld.so.conf.d, then the loader's usual ones. */
static int take_from_loader(struct library_search *s)
{
    static const char *const builtin[] = {"/usr/local/lib", "/usr/lib/x86_64-linux-gnu",
                                          "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"};
    glob_t g;
    int found = 0;
    if (glob("/etc/ld.so.conf.d/*.conf", 0, NULL, &g) == 0) {
        for (size_t i = 0; i < g.gl_pathc && !found; i++) {
            char line[PATH_MAX];
            FILE *f = fopen(g.gl_pathv[i], "re");
            while (f && !found && fgets(line, sizeof line, f)) {
                line[strcspn(line, " \t\r\n#")] = '\0';
                if (line[0] == '/')
                    found = take_from_folder(s, line);
            }
            if (f)
                fclose(f);
        }
        globfree(&g);
    }
    for (size_t i = 0; i < sizeof builtin / sizeof *builtin && !found; i++)
        if (access(builtin[i], X_OK) == 0)
            found = take_from_folder(s, builtin[i]);
    return found;
}

/* 1.7.3 before 1.10.0. */
static int by_version(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

/* Search the builds that `make engine` made for this user, newest version first. */
static int take_from_cache(struct library_search *s)
{
    const char *home = secure_getenv("HOME"), *xdg = secure_getenv("XDG_CACHE_HOME");
    const char *own = secure_getenv("FAISSX_CACHE");
    char pattern[PATH_MAX];
    glob_t g;
    int found = 0;
    if (own)
        snprintf(pattern, sizeof pattern, "%s/engine-*", own);
    else if (xdg || home)
        snprintf(pattern, sizeof pattern, "%s%s/faissx/engine-*", xdg ? xdg : home,
                 xdg ? "" : "/.cache");
    else
        return 0;
    if (glob(pattern, 0, NULL, &g) == 0) {
        qsort(g.gl_pathv, g.gl_pathc, sizeof *g.gl_pathv, by_version);
        for (size_t i = g.gl_pathc; i-- > 0 && !found;)
            found = take_from_folder(s, g.gl_pathv[i]);
        globfree(&g);
    } else {
        note(s, "  %s\n", pattern);
    }
    return found;
}

int fx_library_find(const char *wanted, char *path, size_t pathlen, char *why, size_t whylen)
{
    struct library_search s = {path, pathlen, why, whylen};
    const char *env = secure_getenv("FAISSX_FAISS_LIBRARY");
    const char *asked = wanted && *wanted ? wanted : env;
    *why = '\0';
    if (asked && *asked) {
        if (take(&s, asked))
            return 0;
        note(&s, "no real libfaiss_c at '%s' (%s)\n", asked,
             asked == env ? "FAISSX_FAISS_LIBRARY" : "asked for");
        return -1;
    }
    note(&s, "no libfaiss_c found; looked in:\n");
    if (dl_iterate_phdr(take_mapped, &s) || take_from_list(&s, secure_getenv("LD_LIBRARY_PATH")) ||
        take_from_loader(&s) || take_from_cache(&s))
        return 0;
    note(&s, "Get one with `make engine` in the sources of FAISSx, or name yours in "
             "FAISSX_FAISS_LIBRARY.\n");
    return -1;
}

/* Guess the version of a library that lacks faiss_get_version() (before v1.9.0): the release that
 * introduced the newest function it has. */
static void version_by_symbols(struct fx_library *lib)
{
    int best[3] = {0, 0, 0};
    for (int op = 1; op < FX_NOPS; op++) {
        int v[3];
        if (!fx_library_has(lib, op) || fx_fns[op].flags & FX_NEVER ||
            sscanf(fx_fns[op].since, "%d.%d.%d", &v[0], &v[1], &v[2]) != 3)
            continue;
        for (int i = 0; i < 3; i++) {
            if (v[i] == best[i])
                continue;
            if (v[i] > best[i])
                memcpy(best, v, sizeof best);
            break;
        }
    }
    snprintf(lib->version, sizeof lib->version, "%d.%d.%d", best[0], best[1], best[2]);
}

int faissx_opens_faiss;

int fx_library_load(struct fx_library *lib, const char *path, char *why, size_t whylen)
{
    fx_any_fn *slots = (fx_any_fn *)&lib->api;
    int have = 0;
    _Static_assert(sizeof(struct fx_api) == (FX_NOPS - 1) * sizeof(fx_any_fn),
                   "one pointer for each function");
    snprintf(lib->path, sizeof lib->path, "%s", path);
    /* No RTLD_DEEPBIND: it breaks sanitizers and allocators.  FAISS's C API does not need it,
     * because it never calls itself through its exported names. */
    __atomic_store_n(&faissx_opens_faiss, gettid(), __ATOMIC_RELAXED);
    lib->dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    __atomic_store_n(&faissx_opens_faiss, 0, __ATOMIC_RELAXED);
    if (!lib->dl) {
        snprintf(why, whylen, "%s", dlerror());
        return -1;
    }
    if (dlsym(lib->dl, "faissx_configure")) {
        snprintf(why, whylen, "%s is this shim itself, not a real libfaiss_c", path);
        return -1;
    }
    for (int op = 1; op < FX_NOPS; op++) {
        void *sym = dlsym(lib->dl, fx_fns[op].name);
        memcpy(&slots[op - 1], &sym, sizeof sym);
        have += sym != NULL;
    }
    if (!lib->api.Index_search || have < 50) {
        snprintf(why, whylen, "%s has only %d functions of FAISS's C API", path, have);
        return -1;
    }
    if (lib->api.get_version)
        snprintf(lib->version, sizeof lib->version, "%s", lib->api.get_version());
    else
        version_by_symbols(lib);
    return 0;
}

int fx_library_has(const struct fx_library *lib, int op)
{
    return ((const fx_any_fn *)&lib->api)[op - 1] != NULL;
}

void fx_library_missing(const struct fx_library *lib, int op, char *text, size_t len)
{
    const struct fx_fn *fn = &fx_fns[op];
    if (fn->flags & FX_NEVER)
        snprintf(text, len, "faissx: %s is not in %s (FAISS %s); no release of FAISS exports it",
                 fn->name, lib->path, lib->version);
    else if (fn->flags & FX_FORK)
        snprintf(text, len, "faissx: %s is not in %s (FAISS %s); only some forks of FAISS have it",
                 fn->name, lib->path, lib->version);
    else
        snprintf(text, len, "faissx: %s is not in %s (FAISS %s); %s FAISS %s%s", fn->name,
                 lib->path, lib->version, fn->until ? "it was part of" : "it came with", fn->since,
                 fn->flags & FX_GPU ? ", GPU builds only" : "");
}
