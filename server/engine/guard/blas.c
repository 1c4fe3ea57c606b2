/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/blas.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST = 128 }; /* buffers; OpenBLAS has slots for a few more than twice the cores */

static const size_t SMALLEST = 1 << 20, LARGEST = 1 << 30; /* bytes that one buffer may take */

static struct {
    void *(*take)(int);
    void (*give)(void *);
    size_t size;
    void *known[MOST]; /* buffers mapped anew by uncount(); never unmapped */
    int n;
} blas;

/* Returns the bytes that now count towards RLIMIT_DATA; 0 if that is unknown. */
static size_t data(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%*u %*u %*u %*u %*u %lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Maps the buffer anew, at the same addresses, so that the kernel counts it as stack and not as
 * data.  Returns 0 or -1. */
static int uncount(void *buffer)
{
    void *p = mmap(buffer, blas.size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    int rc = p == MAP_FAILED ? -1 : 0;
    return rc; // cppcheck-suppress memleak
}

void fxe_blas_init(void *dl)
{
    void *take = dlsym(dl, "blas_memory_alloc"), *give = dlsym(dl, "blas_memory_free");
    if (!take || !give)
        return;
    memcpy(&blas.take, &take, sizeof take);
    memcpy(&blas.give, &give, sizeof give);
    size_t before = data();
    void *first = blas.take(0);
    blas.size = data() - before;
    if (first && (uintptr_t)first % (size_t)sysconf(_SC_PAGESIZE) == 0 && blas.size >= SMALLEST &&
        blas.size <= LARGEST && uncount(first) == 0) {
        blas.known[blas.n++] = first;
    } else {
        blas.size = 0;
    }
    if (first)
        blas.give(first);
}

size_t fxe_blas_buffer(void)
{
    return blas.size;
}

static int is_there_memory(void)
{
    size_t size = blas.size + blas.size / 8;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p != MAP_FAILED && munmap(p, size) == 0;
}

static bool is_known(const void *buffer)
{
    for (int i = 0; i < blas.n; i++)
        if (blas.known[i] == buffer)
            return true;
    return false;
}

/* Takes buffers until enough of them are new, then gives all of them back.  How many that takes
 * depends on how many known buffers are in use now. */
void fxe_blas_reserve(int threads)
{
    void *taken[MOST];
    int n = 0, wanted = blas.n + threads < MOST ? blas.n + threads : MOST;
    while (blas.size && blas.n < wanted && n < MOST && is_there_memory()) {
        void *buffer = blas.take(0);
        if (buffer && !is_known(buffer)) {
            if (uncount(buffer) != 0)
                break; /* the addresses may be unmapped: do not give it back */
            blas.known[blas.n++] = buffer;
        }
        if (!buffer)
            break;
        taken[n++] = buffer;
    }
    while (n-- > 0)
        blas.give(taken[n]);
}
