/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the recording library, in lists, because there are few. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

static struct obj *objects, process;
static int counts[FX_NCLASSES];
static __thread char last_error[512];

int64_t rec_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(last_error, sizeof last_error, fmt, ap);
    va_end(ap);
    return FAISS_EXCEPT;
}

const char *rec_last_error(void)
{
    return *last_error ? last_error : NULL;
}

struct obj *rec_find(const void *p)
{
    for (struct obj *o = objects; o; o = o->next)
        if (o == p)
            return o;
    return NULL;
}

static struct obj *add(int cls)
{
    struct obj *o = calloc(1, sizeof *o);
    if (!o)
        abort();
    o->cls = cls;
    o->next = objects;
    objects = o;
    return o;
}

struct obj *rec_new(int cls)
{
    struct obj *o = add(cls);
    int root = fx_root(cls);
    snprintf(o->name, sizeof o->name, "%s#%d", fx_classes[root].name, ++counts[root]);
    return o;
}

/* Borrowed objects are named after their parent and not numbered, so that the log does not depend
 * on the order in which they are first asked for. */
struct obj *rec_lend(struct obj *parent, const char *name, int64_t key, int cls)
{
    union fx_val *have = rec_prop(parent, name, key);
    if (have)
        return have->p;
    struct obj *o = add(cls);
    int n = snprintf(o->name, sizeof o->name, "%s.%s", parent ? parent->name : "?", name);
    if (key && n > 0 && (size_t)n < sizeof o->name)
        snprintf(o->name + n, sizeof o->name - (size_t)n, "(%lld)", (long long)key);
    o->parent = parent;
    rec_set(parent, name, key, (union fx_val){.p = o});
    return o;
}

void rec_kill(struct obj *o)
{
    if (!o)
        return;
    for (struct obj **at = &objects; *at; at = &(*at)->next)
        if (*at == o) {
            *at = o->next;
            break;
        }
    for (struct obj *c = objects; c;) {
        if (c->parent == o) {
            rec_kill(c);
            c = objects; /* the list changed */
        } else {
            c = c->next;
        }
    }
    for (struct prop *p = o->props, *next; p; p = next) {
        next = p->next;
        if (p->owned)
            free(p->val.p);
        free(p);
    }
    free(o->ids);
    free(o->dis);
    free(o->lims);
    free(o->queries);
    free(o);
}

static struct prop *find_prop(struct obj *o, const char *name, int64_t key)
{
    for (struct prop *p = (o ? o : &process)->props; p; p = p->next)
        if (p->key == key && strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

union fx_val *rec_prop(struct obj *o, const char *name, int64_t key)
{
    struct prop *p = find_prop(o, name, key);
    return p ? &p->val : NULL;
}

void rec_set(struct obj *o, const char *name, int64_t key, union fx_val val)
{
    struct prop *p = find_prop(o, name, key);
    if (!o)
        o = &process;
    if (!p) {
        p = calloc(1, sizeof *p);
        if (!p)
            abort();
        p->name = name;
        p->key = key;
        p->next = o->props;
        o->props = p;
    }
    p->val = val;
}

void rec_set_int(struct obj *o, const char *name, int64_t i)
{
    rec_set(o, name, 0, (union fx_val){.i = i});
}

/* Properties of a new object: those that sizes depend on are fixed, the others only have to be the
 * same each time. */
int64_t rec_int(struct obj *o, const char *name)
{
    static const struct {
        const char *name;
        int value;
    } fixed[] = {
        {"d", 8},           {"d_in", 8},          {"d_out", 8},        {"code_size", 4},
        {"nlist", 4},       {"nprobe", 2},        {"trained_size", 6}, {"is_trained", 1},
        {"metric_type", 1}, {"bytes_per_vec", 4}, {"ntotal", 0},       {"own_fields", 0},
        {"own_indices", 0}, {"nres", 0},          {"qtype", 0},        {"rangestat", 0},
    };
    union fx_val *have = rec_prop(o, name, 0);
    if (have)
        return have->i;
    if (o && fx_root(o->cls) == FX_CLASS_IndexBinary && strcmp(name, "d") == 0)
        return 16;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strcmp(fixed[i].name, name) == 0)
            return fixed[i].value;
    return 1 + (int64_t)(text_sum(name, strlen(name)) % 7);
}

/* Returns memory that is freed with the object. */
void *rec_memory(struct obj *o, const char *name, size_t bytes)
{
    struct prop *p = find_prop(o, name, -1);
    if (p)
        return p->val.p;
    void *m = calloc(1, bytes);
    if (!m)
        abort();
    rec_set(o, name, -1, (union fx_val){.p = m});
    find_prop(o, name, -1)->owned = 1;
    return m;
}

const char *rec_prop_name(const char *function)
{
    const char *name = function + strlen("faiss_"), *after = strchr(name, '_');
    if (after && name[0] >= 'A' && name[0] <= 'Z')
        name = after + 1;
    if (strncmp(name, "set_", 4) == 0 || strncmp(name, "get_", 4) == 0)
        name += 4;
    return name;
}

void rec_fill(void *to, int64_t n, enum fx_elem elem, int seed, int step)
{
    for (int64_t i = 0; i < n; i += step) {
        int v = (int)((seed * 31 + i * 7) % 97);
        switch (elem) {
        case FX_F32:
            ((float *)to)[i] = (float)v / 4;
            break;
        case FX_F64:
            ((double *)to)[i] = v / 4.0;
            break;
        case FX_I32:
            ((int32_t *)to)[i] = v;
            break;
        case FX_I64:
            ((int64_t *)to)[i] = v;
            break;
        case FX_CHAR: /* text, with a NUL at its end */
            ((char *)to)[i] = i + step < n ? (char)('a' + v % 26) : '\0';
            break;
        case FX_CLUSTERING_PARAMS:
            ((FaissClusteringParameters *)to)[i] =
                (FaissClusteringParameters){25, 1, 0, 0, 0, 0, 0, 39, 256, 1234, 32768};
            break;
        default:
            ((uint8_t *)to)[i] = (uint8_t)v;
        }
    }
}
