/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs of the end-to-end tests share.  They are unmodified users of FAISS:
 * nothing here knows of a server. */
#ifndef E2E_CLIENT_H
#define E2E_CLIENT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "faiss_c_compat.h"

/* The same numbers with every C library. */
static inline void fill(float *x, size_t n, uint32_t seed)
{
    uint32_t s = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;
        x[i] = (float)(s >> 8) / (float)(1 << 24);
    }
}

static inline float *random_vectors(size_t n, size_t d, uint32_t seed)
{
    float *x = malloc(n * d * sizeof *x);
    if (!x)
        abort();
    fill(x, n * d, seed);
    return x;
}

static inline uint64_t checksum(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static inline const char *last_error(void)
{
    const char *e = faiss_get_last_error();
    return e ? e : "(no error)";
}

/* A call that must succeed; ends the program otherwise. */
#define MUST(call)                                                                       \
    do {                                                                                 \
        int rc_ = (call);                                                                \
        if (rc_) {                                                                       \
            printf("%s:%d: %s: %d, %s\n", __FILE__, __LINE__, #call, rc_, last_error()); \
            fflush(stdout);                                                              \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

static inline void say(const char *text)
{
    printf("%s\n", text);
    fflush(stdout);
}

#endif
