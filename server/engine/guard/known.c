/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/guard/known.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine/guard/facts.h"
#include "server/engine/guard/guard.h"
#include "server/engine/guard/shape.h"

enum { SHAPES = 4096 }; /* to remember; nothing is learnt of further ones */

static struct {
    pthread_mutex_t lock;
    struct fxe_shape *shapes;
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* With other metrics than L2 and inner product, FastScan classes of additive quantizers write
 * outside of their tables.  What crashes then may be a later call, so a trial of this one shows
 * nothing. */
static bool spoils_memory(const char *shape)
{
    static const char *const patterns[] = {"ILfs:+", "ILfs:#", "IRfs:+", "IRfs:#",
                                           "IPLf:+", "IPLf:#", "IPRf:+", "IPRf:#"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (fxe_shape_matches(shape, patterns[i]))
            return true;
    return false;
}

/* Not in a file are a pointer of IVF FastScan classes, since FAISS 1.10, and tables of a lattice.
 */
static bool decodes_always(const char *shape)
{
    static const char *const words[] = {"IxF2", "IxFI", "IxFl", "IwFl", "IxPq", "IwPQ", "IxSQ",
                                        "IwSq", "IHNf", "IHNp", "IHNs", "IxMp", "IxM2", "IxPT",
                                        "IxRF", "IBxF", "IBwF", "IBHf", "IBMp", "IBM2"};
    return fxe_shape_consists_of(shape, words, sizeof words / sizeof *words);
}

/* In a refined index, the C API does not show the FastScan IVF of which a search ends the process
 * if it looks at more lists than there are (before 1.12). */
static bool searches_always(const char *shape)
{
    static const char *const fast_scan[] = {"IwPf", "IVLf", "IVRf"};
    for (size_t i = 0; i < sizeof fast_scan / sizeof *fast_scan; i++)
        if (strstr(shape, fast_scan[i]) && strstr(shape, "IxRF"))
            return false;
    return true;
}

static bool has_residual_quantizer(const char *shape)
{
    static const char *const words[] = {"IxRQ", "IxRq", "IwRQ", "ImRQ", "IxPR",
                                        "IwPR", "IRfs", "IVRf", "IPRf", "NPRf"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(shape, words[i]))
            return true;
    return false;
}

static struct fxe_shape *new_shape(const char *text)
{
    size_t n = strlen(text);
    struct fxe_shape *s = calloc(1, sizeof *s + n + 1);
    if (s) {
        memcpy(s->text, text, n);
        s->spoils = spoils_memory(s->text);
        s->encodes_finite = has_residual_quantizer(s->text);
        s->finds_finite = strstr(s->text, "ImRQ") != NULL;
        s->decodes = decodes_always(s->text);
        s->searches = searches_always(s->text);
        s->lattice = strstr(s->text, "IxLa") != NULL;
        s->uneven = strstr(s->text, FXE_SHAPE_UNEVEN) != NULL;
    }
    return s;
}

static struct fxe_shape *intern(const char *text)
{
    struct fxe_shape *s = NULL;
    size_t n = strlen(text);
    pthread_mutex_lock(&memory.lock);
    HASH_FIND(hh, memory.shapes, text, n, s);
    if (!s && HASH_COUNT(memory.shapes) < SHAPES && (s = new_shape(text)))
        HASH_ADD(hh, memory.shapes, text[0], n, s);
    pthread_mutex_unlock(&memory.lock);
    return s;
}

uint8_t *fxe_known(struct fxe_shape *s, enum fxe_act act, unsigned given)
{
    uint8_t *all = __atomic_load_n(&s->known[act], __ATOMIC_ACQUIRE);
    if (!all) {
        uint8_t *none = NULL;
        if (!(all = calloc(1, FXE_CIRCUMSTANCES)))
            return NULL;
        if (!__atomic_compare_exchange_n(&s->known[act], &none, all, 0, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            free(all);
            all = none;
        }
    }
    return &all[given];
}

/* Appends the shapes of parts that FAISS does not write with the object, such as shards. */
static void add_parts(const struct fxe_obj *o, char *text)
{
    for (int i = 0; i < o->nkeeps; i++) {
        char part[FXE_SHAPE_MAX];
        int root = fx_root(o->keeps[i]->cls);
        if (root != FX_CLASS_Index && root != FX_CLASS_IndexBinary)
            continue;
        fxe_shape_text(fxe_api(), o->keeps[i]->ptr, root == FX_CLASS_IndexBinary, part);
        add_parts(o->keeps[i], part);
        if (*part && !strstr(text, part) && strlen(text) + strlen(part) + 2 < FXE_SHAPE_MAX) {
            strcat(text, " ");
            strcat(text, part);
        }
    }
}

static void free_shape(struct fxe_shape *s)
{
    for (int i = 0; i < FXE_NACTS; i++)
        free(s->known[i]);
    free(s);
}

/* An index that FAISS cannot write is known by its class only.  Its parts may be anything, so what
 * is learnt of it holds for no other index.  Shards are an exception: their parts are known. */
struct fxe_shape *fxe_known_shape(struct fxe_obj *o)
{
    struct fxe_shape *s = __atomic_load_n(&o->shape, __ATOMIC_ACQUIRE), *none = NULL;
    char text[FXE_SHAPE_MAX];
    if (s)
        return s;
    fxe_shape_text(fxe_api(), o->ptr, fx_root(o->cls) == FX_CLASS_IndexBinary, text);
    if (strncmp(text, "N5faiss", 7) != 0)
        s = intern(text);
    else if (o->nkeeps) {
        add_parts(o, text);
        return intern(text); /* not kept in `o`, which may get more parts */
    } else {
        o->own_shape = (s = new_shape(text)) != NULL;
    }
    if (s &&
        !__atomic_compare_exchange_n(&o->shape, &none, s, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        if (o->own_shape) /* another thread was faster */
            free_shape(s);
        s = none;
    }
    return s;
}

void fxe_guard_forget(struct fxe_obj *o)
{
    if (o->own_shape)
        free_shape(o->shape);
}
