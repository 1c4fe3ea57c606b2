/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions: what belongs to one client process, over any number of connections.
 *
 * A connection belongs to the session that its last request named, and to one at a time.  While
 * a session has a connection it lives, however long it is silent; the kernel says when one has
 * ended.  Without any, the session ends after the lease, and what it owns is freed, as soon as
 * no request uses it.
 *
 * Everything here needs engine.lock.
 */
#ifndef FXE_SESSION_H
#define FXE_SESSION_H

#include "server/engine/engine.h"
#include "server/engine/run/conn.h"

enum { FXE_SESSIONS_MAX = 1 << 20 };

struct fxe_session {
    uint8_t token[FX_TOKEN_SIZE];
    struct fxe_obj *objects; /* list, through obj.next */
    struct fxe_blob *blobs;  /* by id */
    struct fxe_stream *streams;
    struct fxe_conn *conns; /* list, through conn.next */
    int busy;               /* requests under way */
    int omp_threads;        /* of its wide work, 0: one for each core; atomic */
    int ended;
    int64_t ends_ms; /* with no connection: when the lease is over; else 0 */
    struct fxe_session *prev_lost, *next_lost;
    UT_hash_handle hh;
};

/* A new session with a random token; NULL: too many, or no memory. */
struct fxe_session *fxe_session_new(void);
struct fxe_session *fxe_session_find(const uint8_t token[FX_TOKEN_SIZE]);

/* The connection belongs to it from now on, and to no other. */
void fxe_session_bind(struct fxe_session *s, struct fxe_conn *c);
/* The connection has ended, or is to belong to none. */
void fxe_session_unbind(struct fxe_conn *c);

/* Free all that it owns, as soon as its requests are done. */
void fxe_session_end(struct fxe_session *s, struct fxe_obj **doomed);
/* A request of it has ended. */
void fxe_session_leave(struct fxe_session *s, struct fxe_obj **doomed);

/* End those whose lease is over.  Returns when the next one's is, or INT64_MAX. */
int64_t fxe_sessions_expire(int64_t now, struct fxe_obj **doomed);

size_t fxe_sessions_count(void);
/* Those that have not ended. */
size_t fxe_sessions_live(void);

/* Threads of OpenMP that wide work of the session may use, as faiss_set_omp_threads said; 0: it
 * did not.  NULL: of no session.  Needs no lock while the session has a request. */
int fxe_session_width(const struct fxe_session *s);

#endif
