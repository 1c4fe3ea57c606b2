/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads and searches index files that were truncated or changed: hostile FILE CUTS FLIPS
 *
 * A newer FAISS checks what it reads.  An older one may crash and end the tenant's engine; the
 * client must report that once, and the next call must work.
 */
#include <unistd.h>

#include "cases.h"

enum { K = 3, MAX_D = 1024 };

static int loads, refused, deaths, slow;

static int dead(void)
{
    return strstr(last_error(), " died (") != NULL;
}

static void try_bytes(const char *name, const uint8_t *data, size_t size)
{
    static float x[MAX_D], distances[K];
    idx_t labels[K];
    FaissIndex *index = NULL;
    FILE *f = fopen(name, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        exit(1);
    time_t begun = time(NULL);
    loads++;
    int rc = F(read_index_fname)(name, 0, &index), died = rc != 0 && dead();
    if (rc == 0 && F(Index_d)(index) <= MAX_D && F(Index_search)(index, 1, x, K, distances, labels))
        died = dead();
    slow += time(NULL) - begun > 2;
    refused += rc != 0 && !died;
    deaths += died;
    if (index)
        F(Index_free)(index);
    FaissIndex *next = NULL;
    if (died && F(index_factory)(&next, 4, "Flat", METRIC_L2) != 0) {
        printf("the call after the engine's death: %s\n", last_error());
        bad++;
    }
    if (next)
        F(Index_free)(next);
}

int main(int argc, char **argv)
{
    static uint8_t data[1 << 20];
    char name[] = "/tmp/faissx-hostile.XXXXXX";
    FILE *f = argc == 4 ? fopen(argv[1], "rb") : NULL;
    int fd = mkstemp(name);
    if (!f || fd < 0)
        return 2;
    close(fd);
    faiss_Index_free(NULL);
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    int cuts = atoi(argv[2]), flips = atoi(argv[3]);
    for (int i = 0; i < cuts; i++)
        try_bytes(name, data, size * (size_t)i / (size_t)cuts);
    uint32_t s = 4711;
    for (int i = 0; i < flips; i++) {
        s = s * 1664525u + 1013904223u;
        /* Most of a file is vectors, so aim half of the changes at the headers. */
        size_t at = (i & 1 ? s >> 4 : (s >> 8) % 400) % size;
        uint8_t old = data[at];
        data[at] ^= (uint8_t)(1u << (s >> 29));
        if (i % 3 == 0)
            data[at] = 255;
        try_bytes(name, data, size);
        data[at] = old;
    }
    unlink(name);
    printf("%d files, %d refused, %d slow, %d deaths, %d bad\n", loads, refused, slow, deaths, bad);
    return bad != 0;
}
