/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads from a stream.  FAISS reads from a FILE, and the client sends the bytes on demand.  Each
 * load has a thread, which runs FAISS and answers the client's requests (load_stream, then feed):
 * either with the number of bytes that FAISS needs next, or with the result.
 */
#include <stdlib.h>
#include <string.h>

#include "server/engine/call/files.h"
#include "server/engine/call/loaded.h"
#include "server/engine/call/tape.h"
#include "server/engine/guard/guard.h"
#include "server/engine/objects/blob.h"
#include "server/engine/run/request.h"

enum { STREAMS_MAX = 64 }; /* per session: each is a thread */

struct fxe_stream {
    uint64_t id;
    struct fxe_session *session;
    int cls, flags;
    pthread_cond_t fed;
    struct fxe_req *request; /* to answer next, or NULL */
    const char *data;        /* of the last feed: the `left` bytes not read yet */
    size_t left;
    int ended, aborted;
    UT_hash_handle hh;
};

static void answer_need(struct fxe_stream *s, size_t want)
{
    struct fxe_req *r = s->request;
    msgpack_packer pk = fxe_reply_key(r, "stream");
    msgpack_pack_uint64(&pk, s->id);
    pk = fxe_reply_key(r, "need");
    msgpack_pack_uint64(&pk, want < FX_PIECE ? want : FX_PIECE);
    s->request = NULL;
    s->left = 0;
    fxe_req_finish(r);
}

static size_t stream_read(void *ctx, void *to, size_t want)
{
    struct fxe_stream *s = ctx;
    char *buf = to;
    size_t got = 0;
    while (got < want && !s->ended) {
        if (s->left == 0) {
            answer_need(s, want - got);
            fxe_lock();
            while (!s->request && !s->aborted)
                pthread_cond_wait(&s->fed, &fxe_engine.lock);
            s->ended |= s->aborted;
            fxe_unlock();
            if (s->ended)
                break;
            size_t asked = want - got < FX_PIECE ? want - got : FX_PIECE;
            s->data = s->request->msg->nframes > 1 ? s->request->msg->frames[1].data : NULL;
            s->left = s->data ? s->request->msg->frames[1].size : 0;
            s->ended = s->left < asked; /* the client's source has no more */
            if (s->left > asked)
                s->left = asked;
        }
        size_t n = s->left < want - got ? s->left : want - got;
        if (n)
            memcpy(buf + got, s->data, n);
        s->data += n;
        s->left -= n;
        got += n;
    }
    return got;
}

/* The bytes of a stream, and what tells them from others: NULL, they are not to be shared. */
struct digested {
    struct fxe_tape *tape;
    struct fx_digest *digest;
};

static size_t read_digested(void *ctx, void *to, size_t n)
{
    struct digested *d = ctx;
    size_t got = fxe_tape_read(d->tape, to, n);
    fx_digest_add(d->digest, to, got);
    return got;
}

struct loading {
    int cls, flags;
    void *ptr;
    int rc;
};

static void load_through(fxe_read_fn read, void *ctx, void *arg)
{
    struct loading *l = arg;
    l->rc = fxe_load_through(l->cls, l->flags, read, ctx, &l->ptr);
}

static void *stream_thread(void *arg)
{
    struct fxe_stream *s = arg;
    struct loading l = {.cls = s->cls, .flags = s->flags, .rc = STD_EXCEPT};
    struct fxe_tape tape = {.read = stream_read, .ctx = s};
    struct digested source = {&tape, fxe_shared_is_on() ? fx_digest_new() : NULL};
    struct fxe_reading reading;
    char why[FXE_WHY] = "";
    if (fxe_engine.omp_set_num_threads)
        fxe_engine.omp_set_num_threads(1);
    if (!fxe_guard_loads() ||
        fxe_tape_try(&tape, load_through, &l, why, sizeof why) != FXE_TRIAL_DIED)
        load_through(read_digested, &source, &l);
    fxe_tape_free(&tape);
    bool to_share = fxe_loaded_describe(source.digest, s->cls, s->flags, &reading);
    reading.whole = true;
    void *ptr = l.ptr;
    int rc = l.rc;
    fxe_lock();
    struct fxe_req *r = s->request;
    HASH_DELETE(hh, s->session->streams, s);
    fxe_unlock();
    if (r) {
        if (*why)
            fxe_guard_unloadable(r, why);
        else if (rc != 0)
            fxe_fail_faiss(r, rc);
        else if (to_share)
            fxe_reply_shared(r, &reading, ptr);
        else
            fxe_reply_new(r, s->cls, ptr);
        fxe_loaded(r);
        fxe_req_finish(r);
    } else if (rc == 0) { /* aborted: no request to answer */
        if (s->cls == FX_CLASS_Index)
            fxe_api()->Index_free(ptr);
        else
            fxe_api()->IndexBinary_free(ptr);
    }
    struct fxe_obj *doomed = NULL;
    fxe_lock();
    fxe_session_leave(s->session, &doomed);
    fxe_unlock();
    fxe_obj_destroy_list(doomed);
    pthread_cond_destroy(&s->fed);
    free(s);
    return NULL;
}

static int start_load_stream(struct fxe_req *r)
{
    pthread_attr_t attr;
    pthread_t thread;
    int cls = fxe_asked_class(r);
    if (cls < 0 || (cls == FX_CLASS_IndexBinary && fxe_require(r, FX_OP_read_index_binary) != 0))
        return 0;
    struct fxe_stream *s = calloc(1, sizeof *s);
    if (!s || cls == FX_CLASS_VectorTransform) {
        free(s);
        fxe_fail(r, "unsupported", "a VectorTransform cannot be loaded from a stream");
        return 0;
    }
    s->session = r->session;
    s->cls = cls;
    s->flags = fxe_read_flags(r);
    s->request = r;
    pthread_cond_init(&s->fed, NULL);
    fxe_lock();
    if (HASH_COUNT(s->session->streams) >= STREAMS_MAX) {
        fxe_unlock();
        pthread_cond_destroy(&s->fed);
        free(s);
        fxe_fail(r, "limit", "the session already has %d loads that wait for bytes", STREAMS_MAX);
        return 0;
    }
    s->id = fxe_blob_id();
    HASH_ADD(hh, s->session->streams, id, sizeof s->id, s);
    s->session->busy++; /* for the thread; it calls fxe_session_leave */
    fxe_unlock();
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = pthread_create(&thread, &attr, stream_thread, s);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        return 1;
    fxe_lock();
    HASH_DELETE(hh, s->session->streams, s);
    s->session->busy--; /* cannot end the session: r counts too */
    fxe_unlock();
    pthread_cond_destroy(&s->fed);
    free(s);
    fxe_fail(r, "limit", "the server cannot start a thread for another load");
    return 0;
}

static int start_feed(struct fxe_req *r)
{
    uint64_t id;
    struct fxe_stream *s = NULL;
    if (!fx_header_uint(&r->header, "stream", &id)) {
        fxe_fail(r, "protocol", "feed without 'stream'");
        return 0;
    }
    fxe_lock();
    HASH_FIND(hh, r->session->streams, &id, sizeof id, s);
    if (s && !s->request) {
        s->request = r;
        pthread_cond_signal(&s->fed);
    } else {
        s = NULL;
    }
    fxe_unlock();
    if (!s)
        fxe_fail(r, "argument", "no load is waiting for these bytes");
    return s != NULL;
}

static void stop(struct fxe_stream *s)
{
    s->aborted = 1;
    pthread_cond_signal(&s->fed);
}

void fxe_stream_abort(struct fxe_session *session, uint64_t id)
{
    struct fxe_stream *s;
    HASH_FIND(hh, session->streams, &id, sizeof id, s);
    if (s)
        stop(s);
}

void fxe_streams_abort(struct fxe_session *session)
{
    struct fxe_stream *s, *tmp;
    HASH_ITER(hh, session->streams, s, tmp)
    {
        stop(s);
    }
}

const struct fxe_operation fxe_load_stream_operation = {"load_stream", 1, NULL, NULL,
                                                        start_load_stream};
const struct fxe_operation fxe_feed_operation = {"feed", 1, NULL, NULL, start_feed};
