/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/objects/shared.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "server/engine/call/copy.h"
#include "server/engine/guard/room.h"
#include "server/engine/keep/keep.h"

enum {
    FILES = 64,       /* that one content is known by; the oldest is forgotten */
    CLAIMS = 1024,    /* if there are more, everybody sends */
    CLAIM_MS = 10000, /* for so long others wait for the one who sends */
    ASK_AGAIN_MS = 20
};

struct content_key {
    struct fx_content content;
    int cls, flags;
};

struct name_key {
    uint8_t name[FX_FILE_SIZE];
    int cls, flags;
};

/* A file that has the content. */
struct file {
    struct name_key key;
    struct fxe_content *content;
    struct file *prev, *next;
    UT_hash_handle hh;
};

struct fxe_content {
    struct content_key key;
    struct fxe_obj *obj;
    bool whole;
    struct file *files; /* the oldest first */
    int nfiles;
    UT_hash_handle hh;
};

struct claim {
    struct name_key key;
    uint8_t session[FX_TOKEN_SIZE];
    int64_t since_ms;
    UT_hash_handle hh;
};

/* engine.lock */
static struct {
    struct fxe_content *by_content;
    struct file *by_name;
    struct claim *claims;
    struct fxe_shared_stats stats;
} shared;

bool fxe_shared_is_on(void)
{
    return !fxe_keep_store() || fxe_engine.options.keep != FXS_KEEP_SESSIONS;
}

static struct fxe_content *find_content(const struct fxe_reading *reading)
{
    struct content_key key;
    struct fxe_content *c;
    memset(&key, 0, sizeof key); /* also between the fields */
    key.content = reading->content;
    key.cls = reading->cls;
    key.flags = reading->flags;
    HASH_FIND(hh, shared.by_content, &key, sizeof key, c);
    return c;
}

struct fxe_obj *fxe_shared_find(struct fxe_session *s, const struct fxe_reading *reading)
{
    struct fxe_content *c = find_content(reading);
    return c ? fxe_obj_alias_apart(s, c->obj) : NULL;
}

bool fxe_shared_has_pages(const struct fxe_reading *reading)
{
    for (const struct fxe_content *c = shared.by_content; c; c = c->hh.next)
        if (c->key.content.size == reading->content.size && c->key.cls == reading->cls &&
            c->key.flags == reading->flags &&
            memcmp(c->key.content.pages, reading->content.pages, FX_HASH_SIZE) == 0)
            return true;
    return false;
}

struct fxe_obj *fxe_shared_add(struct fxe_session *s, const struct fxe_reading *reading, void *ptr,
                               void **unused)
{
    struct fxe_content *c = find_content(reading);
    *unused = NULL;
    if (c) {
        *unused = ptr;
        return fxe_obj_alias_apart(s, c->obj);
    }
    c = calloc(1, sizeof *c);
    struct fxe_obj *t = c ? fxe_obj_add_absent(NULL, reading->cls, 0) : NULL;
    struct fxe_obj *o = t ? fxe_obj_alias_apart(s, t) : NULL;
    if (!o) {
        struct fxe_obj *doomed = NULL; /* no object of FAISS's: freeing it takes no time */
        if (t)
            fxe_obj_release(t, &doomed);
        fxe_obj_destroy_list(doomed);
        free(c);
        *unused = ptr;
        return NULL;
    }
    fxe_obj_point(t, ptr);
    o->ptr = ptr;
    t->released = 1; /* freed with its last handle */
    t->content = c;
    c->key.content = reading->content;
    c->key.cls = reading->cls;
    c->key.flags = reading->flags;
    c->whole = reading->whole;
    c->obj = t;
    HASH_ADD(hh, shared.by_content, key, sizeof c->key, c);
    return o;
}

static void forget_file(struct file *f)
{
    HASH_DELETE(hh, shared.by_name, f);
    DL_DELETE(f->content->files, f);
    f->content->nfiles--;
    free(f);
}

void fxe_shared_forget(struct fxe_obj *o)
{
    struct fxe_content *c = o->content;
    if (!c)
        return;
    while (c->files)
        forget_file(c->files);
    HASH_DELETE(hh, shared.by_content, c);
    free(c);
    o->content = NULL;
}

/* --- clients that ask before they send --- */

static struct name_key name_key(const uint8_t name[FX_FILE_SIZE], int cls, int flags)
{
    struct name_key key;
    memset(&key, 0, sizeof key);
    memcpy(key.name, name, FX_FILE_SIZE);
    key.cls = cls;
    key.flags = flags;
    return key;
}

/* The hash is at the beginning of the name of a claim that has no file. */
static bool names_hash(const struct name_key *key)
{
    static const uint8_t none[FX_HASH_SIZE];
    return memcmp(key->name + FX_HASH_SIZE, none, sizeof none) == 0;
}

static struct fxe_content *find_name(const struct name_key *key)
{
    struct file *f;
    HASH_FIND(hh, shared.by_name, key, sizeof *key, f);
    if (f)
        return f->content;
    if (names_hash(key))
        for (struct fxe_content *c = shared.by_content; c; c = c->hh.next)
            if (memcmp(c->key.content.hash, key->name, FX_HASH_SIZE) == 0 &&
                c->key.cls == key->cls && c->key.flags == key->flags)
                return c;
    return NULL;
}

static void drop_claim(struct claim *c)
{
    HASH_DELETE(hh, shared.claims, c);
    free(c);
}

/* Returns whether another session that is expected to send this may still be at it. */
static bool is_coming(const struct claim *c, const struct fxe_session *s, int64_t now)
{
    const struct fxe_session *other = fxe_session_find(c->session);
    return other && other != s && !other->ended && other->conns && now < c->since_ms + CLAIM_MS;
}

static int claim(const struct fxe_session *s, const struct name_key *key)
{
    int64_t now = fxe_now_ms();
    struct claim *c;
    HASH_FIND(hh, shared.claims, key, sizeof *key, c);
    if (c && is_coming(c, s, now))
        return ASK_AGAIN_MS;
    if (!c) {
        if (HASH_COUNT(shared.claims) >= CLAIMS)
            drop_claim(shared.claims); /* the oldest */
        if (!(c = calloc(1, sizeof *c)))
            return 0;
        c->key = *key;
        HASH_ADD(hh, shared.claims, key, sizeof c->key, c);
    }
    memcpy(c->session, s->token, FX_TOKEN_SIZE);
    c->since_ms = now;
    return 0;
}

struct fxe_obj *fxe_shared_claim(struct fxe_session *s, const struct fxe_claim *want, int *wait)
{
    struct name_key key = name_key(want->name, want->cls, want->flags);
    struct fxe_content *c = find_name(&key);
    *wait = 0;
    if (c && (c->whole || !want->whole)) {
        struct fxe_obj *o = fxe_obj_alias_apart(s, c->obj);
        shared.stats.known += o != NULL;
        return o;
    }
    if (!c && fxe_shared_is_on())
        *wait = claim(s, &key);
    return NULL;
}

void fxe_shared_unclaim(const struct fxe_session *s, bool all)
{
    struct claim *c, *next;
    HASH_ITER(hh, shared.claims, c, next)
    if (memcmp(c->session, s->token, FX_TOKEN_SIZE) == 0 && (all || names_hash(&c->key)))
        drop_claim(c);
}

void fxe_shared_remember(const struct fxe_obj *o, const uint8_t name[FX_FILE_SIZE])
{
    struct fxe_content *c = fxe_is_shared(o) ? o->keeps[0]->content : NULL;
    struct file *f = NULL;
    if (!c || memcmp(name + FX_HASH_SIZE, c->key.content.pages, FX_HASH_SIZE) != 0)
        return;
    struct name_key key = name_key(name, c->key.cls, c->key.flags);
    HASH_FIND(hh, shared.by_name, &key, sizeof key, f);
    if (f || !(f = calloc(1, sizeof *f)))
        return;
    f->key = key;
    f->content = c;
    HASH_ADD(hh, shared.by_name, key, sizeof f->key, f);
    DL_APPEND(c->files, f);
    if (++c->nfiles > FILES)
        forget_file(c->files);
}

struct fxe_shared_stats fxe_shared_stats(void)
{
    struct fxe_shared_stats s = shared.stats;
    for (const struct fxe_content *c = shared.by_content; c; c = c->hh.next) {
        s.objects++;
        s.handles += (uint64_t)c->obj->naliases;
    }
    return s;
}

/* --- copy on write --- */

/* Nobody else has it: the handle takes FAISS's object over.  The caller holds engine.lock. */
static bool take_over(struct fxe_obj *o, struct fxe_obj **doomed)
{
    struct fxe_obj *t = o->keeps[0];
    if (t->naliases != 1 || t->nkeepers != 1 || t->calls)
        return false;
    fxe_shared_forget(t);
    fxe_obj_set_apart(o, NULL, doomed);
    return true;
}

static int own(struct fxe_req *r, struct fxe_obj *o)
{
    struct fxe_obj *doomed = NULL;
    void *copy = NULL;
    char why[FXE_COPY_WHY] = "";
    fxe_lock();
    bool done = !fxe_is_shared(o) || take_over(o, &doomed);
    /* The handle keeps the object, and nobody changes it meanwhile. */
    const struct fxe_content *c = done ? NULL : o->keeps[0]->content;
    size_t size = c ? (size_t)c->key.content.size : 0;
    int flags = c ? c->key.flags : 0;
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
    if (done)
        return 0;
    fxe_unload_for(size);
    if (size > fxe_room() || fxe_copy_index(o->keeps[0], flags, &copy, why) != 0)
        return fxe_fail(r, "limit",
                        "%s: other readers of the same file use this index, and it could not be "
                        "copied to be changed: %s; nothing was changed",
                        fxe_req_name(r), *why ? why : "the server has no memory for a copy");
    doomed = NULL;
    fxe_lock();
    shared.stats.copies++;
    fxe_obj_set_apart(o, copy, &doomed);
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
    return 0;
}

int fxe_shared_own(struct fxe_req *r)
{
    for (int i = 0; i < r->needs.n; i++)
        if (r->needs.need[i].write && r->needs.need[i].obj->alias &&
            own(r, r->needs.need[i].obj) != 0)
            return -1;
    return 0;
}
