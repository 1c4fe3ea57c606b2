/* SPDX-License-Identifier: Apache-2.0 */
/* The action that merges indexes. */
#include <stdio.h>
#include <string.h>

#include "server/engine/dialect/ask.h"

static int read_sources(struct fxd_ask *a, const msgpack_object **list)
{
    const msgpack_object *target = fxd_get(a, "target_index_id"),
                         *sources = fxd_get(a, "source_index_ids");
    *list = sources;
    /* The client's merge_indices sends a list and a type; it goes on by itself after an error. */
    if (!target || target->type != MSGPACK_OBJECT_STR)
        return fxd_error(a, NULL, "target_index_id must be a string");
    if (!sources || sources->type != MSGPACK_OBJECT_ARRAY)
        return fxd_error(a, NULL, "source_index_ids must be a list of strings");
    if (sources->via.array.size == 0)
        return fxd_error(a, NULL, "No source indices provided for merging");
    if (sources->via.array.size > sizeof a->counts / sizeof *a->counts)
        return fxd_error(a, NULL, "More than %zu source indices",
                         sizeof a->counts / sizeof *a->counts);
    snprintf(a->name, sizeof a->name, "%.*s",
             target->via.str.size > FXD_NAME_MAX ? 0 : (int)target->via.str.size,
             target->via.str.ptr);
    return 0;
}

static void merged(struct fxd_ask *a, const msgpack_object *list)
{
    uint32_t n = list->via.array.size;
    fxd_ok(a, 3);
    fxd_put_message(a, "Successfully merged %u indices into %s, new total: %lld vectors", n,
                    a->name, (long long)a->total);
    fxd_put_int(a, "ntotal", a->total);
    msgpack_packer pk = fxd_put(a, "merged_stats");
    msgpack_pack_map(&pk, n);
    for (uint32_t i = 0; i < n; i++) {
        msgpack_pack_object(&pk, list->via.array.ptr[i]);
        msgpack_pack_map(&pk, 3);
        fxd_put_int(a, "vectors_added", a->counts[i]);
        fxd_put_text(a, "type", "direct");
        fxd_put_int(a, "actual_added", a->counts[i]);
    }
}

static void name_of(const msgpack_object *s, char name[FXD_NAME_MAX + 1])
{
    bool is_name = s->type == MSGPACK_OBJECT_STR && s->via.str.size <= FXD_NAME_MAX;
    snprintf(name, FXD_NAME_MAX + 1, "%.*s", is_name ? (int)s->via.str.size : 0,
             is_name ? s->via.str.ptr : "");
}

static bool has_lists(const struct fxd_facts *f)
{
    return strncmp(f->type, "IndexIVF", 8) == 0;
}

/* What is known before anything is merged.  `known`: of both all is. */
static int check_source(struct fxd_ask *a, const char *source, const struct fxd_facts *f,
                        const struct fxd_facts *target, bool known)
{
    if (strcmp(source, a->name) == 0)
        return fxd_error(a, NULL, "index_merge: an index cannot be merged into itself");
    if (f->binary || target->binary)
        return fxd_error(a, NULL, "Index %s is binary, and cannot be merged",
                         f->binary ? source : a->name);
    if (f->d != target->d)
        return fxd_error(a, NULL, "Source index %s has dimension %lld, but %s has %lld", source,
                         (long long)f->d, a->name, (long long)target->d);
    if (known && has_lists(target) &&
        (strcmp(f->type, target->type) != 0 || f->waits != target->waits))
        return fxd_error(a, NULL, "Source index %s is %s%s, which cannot be merged into %s%s",
                         source, f->type, f->waits ? ", not trained yet" : "", target->type,
                         target->waits ? ", not trained yet" : "");
    return 0;
}

/* Nothing is merged if that is not possible with one of the sources. */
static int check_sources(struct fxd_ask *a, const msgpack_object *list)
{
    struct fxd_facts f, target;
    char source[FXD_NAME_MAX + 1];
    int known = fxd_look(a->name, &target);
    for (uint32_t i = 0; i < list->via.array.size; i++) {
        name_of(&list->via.array.ptr[i], source);
        int of_source = fxd_look(source, &f);
        if (of_source < 0)
            return fxd_error(a, NULL, "Source index %s not found", source);
        if (known >= 0 && check_source(a, source, &f, &target, known == 0 && of_source == 0) != 0)
            return -1;
    }
    return known < 0 ? fxd_error(a, NULL, "Target index %s not found", a->name) : 0;
}

/* Some reasons are only known to FAISS. */
static void merge_failed(struct fxd_ask *a, const struct fxe_req *done)
{
    char before[80] = "";
    if (a->at > 1)
        snprintf(before, sizeof before,
                 "%lld of the source indices are merged, then: ", (long long)a->at - 1);
    fxd_failed(a, done, NULL, before);
}

void fxd_merge_indices(struct fxd_ask *a, struct fxe_req *done)
{
    const msgpack_object *list;
    a->absent = "not found";
    a->tolerant = true;
    if (read_sources(a, &list) != 0)
        return;
    if (!done) {
        if (check_sources(a, list) == 0)
            fxd_begin_named(a, "index_info");
        return;
    }
    if (done->failed) {
        merge_failed(a, done);
        return;
    }
    fxd_facts_of(done->obj[0], &a->facts);
    if (a->at > 0)
        a->counts[a->at - 1] = a->facts.ntotal - a->total;
    a->total = a->facts.ntotal;
    if (a->at == list->via.array.size) {
        merged(a, list);
        return;
    }
    const msgpack_object *s = &list->via.array.ptr[a->at++];
    fxd_begin_named(a, "index_merge");
    msgpack_packer pk = fxd_key(a, "from");
    msgpack_pack_object(&pk, *s);
    if (has_lists(&a->facts)) { /* others number their vectors themselves */
        pk = fxd_key(a, "distinct");
        msgpack_pack_true(&pk);
    }
}
