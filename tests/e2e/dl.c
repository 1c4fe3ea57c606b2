/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that opens the library at run time, as runtimes of other languages do: by the names
 * and paths in its arguments, or else by the name libfaiss_c.so.  Two arguments are commands:
 *
 *     maps     print the mapped files with FAISS in their names
 *     local    stop using the server: libraries opened from then on run in process
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void *lib;

static void *symbol(const char *name)
{
    void *p = dlsym(lib, name);
    if (!p)
        printf("%s\n", dlerror());
    return p;
}

static int use(const char *name)
{
    lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        printf("%s\n", dlerror());
        return 1;
    }
    int (*factory)(void **, int, const char *, int);
    int (*add)(void *, int64_t, const float *);
    int64_t (*ntotal)(const void *);
    void (*release)(void *);
    const char *(*error)(void);
    *(void **)&factory = symbol("faiss_index_factory");
    *(void **)&add = symbol("faiss_Index_add");
    *(void **)&ntotal = symbol("faiss_Index_ntotal");
    *(void **)&release = symbol("faiss_Index_free");
    *(void **)&error = symbol("faiss_get_last_error");
    if (!factory || !add || !ntotal || !release || !error)
        return 1;
    void *index = NULL;
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    if (factory(&index, 4, "Flat", 1) != 0 || add(index, 2, x) != 0) {
        printf("%s\n", error());
        return 1;
    }
    printf("%lld\n", (long long)ntotal(index));
    release(index);
    index = NULL;
    int rc = factory(&index, 4, "Nonsense", 1);
    printf("%d %d\n", rc, strstr(error(), "Nonsense") != NULL);
    return dlclose(lib);
}

static int maps(void)
{
    char line[4096], last[4096] = "";
    FILE *f = fopen("/proc/self/maps", "re");
    while (f && fgets(line, sizeof line, f)) {
        const char *path = strchr(line, '/'), *base = strrchr(line, '/');
        if (path && strstr(base, "faiss") && strcmp(path, last) != 0) {
            printf("maps %s", path);
            strcpy(last, path);
        }
    }
    return f ? fclose(f) : 1;
}

static int local(void)
{
    int (*configure)(const char *, const char *, const char *);
    *(void **)&configure = symbol("faissx_configure");
    return configure ? configure(NULL, NULL, NULL) : 1;
}

int main(int argc, char **argv)
{
    int rc = argc < 2 ? use("libfaiss_c.so") : 0;
    for (int i = 1; i < argc && rc == 0; i++)
        rc = strcmp(argv[i], "maps") == 0    ? maps()
             : strcmp(argv[i], "local") == 0 ? local()
                                             : use(argv[i]);
    return rc;
}
