/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/dialect/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 1 << 24 };

/* Reads a number of up to 8 digits.  Returns false if there is none, and *at stays. */
static bool number(const char **at, int *n)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    long v = strtol(*at, &end, 10);
    if (end - *at > 8 || v > NUMBER_MAX)
        return false;
    *at = end;
    *n = (int)v;
    return true;
}

static bool word(const char **at, const char *w)
{
    size_t n = strlen(w);
    if (strncmp(*at, w, n) != 0)
        return false;
    *at += n;
    return true;
}

/* FAISS's factory has no description of the uniform and direct kinds: they become the usual ones of
 * as many bits.  `native`: the number is FAISS's own, as IndexIVFScalarQuantizer sends it. */
static const char *quantizer(int q, bool native)
{
    if (q == 16 || (native && q == 4))
        return "SQfp16";
    if (q == 4 || (native && (q == 1 || q == 3)))
        return "SQ4";
    if (q == 6 || (!native && q == 7))
        return "SQ6";
    return q == 0 || q == 8 || q == 2 || q == 5 || (!native && q == 3) ? "SQ8" : NULL;
}

static bool read_ivf(const char *at, struct fxd_type *t)
{
    const char *sq;
    t->nlist = 100;
    if (!number(&at, &t->nlist) && *at)
        return false;
    t->kind = FXD_IVF;
    if (t->nlist < 1)
        return false;
    if (!*at || strcmp(at, ",Flat") == 0) {
        snprintf(t->description, sizeof t->description, "IVF%d,Flat", t->nlist);
        return true;
    }
    if (word(&at, "_SQ")) {
        t->kind = FXD_IVFSQ;
        if (!number(&at, &t->q) || *at || !(sq = quantizer(t->q, true)))
            return false;
        snprintf(t->description, sizeof t->description, "IVF%d,%s", t->nlist, sq);
        return true;
    }
    t->kind = FXD_IVFPQ;
    t->bits = 8;
    if (!word(&at, ",PQ") || !number(&at, &t->m) || (word(&at, "x") && !number(&at, &t->bits)) ||
        *at)
        return false;
    snprintf(t->description, sizeof t->description, "IVF%d,PQ%dx%dnp", t->nlist, t->m, t->bits);
    return true;
}

/* "np": without the polysemous training that FAISS's factory adds, as IndexPQ and IndexIVFPQ are.
 */
static bool read_pq(const char *at, struct fxd_type *t)
{
    t->kind = FXD_PQ;
    t->m = t->bits = 8;
    if (number(&at, &t->m) && word(&at, "x") && !number(&at, &t->bits))
        return false;
    snprintf(t->description, sizeof t->description, "PQ%dx%dnp", t->m, t->bits);
    return !*at;
}

static bool read_hnsw(const char *at, struct fxd_type *t)
{
    t->kind = FXD_HNSW;
    t->m = 32;
    number(&at, &t->m);
    snprintf(t->description, sizeof t->description, "HNSW%d,Flat", t->m);
    return !*at && t->m > 1;
}

static bool read_sq(const char *at, struct fxd_type *t)
{
    const char *sq;
    t->kind = FXD_SQ;
    if (!number(&at, &t->q) || *at || !(sq = quantizer(t->q, false)))
        return false;
    snprintf(t->description, sizeof t->description, "%s", sq);
    return true;
}

static bool read_binary(const char *at, struct fxd_type *t)
{
    t->kind = FXD_BINARY;
    if (!*at || strcmp(at, "_FLAT") == 0) {
        strcpy(t->description, "BFlat");
        return true;
    }
    if (word(&at, "_IVF")) {
        t->nlist = 100;
        number(&at, &t->nlist);
        snprintf(t->description, sizeof t->description, "BIVF%d", t->nlist);
        return !*at && t->nlist > 0;
    }
    t->bits = 8;
    if (!word(&at, "_HASH"))
        return false;
    number(&at, &t->bits);
    snprintf(t->description, sizeof t->description, "BHash%d", t->bits);
    return !*at && t->bits > 0;
}

/* An index behind a transform: "PCA4,L2". */
static bool read_transform(const char *name, struct fxd_type *t)
{
    static const struct {
        const char *name, *faiss;
        int numbers; /* that follow it */
    } known[] = {{"L2NORM", "L2norm", 0}, {"NORM", "L2norm", 0}, {"PCAR", "PCAR", 1},
                 {"PCA", "PCA", 1},       {"OPQ", "OPQ", 2},     {"RR", "RR", 1},
                 {"ITQ", "ITQ", 0}};
    struct fxd_type inner;
    const char *comma = strchr(name, ',');
    if (!comma)
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *at = name;
        char numbers[24] = "";
        int a = 0, b = 0;
        if (!word(&at, known[i].name))
            continue;
        if (known[i].numbers && !number(&at, &a))
            return false;
        if (known[i].numbers == 2 && word(&at, "_") && !number(&at, &b))
            return false;
        if (at != comma || fxd_type_read(comma + 1, &inner) != 0 || inner.kind >= FXD_TRANSFORM)
            return false;
        if (b)
            snprintf(numbers, sizeof numbers, "%d_%d", a, b);
        else if (a)
            snprintf(numbers, sizeof numbers, "%d", a);
        t->kind = FXD_TRANSFORM;
        t->ip = inner.ip;
        int n = snprintf(t->description, sizeof t->description, "%s%s,%s", known[i].faiss, numbers,
                         inner.description);
        return n < (int)sizeof t->description;
    }
    return false;
}

static bool read_plain(const char *name, struct fxd_type *t)
{
    const char *at = name;
    if (strcmp(at, "L2") == 0 || strcmp(at, "Flat") == 0) {
        strcpy(t->description, "Flat");
        return true;
    }
    if (word(&at, "HNSW"))
        return read_hnsw(at, t);
    if (word(&at, "IVF"))
        return read_ivf(at, t);
    if (word(&at, "PQ"))
        return read_pq(at, t);
    if (word(&at, "SQ"))
        return read_sq(at, t);
    if (word(&at, "LSH")) {
        t->kind = FXD_LSH;
        number(&at, &t->bits);
        strcpy(t->description, "LSH"); /* the factory's has as many bits as dimensions */
        return !*at;
    }
    return false;
}

int fxd_type_read(const char *name, struct fxd_type *t)
{
    char plain[100];
    const char *at = name;
    size_t n = strlen(name);
    *t = (struct fxd_type){.kind = FXD_FLAT};
    if (strcmp(name, "IP") == 0) {
        t->ip = true;
        strcpy(t->description, "Flat");
        return 0;
    }
    if (n >= sizeof plain)
        return -1;
    if (word(&at, "BINARY"))
        return read_binary(at, t) ? 0 : -1;
    if (read_transform(name, t))
        return 0;
    strcpy(plain, name);
    *t = (struct fxd_type){.kind = FXD_FLAT};
    t->ip = n > 3 && strcmp(plain + n - 3, "_IP") == 0;
    if (t->ip)
        plain[n - 3] = '\0';
    return read_plain(plain, t) ? 0 : -1;
}
