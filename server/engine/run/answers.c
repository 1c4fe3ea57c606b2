/* SPDX-License-Identifier: Apache-2.0 */
#include "server/engine/run/answers.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "server/engine/call/files.h"
#include "server/engine/call/known.h"
#include "server/engine/catalogue/catalogue.h"
#include "server/engine/keep/keep.h"
#include "server/engine/objects/download.h"
#include "server/engine/objects/named.h"
#include "server/engine/objects/session.h"
#include "server/engine/run/kept.h"

struct caller;

struct fxe_answer {
    uint64_t number;
    struct caller *caller;
    struct fxe_answer *next; /* of the caller; the newest first */
    struct fxe_req *running; /* or NULL: it has ended */
    struct fxe_req *waiting; /* the same request sent again; through `next` */
    uint8_t session[FX_TOKEN_SIZE];
    bool has_session;
    bool makes;   /* it makes objects, which end with its session */
    bool rereads; /* it may be run again if its answer was not kept */
    void *bytes;  /* see fxe_answer_pack; NULL: not kept */
    size_t size;
    uint64_t download;                        /* that the answer names, of the session; or 0 */
    struct fxe_answer *prev_kept, *next_kept; /* of those with bytes; the oldest first */
};

struct caller {
    uint8_t id[FXS_CALLER_SIZE];
    uint64_t oldest; /* smaller numbers are not asked for any more */
    struct fxe_answer *answers;
    int running;
    struct caller *prev, *next; /* the one that came last is last */
    UT_hash_handle hh;
};

static struct {
    struct caller *by_id, *list;
    struct fxe_answer *kept;
    size_t bytes;
} answers; /* engine.lock */

/* --- which requests --- */

static bool makes_objects(const struct fxe_req *r)
{
    if (!r->fn)
        return r->operation == &fxe_load_operation || r->operation == &fxe_load_known_operation ||
               r->operation == &fxe_open_operation;
    for (int i = 0; i < r->fn->nparams; i++)
        if (r->fn->params[i].kind == FX_OUT_HANDLE)
            return true;
    return r->fn->ret.kind == FX_HANDLE && !(r->fn->flags & FX_CAST);
}

static bool changes_object(const struct fx_fn *fn)
{
    for (int i = 0; i < fn->nparams; i++)
        if (fn->params[i].changed)
            return true;
    return (fn->flags & (FX_FREE | FX_OWN)) != 0;
}

/* A large reply to `save` stays in the session to be downloaded: twice, if it were run twice. */
static bool is_of_interest(const struct fxe_req *r)
{
    static int8_t known[FX_NOPS]; /* 0: not known yet, 1: yes, 2: no */
    if (!r->fn)
        return makes_objects(r) || r->operation == &fxe_publish_operation ||
               r->operation == &fxe_unpublish_operation || r->operation == &fxe_save_operation ||
               fxe_catalogue_changes(r->operation);
    if (!known[r->op])
        known[r->op] = changes_object(r->fn) || makes_objects(r) ? 1 : 2;
    return known[r->op] == 1;
}

bool fxe_answers_caller(struct fxe_req *r, struct fxs_caller *caller)
{
    const char *id;
    size_t len;
    if (!is_of_interest(r) || !fx_header_get(&r->header, "caller"))
        return false;
    if (!fx_header_str(&r->header, "caller", &id, &len) || len != FXS_CALLER_SIZE ||
        r->request_id == 0) {
        fxe_fail(r, "protocol", "caller must have %d bytes, and request_id must not be 0",
                 FXS_CALLER_SIZE);
        return true;
    }
    memcpy(caller->id, id, len);
    caller->number = r->request_id;
    return true;
}

/* --- bytes --- */

/* The number of frames and their sizes, as uint64, then their bytes. */
void *fxe_answer_pack(const struct fx_frame *frames, int n, size_t *size)
{
    *size = (size_t)(n + 1) * sizeof(uint64_t);
    for (int i = 0; i < n; i++)
        *size += frames[i].size;
    uint64_t *head = malloc(*size);
    if (!head)
        return NULL;
    char *at = (char *)(head + n + 1);
    head[0] = (uint64_t)n;
    for (int i = 0; i < n; i++) {
        head[i + 1] = frames[i].size;
        if (frames[i].size)
            memcpy(at, frames[i].data, frames[i].size);
        at += frames[i].size;
    }
    return head;
}

int fxe_answer_send(struct fxe_req *r, const void *bytes, size_t size)
{
    const uint64_t *head = bytes;
    if (size < 2 * sizeof *head || head[0] == 0 || head[0] > FX_FRAMES_MAX ||
        size < (head[0] + 1) * sizeof *head)
        return -1;
    const char *at = (const char *)(head + head[0] + 1), *end = (const char *)bytes + size;
    for (uint64_t i = 1; i <= head[0]; i++) {
        if (head[i] > (size_t)(end - at))
            return -1;
        if (i == 1 && msgpack_sbuffer_write(&r->reply, at, head[i]) != 0)
            return -1;
        if (i > 1 && fxe_reply_copy(r, at, head[i]) != 0)
            return -1;
        at += head[i];
    }
    return 0;
}

/* --- callers --- */

static struct caller *find_caller(const uint8_t *id)
{
    struct caller *c;
    HASH_FIND(hh, answers.by_id, id, FXS_CALLER_SIZE, c);
    return c;
}

static struct fxe_answer *find_answer(const struct caller *c, uint64_t number)
{
    struct fxe_answer *a = c ? c->answers : NULL;
    while (a && a->number != number)
        a = a->next;
    return a;
}

static void drop_bytes(struct fxe_answer *a)
{
    if (!a->bytes)
        return;
    DL_DELETE2(answers.kept, a, prev_kept, next_kept);
    answers.bytes -= a->size;
    fxe_kept_sub(a->size);
    free(a->bytes);
    a->bytes = NULL;
}

static void drop_answer(struct fxe_answer *a)
{
    drop_bytes(a);
    if (a->download)
        fxe_download_forget(a->session, a->download);
    LL_DELETE(a->caller->answers, a);
    free(a);
}

/* Drops the answers that have ended and whose numbers are smaller than `oldest`. */
static void acknowledge(struct caller *c, uint64_t oldest)
{
    struct fxe_answer *a, *tmp;
    if (oldest <= c->oldest)
        return;
    c->oldest = oldest;
    LL_FOREACH_SAFE(c->answers, a, tmp)
    {
        if (a->number < oldest && !a->running)
            drop_answer(a);
    }
}

static void forget_caller(struct caller *c)
{
    while (c->answers)
        drop_answer(c->answers);
    DL_DELETE(answers.list, c);
    HASH_DELETE(hh, answers.by_id, c);
    free(c);
}

/* Forgets the caller that has not come for the longest time.  Returns -1 if all have requests
 * running. */
static int make_room(void)
{
    struct caller *c = answers.list;
    while (c && c->running)
        c = c->next;
    if (!c)
        return -1;
    forget_caller(c);
    return 0;
}

static struct caller *new_caller(const uint8_t *id)
{
    if (HASH_COUNT(answers.by_id) >= FXE_CALLERS_MAX && make_room() != 0)
        return NULL;
    struct caller *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    memcpy(c->id, id, FXS_CALLER_SIZE);
    HASH_ADD(hh, answers.by_id, id, FXS_CALLER_SIZE, c);
    DL_APPEND(answers.list, c);
    return c;
}

void fxe_answers_forget(const struct fxe_session *s)
{
    struct caller *c, *tmp;
    DL_FOREACH_SAFE(answers.list, c, tmp)
    {
        const struct fxe_answer *a = c->answers;
        if (a && !c->running && a->has_session && memcmp(a->session, s->token, FX_TOKEN_SIZE) == 0)
            forget_caller(c);
    }
}

bool fxe_answers_are_durable(void)
{
    /* Without records nobody knows which changes a snapshot has. */
    return fxe_keep_store() && fxe_engine.options.durability.mode != FXS_SNAPSHOT;
}

size_t fxe_answers_callers(void)
{
    return HASH_COUNT(answers.by_id);
}

size_t fxe_answers_bytes(void)
{
    return answers.bytes;
}

/* --- looking up --- */

static bool is_of_session(const struct fxe_answer *a, const struct fxe_session *s)
{
    return a->has_session && s && memcmp(a->session, s->token, FX_TOKEN_SIZE) == 0;
}

static void repeat(struct fxe_req *r, const struct fxe_answer *a)
{
    r->repeated = 1;
    if (a->bytes && fxe_answer_send(r, a->bytes, a->size) == 0)
        return;
    msgpack_sbuffer_clear(&r->reply);
    fxe_fail(r, "limit", "%s was made before, and its results were not kept", fxe_req_name(r));
    r->made = 1;
}

enum fxe_known fxe_answers_find(struct fxe_req *r, const struct fxs_caller *caller)
{
    struct caller *c = find_caller(caller->id);
    if (!c)
        return FXE_NEW;
    struct fxe_answer *a = find_answer(c, caller->number);
    if (!a && caller->number >= c->oldest)
        return FXE_NEW;
    if (!a) {
        fxe_fail(r, "protocol",
                 "request %llu was answered before, and the caller asked for none "
                 "before %llu again",
                 (unsigned long long)caller->number, (unsigned long long)c->oldest);
        return FXE_REFUSED;
    }
    if (a->running) {
        r->next = a->waiting;
        a->waiting = r;
        return FXE_WAITING;
    }
    /* What it made is gone with its session, or reading again gives the same. */
    if ((a->makes && !is_of_session(a, r->session)) || (a->rereads && !a->bytes)) {
        drop_answer(a);
        return FXE_NEW;
    }
    repeat(r, a);
    return FXE_ANSWERED;
}

int fxe_answers_begin(struct fxe_req *r, const struct fxs_caller *caller)
{
    struct caller *c = find_caller(caller->id);
    struct fxe_answer *a = calloc(1, sizeof *a);
    uint64_t oldest = caller->number;
    if (!a || (!c && !(c = new_caller(caller->id)))) {
        free(a);
        return fxe_fail(r, "limit", "the server has no memory to remember the answer in");
    }
    fx_header_uint(&r->header, "oldest", &oldest);
    acknowledge(c, oldest < caller->number ? oldest : caller->number);
    *a = (struct fxe_answer){.number = caller->number,
                             .caller = c,
                             .running = r,
                             .has_session = r->session != NULL,
                             .makes = makes_objects(r),
                             .rereads = r->operation == &fxe_save_operation};
    if (r->session)
        memcpy(a->session, r->session->token, FX_TOKEN_SIZE);
    LL_PREPEND(c->answers, a);
    c->running++;
    DL_DELETE(answers.list, c); /* the one that came last */
    DL_APPEND(answers.list, c);
    r->answer = a;
    return 0;
}

/* --- keeping --- */

static size_t most_bytes(void)
{
    size_t quarter = fxe_engine.max_pending / 4;
    return quarter && quarter < FXE_ANSWERS_BYTES ? quarter : FXE_ANSWERS_BYTES;
}

static void keep(struct fxe_answer *a, void *bytes, size_t size)
{
    if (!bytes)
        return;
    a->bytes = bytes;
    a->size = size;
    DL_APPEND2(answers.kept, a, prev_kept, next_kept);
    answers.bytes += size;
    fxe_kept_add(size);
    while (answers.bytes > most_bytes())
        drop_bytes(answers.kept);
}

/* A caller that acknowledges nothing keeps its newest answers only. */
static void limit_answers(struct caller *c)
{
    struct fxe_answer *a;
    uint64_t oldest = UINT64_MAX;
    int n = 0;
    LL_FOREACH(c->answers, a)
    {
        n++;
        if (!a->running && a->number < oldest)
            oldest = a->number;
    }
    if (n > FXE_ANSWERS_EACH && oldest != UINT64_MAX)
        acknowledge(c, oldest + 1);
}

/* Returns true if the request ended without having been begun: its client was gone, or had an error
 * already. */
static bool was_not_begun(const struct fxe_req *r)
{
    return r->failed && !r->made && r->kind &&
           (strcmp(r->kind, "gone") == 0 || strcmp(r->kind, "timeout") == 0);
}

struct fxe_req *fxe_answers_end(struct fxe_req *r, const struct fx_frame *frames, int n)
{
    size_t size = 0;
    void *bytes = NULL;
    bool begun = !was_not_begun(r);
    for (int i = 0; i < n; i++)
        size += frames[i].size;
    if (begun && size <= FXE_ANSWER_MAX)
        bytes = fxe_answer_pack(frames, n, &size);
    fxe_lock();
    struct fxe_answer *a = r->answer;
    struct caller *c = a->caller;
    struct fxe_req *waiting = a->waiting, *w;
    r->answer = NULL;
    a->waiting = NULL;
    a->running = NULL;
    c->running--;
    if (begun) {
        keep(a, bytes, size);
        if (a->bytes)
            a->download = r->download;
        for (w = waiting; w && !(a->rereads && !a->bytes); w = w->next)
            repeat(w, a);
        if (a->number < c->oldest || (a->rereads && !a->bytes))
            drop_answer(a);
        limit_answers(c);
    } else {
        drop_answer(a);
    }
    fxe_unlock();
    return waiting;
}
