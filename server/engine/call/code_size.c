/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/call/code_size.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SLOTS = 64 };

static struct {
    int (*ask)(const FaissIndex *, size_t *);
    int slot; /* of sa_code_size() in the vtable, or -1 */
} original = {NULL, -1};

/* Returns the slot of sa_code_size(), from its address in the vtable of faiss::Index; or -1. */
static int find_slot(void *dl)
{
    void *function = dlsym(dl, "_ZNK5faiss5Index12sa_code_sizeEv");
    void *const *table = dlsym(dl, "_ZTVN5faiss5IndexE");
    Dl_info info;
    if (!function || !table || !dladdr(function, &info))
        return -1;
    /* Two words precede the functions; the first two functions are the destructors, which may be
     * NULL in an abstract class. */
    for (int i = 4; i < MAX_SLOTS + 2; i++) {
        Dl_info next;
        if (table[i] == function)
            return i - 2;
        /* The entry of a pure virtual function lies in another library.  An entry that is not an
         * address is past the end of the vtable. */
        if (!table[i] || !dladdr(table[i], &next))
            return -1;
    }
    return -1;
}

/* Calls the library's function for its return code and error text, then the index's method for
 * the size. */
static int repaired(const FaissIndex *index, size_t *size)
{
    typedef size_t (*method)(const FaissIndex *);
    size_t unset = (size_t)-1;
    method get;
    int rc = original.ask(index, &unset);
    if (rc != 0)
        return rc;
    memcpy(&get, &(*(void *const *const *)(const void *)index)[original.slot], sizeof get);
    *size = get(index);
    return 0;
}

/* Used if the slot was not found. */
static int unknown(const FaissIndex *index, size_t *size)
{
    (void)index;
    (void)size;
    return STD_EXCEPT;
}

void fxe_code_size_repair(struct fx_library *lib)
{
    int major = 0, minor = 0;
    sscanf(lib->version, "%d.%d", &major, &minor);
    if (!lib->api.Index_sa_code_size || major > 1 || minor >= 12)
        return;
    original.ask = lib->api.Index_sa_code_size;
    original.slot = find_slot(lib->dl);
    lib->api.Index_sa_code_size = original.slot >= 0 ? repaired : unknown;
}
