/* SPDX-License-Identifier: Apache-2.0 */
#include "blas.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST = 128 }; /* buffers; OpenBLAS has room for twice its cores, and some */

static const size_t SMALLEST = 1 << 20, LARGEST = 1 << 30; /* else this is not what it seems */

static struct {
    void *(*take)(int);
    void (*give)(void *);
    size_t size;
    int reserved;
} blas;

/* Bytes that count as data, now. */
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

/* The same addresses, as a mapping that the kernel counts with the stacks.  Returns 0 or -1. */
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
        blas.reserved = 1;
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

/* What is given back is kept, and used again. */
void fxe_blas_reserve(int threads)
{
    void *buffers[MOST];
    int n = 0, wanted = blas.reserved + threads;
    if (!blas.size || wanted > MOST)
        return;
    while (n < wanted && (n < blas.reserved || is_there_memory())) {
        if (!(buffers[n] = blas.take(0)))
            break;
        if (n >= blas.reserved && uncount(buffers[n]) != 0)
            break; /* the addresses may be gone: it is not given back */
        n++;
    }
    blas.reserved = n;
    while (n-- > 0)
        blas.give(buffers[n]);
}
