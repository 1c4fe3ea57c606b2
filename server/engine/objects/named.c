/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/objects/named.h"

#include <stdlib.h>
#include <string.h>

#include "server/engine/keep/unnamed.h"
#include "server/engine/objects/shared.h"
#include "server/engine/run/request.h"
#include "server/engine/training/training.h"

enum { NAME_MAX_BYTES = 200, LIST_MAX = 200 };

struct named {
    struct fxe_obj *obj;
    UT_hash_handle hh;
    char name[];
};

static struct named *by_name; /* guarded by engine.lock */
/* Held while names change on disk and here, so that both see the same order. */
static pthread_mutex_t naming = PTHREAD_MUTEX_INITIALIZER;

bool fxe_named_allows(const char *name, size_t len)
{
    if (len == 0 || len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < ' ')
            return false;
    return true;
}

static int get_name(struct fxe_req *r, const char **name, size_t *len)
{
    if (!fx_header_str(&r->header, "name", name, len) || *len == 0 || *len > NAME_MAX_BYTES)
        return fxe_fail(r, "argument", "%s: a name must have 1 to %d bytes", r->operation->name,
                        NAME_MAX_BYTES);
    return fxe_named_allows(*name, *len)
               ? 0
               : fxe_fail(r, "argument", "%s: a name must not contain control characters",
                          r->operation->name);
}

static struct named *find_name(const char *name, size_t len)
{
    struct named *n;
    HASH_FIND(hh, by_name, name, len, n);
    return n;
}

struct fxe_obj *fxe_named_find(const char *name, size_t len)
{
    struct named *n = find_name(name, len);
    return n ? n->obj : NULL;
}

size_t fxe_named_count(void)
{
    return HASH_COUNT(by_name);
}

/* Removes the name.  The index lives on while a session still uses it. */
static void drop(struct named *n, struct fxe_obj **doomed)
{
    HASH_DELETE(hh, by_name, n);
    if (n->obj->named == 1 && fxe_engine.options.keep != FXS_KEEP_SESSIONS)
        fxe_keep_forget(n->obj);
    fxe_obj_unkeep_shared(n->obj, doomed);
    free(n);
}

void fxe_named_settle(void)
{
    pthread_mutex_lock(&naming);
    pthread_mutex_unlock(&naming);
}

int fxe_named_add(const char *name, struct fxe_obj *o)
{
    size_t len = strlen(name);
    struct named *n = calloc(1, sizeof *n + len + 1);
    if (!n)
        return -1;
    memcpy(n->name, name, len);
    n->obj = o;
    fxe_obj_share(o);
    HASH_ADD_KEYPTR(hh, by_name, n->name, len, n);
    return 0;
}

/* --- publish --- */

static int prepare_publish(struct fxe_req *r)
{
    uint64_t id;
    if (!fx_header_uint(&r->header, "handle", &id))
        return fxe_fail(r, "protocol", "publish without 'handle'");
    if (fxe_req_object(r, id, "the index to publish", &r->obj[0]) != 0)
        return -1;
    int root = fx_root(r->obj[0]->cls);
    if (root != FX_CLASS_Index && root != FX_CLASS_IndexBinary)
        return fxe_fail(r, "handle", "a Faiss%s cannot be published", fx_classes[root].name);
    if (fxe_obj_is_part(r->obj[0]))
        return fxe_fail(r, "handle", "an index that is part of another cannot be published");
    if (fxe_keep_store())
        r->lane = FXE_WIDE; /* it is written to disk */
    /* What others have read from the same file does not get the name. */
    bool own = fxe_is_shared(r->obj[0]);
    if (own)
        r->lane = FXE_WIDE;
    return fxe_needs_add(&r->needs, r->obj[0], own);
}

/* Returns 0, or -1 with the reply set if the index cannot have the name. */
static int may_have(struct fxe_req *r, const struct named *n, size_t len, bool replace)
{
    fxe_lock();
    bool taken = !replace && find_name(n->name, len);
    fxe_unlock();
    return taken ? fxe_named_taken(r, n->name, len) : 0;
}

/* Gives the name to the index.  The caller holds `naming`. */
static int give_name(struct fxe_req *r, struct named *n, size_t len, bool replace,
                     struct fxe_publishing *p, struct fxe_obj **doomed)
{
    if (may_have(r, n, len, replace) != 0 || fxe_keep_publish(r, n->obj, n->name, p) != 0)
        return -1;
    fxe_lock();
    struct named *old = find_name(n->name, len);
    if (old && old->obj == n->obj) { /* the name already stands for this index */
        free(n);
    } else {
        fxe_obj_share(n->obj);
        HASH_ADD_KEYPTR(hh, by_name, n->name, len, n);
        if (old)
            drop(old, doomed);
    }
    fxe_unlock();
    return 0;
}

int fxe_named_taken(struct fxe_req *r, const char *name, size_t len)
{
    return fxe_fail(r, "argument", "%s: an index has the name '%.*s' already", r->operation->name,
                    (int)len, name);
}

int fxe_named_publish(struct fxe_req *r, const char *name, size_t len, struct fxe_obj *o,
                      bool replace)
{
    struct fxe_obj *doomed = NULL;
    struct named *n = calloc(1, sizeof *n + len + 1);
    if (!n)
        return fxe_fail(r, "limit", "the server is out of memory");
    memcpy(n->name, name, len);
    n->obj = o;
    struct fxe_publishing *p = NULL;
    int rc = may_have(r, n, len, replace); /* before it is written in vain */
    if (rc == 0)
        rc = fxe_keep_write(r, o, &p);
    if (rc == 0) {
        pthread_mutex_lock(&naming);
        rc = give_name(r, n, len, replace, p, &doomed);
        pthread_mutex_unlock(&naming);
    }
    fxe_keep_written(p);
    if (rc != 0)
        free(n);
    fxe_obj_destroy_list(doomed);
    return rc;
}

static void run_publish(struct fxe_req *r)
{
    const char *name;
    size_t len;
    if (get_name(r, &name, &len) == 0)
        fxe_named_publish(r, name, len, fxe_obj_target(r->obj[0]), true);
}

/* --- open --- */

static void run_open(struct fxe_req *r)
{
    const char *name;
    size_t len;
    if (get_name(r, &name, &len) != 0)
        return;
    fxe_lock();
    struct named *n = find_name(name, len);
    int wrong = n && !fx_header_is(&r->header, "class", fx_classes[fx_root(n->obj->cls)].name);
    struct fxe_obj *o = n && !wrong ? fxe_obj_alias(r->session, n->obj) : NULL;
    bool waits = o && fxe_training_of(o);
    fxe_unlock();
    if (!n) {
        fxe_fail(r, "handle", "no index is published as '%.*s'", (int)len, name);
    } else if (wrong) {
        fxe_fail(r, "handle", "the index published as '%.*s' is of another class", (int)len, name);
    } else if (!o) {
        fxe_fail(r, "limit", "the server has no memory for another object");
    } else if (fxe_unnamed_opened(r, o) == 0) {
        msgpack_packer pk = fxe_reply_key(r, "out");
        msgpack_pack_array(&pk, 1);
        fxe_pack_handle(&pk, o);
        if (waits) {
            pk = fxe_reply_key(r, "waits");
            msgpack_pack_true(&pk);
        }
    }
}

/* --- list and unpublish --- */

/* Packs what is known of the index, without reading it from disk or waiting for it; nil: it is not
 * known.  The caller holds engine.lock, so no request begins to change the index. */
static void pack_details(msgpack_packer *pk, const struct fxe_obj *o)
{
    const struct fxe_kept *k = o->kept;
    struct fxs_note note = {0};
    bool known = k && k->note.d > 0;
    if (known)
        note = k->note;
    else if (o->ptr && o->group && !o->group->writer)
        fxe_note_take(&note, o), known = true;
    int64_t values[] = {note.d,
                        note.metric,
                        note.ntotal,
                        k ? (int64_t)k->snapshot_bytes : 0,
                        k ? (int64_t)k->log_bytes : 0,
                        k ? k->stored_ms : 0};
    msgpack_pack_array(pk, 7);
    fx_pack_str(pk, fx_classes[fx_root(o->cls)].name);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (i < 3 ? known : k != NULL)
            msgpack_pack_int64(pk, values[i]);
        else
            msgpack_pack_nil(pk);
}

static void run_list(struct fxe_req *r)
{
    uint64_t from = 0, i = 0;
    fx_header_uint(&r->header, "from", &from);
    fxe_lock();
    uint64_t total = HASH_COUNT(by_name), n = total > from ? total - from : 0;
    if (n > LIST_MAX)
        n = LIST_MAX;
    msgpack_packer pk = fxe_reply_key(r, "total");
    msgpack_pack_uint64(&pk, total);
    pk = fxe_reply_key(r, "names");
    msgpack_pack_array(&pk, n);
    for (struct named *e = by_name; e; e = e->hh.next, i++)
        if (i >= from && i - from < n)
            fx_pack_str(&pk, e->name);
    pk = fxe_reply_key(r, "details");
    msgpack_pack_array(&pk, n);
    i = 0;
    for (struct named *e = by_name; e; e = e->hh.next, i++)
        if (i >= from && i - from < n)
            pack_details(&pk, e->obj);
    fxe_unlock();
}

int fxe_named_change(struct fxe_req *r, const char *name, size_t len, const char *to, size_t to_len)
{
    struct fxe_obj *doomed = NULL;
    struct named *fresh = to ? calloc(1, sizeof *fresh + to_len + 1) : NULL;
    if (to && !fresh)
        return fxe_fail(r, "limit", "the server is out of memory");
    if (to)
        memcpy(fresh->name, to, to_len);
    pthread_mutex_lock(&naming);
    fxe_lock();
    struct named *n = find_name(name, len);
    bool taken = to && find_name(to, to_len);
    fxe_unlock(); /* names change only with `naming` */
    if (!n)
        fxe_fail(r, "handle", "%s: no index is published as '%.*s'", r->operation->name, (int)len,
                 name);
    else if (taken)
        fxe_named_taken(r, to, to_len);
    else
        fxe_keep_rename(r, n->name, fresh ? fresh->name : NULL);
    fxe_lock();
    if (!r->failed && to) {
        fresh->obj = n->obj;
        HASH_DELETE(hh, by_name, n);
        HASH_ADD_KEYPTR(hh, by_name, fresh->name, to_len, fresh);
        free(n);
        fresh = NULL;
    } else if (!r->failed) {
        drop(n, &doomed);
    }
    fxe_unlock();
    pthread_mutex_unlock(&naming);
    free(fresh);
    fxe_obj_destroy_list(doomed);
    return r->failed ? -1 : 0;
}

/* It may wait for an index that is being published, which is written to disk. */
static int prepare_unpublish(struct fxe_req *r)
{
    if (fxe_keep_store())
        r->lane = FXE_WIDE;
    return 0;
}

static void run_unpublish(struct fxe_req *r)
{
    const char *name;
    size_t len;
    if (get_name(r, &name, &len) == 0)
        fxe_named_change(r, name, len, NULL, 0);
}

const struct fxe_operation fxe_publish_operation = {"publish", 1, prepare_publish, run_publish,
                                                    NULL};
const struct fxe_operation fxe_open_operation = {"open", 1, NULL, run_open, NULL};
const struct fxe_operation fxe_list_operation = {"list", 0, NULL, run_list, NULL};
const struct fxe_operation fxe_unpublish_operation = {"unpublish", 0, prepare_unpublish,
                                                      run_unpublish, NULL};
