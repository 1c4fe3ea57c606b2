/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/values/buffer_list.h"

#include <stdlib.h>
#include <string.h>

#include "shim/error.h"
#include "shim/faissx.h"
#include "shim/remote_table.h"
#include "shim/values/values.h"

void fx_buffer_list_init(struct fx_buffer_list *l, size_t buffer_size)
{
    *l = (struct fx_buffer_list){.buffer_size = buffer_size, .wp = buffer_size};
}

void fx_buffer_list_clear(struct fx_buffer_list *l)
{
    for (size_t i = 0; i < l->nbuffers; i++) {
        free(l->buffers[i].ids);
        free(l->buffers[i].dis);
    }
    free(l->buffers);
    l->buffers = NULL;
    l->nbuffers = 0;
}

int fx_buffer_list_append_buffer(struct fx_buffer_list *l)
{
    struct fx_pairs *more, b;
    if (l->buffer_size > PTRDIFF_MAX / sizeof(idx_t))
        return -1;
    more = realloc(l->buffers, (l->nbuffers + 1) * sizeof *more);
    if (!more)
        return -1;
    l->buffers = more;
    b.ids = malloc(l->buffer_size * sizeof *b.ids + 1);
    b.dis = malloc(l->buffer_size * sizeof *b.dis + 1);
    if (!b.ids || !b.dis) {
        free(b.ids);
        free(b.dis);
        return -1;
    }
    l->buffers[l->nbuffers++] = b;
    l->wp = 0;
    return 0;
}

int fx_buffer_list_add(struct fx_buffer_list *l, idx_t id, float dis)
{
    if (l->buffer_size == 0 || (l->wp == l->buffer_size && fx_buffer_list_append_buffer(l) != 0))
        return -1;
    l->buffers[l->nbuffers - 1].ids[l->wp] = id;
    l->buffers[l->nbuffers - 1].dis[l->wp++] = dis;
    return 0;
}

int fx_buffer_list_copy(const struct fx_buffer_list *l, size_t ofs, size_t n, idx_t *ids,
                        float *dis)
{
    size_t have = l->nbuffers ? (l->nbuffers - 1) * l->buffer_size + l->wp : 0;
    if (n == 0)
        return 0;
    if (ofs > have || n > have - ofs)
        return -1;
    while (n > 0) {
        const struct fx_pairs *b = &l->buffers[ofs / l->buffer_size];
        size_t at = ofs % l->buffer_size, k = l->buffer_size - at;
        if (k > n)
            k = n;
        memcpy(ids, b->ids + at, k * sizeof *ids);
        memcpy(dis, b->dis + at, k * sizeof *dis);
        ids += k;
        dis += k;
        ofs += k;
        n -= k;
    }
    return 0;
}

/* --- faiss_BufferList_* --- */

struct list_value {
    struct fx_value head;
    struct fx_buffer_list list;
};

static void list_free(struct fx_value *v)
{
    fx_buffer_list_clear(&((struct list_value *)v)->list);
    free(v);
}

static struct fx_buffer_list *get_list(const void *h, const char *name, struct fx_obj **o)
{
    struct list_value *v = fx_value_get(h, FX_CLASS_BufferList, name, o);
    return v ? &v->list : NULL;
}

int fx_remote_BufferList_new(FaissBufferList **p_bl, size_t buffer_size)
{
    struct list_value *v = fx_value_new(FX_CLASS_BufferList, sizeof *v, list_free, (void **)p_bl,
                                        "faiss_BufferList_new");
    if (!v)
        return fx_abi_code(-1);
    fx_buffer_list_init(&v->list, buffer_size);
    return 0;
}

void fx_remote_BufferList_free(FaissBufferList *obj)
{
    fx_value_end(obj, FX_CLASS_BufferList, "faiss_BufferList_free");
}

size_t fx_remote_BufferList_buffer_size(const FaissBufferList *obj)
{
    struct fx_obj *o;
    const struct fx_buffer_list *l = get_list(obj, "faiss_BufferList_buffer_size", &o);
    size_t n = l ? l->buffer_size : 0;
    fx_obj_release(o);
    return n;
}

size_t fx_remote_BufferList_wp(const FaissBufferList *obj)
{
    struct fx_obj *o;
    const struct fx_buffer_list *l = get_list(obj, "faiss_BufferList_wp", &o);
    size_t n = l ? l->wp : 0;
    fx_obj_release(o);
    return n;
}

int fx_remote_BufferList_append_buffer(FaissBufferList *bl)
{
    static const char name[] = "faiss_BufferList_append_buffer";
    struct fx_obj *o;
    struct fx_buffer_list *l = get_list(bl, name, &o);
    int rc = l ? 0 : -1;
    if (l && fx_buffer_list_append_buffer(l) != 0)
        rc = fx_fail(FAISSX_E_MEMORY, "%s: out of memory", name);
    fx_obj_release(o);
    return fx_abi_code(rc);
}

int fx_remote_BufferList_add(FaissBufferList *bl, idx_t id, float dis)
{
    static const char name[] = "faiss_BufferList_add";
    struct fx_obj *o;
    struct fx_buffer_list *l = get_list(bl, name, &o);
    int rc = l ? 0 : -1;
    if (l && fx_buffer_list_add(l, id, dis) != 0)
        rc = fx_fail(FAISSX_E_MEMORY, "%s: no room for another pair", name);
    fx_obj_release(o);
    return fx_abi_code(rc);
}

int fx_remote_BufferList_copy_range(FaissBufferList *bl, size_t ofs, size_t n, idx_t *dest_ids,
                                    float *dest_dis)
{
    static const char name[] = "faiss_BufferList_copy_range";
    struct fx_obj *o;
    const struct fx_buffer_list *l = get_list(bl, name, &o);
    int rc = l ? 0 : -1;
    if (l && fx_buffer_list_copy(l, ofs, n, dest_ids, dest_dis) != 0)
        rc = fx_fail(FAISSX_E_ARGUMENT, "%s: the list does not have %zu pairs from pair %zu on",
                     name, n, ofs);
    fx_obj_release(o);
    return fx_abi_code(rc);
}
