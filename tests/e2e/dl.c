/* SPDX-License-Identifier: Apache-2.0 */
/* A program that opens the library by its bare name, as runtimes of other languages do. */
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

int main(void)
{
    lib = dlopen("libfaiss_c.so", RTLD_NOW | RTLD_LOCAL);
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
