/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets share.  A target writes its own seeds: LLVMFuzzerInitialize runs before
 * libFuzzer reads the corpus, so files that it writes to the first corpus directory become part
 * of it.
 */
#ifndef FX_SEED_H
#define FX_SEED_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* libFuzzer keeps the input that ends the process. */
static inline void require(int condition)
{
    if (!condition)
        abort();
}

/* The first directory among libFuzzer's arguments, or NULL. */
static const char *seed_dir(int argc, char **argv)
{
    struct stat st;
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-' && stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
            return argv[i];
    return NULL;
}

static void seed(const char *dir, const char *name, const void *data, size_t n)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/seed-%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f)
        return;
    fwrite(data, 1, n, f);
    fclose(f);
}

#endif
