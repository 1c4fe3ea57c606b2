/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions: the state of one client process, shared by any number of connections.
 *
 * A connection belongs to the session that its last request named.  A session lives as long as it
 * has a connection, even a silent one.  After the last connection has closed, the session ends when
 * its lease is over.  Its objects are then freed as soon as no request uses them.
 *
 * The caller of every function here holds engine.lock, except for fxe_session_width.
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
    struct fxe_used *used;   /* an upload that is kept after its call, see objects/again.h */
    struct fxe_stream *streams;
    struct fxe_conn *conns; /* list, through conn.next */
    int busy;               /* requests and loads from streams that are running */
    int omp_threads;        /* threads of its wide work, 0: one for each core; atomic */
    int ended;              /* freed when `busy` is 0 */
    int64_t ends_ms;        /* without a connection: when the lease is over; else 0 */
    struct fxe_session *prev_lost, *next_lost;
    UT_hash_handle hh;
};

/* Returns a new session with a random token, or NULL if there are too many or memory is out. */
struct fxe_session *fxe_session_new(void);
/* Returns the session with this token, which an engine before this one had: if there is none yet, a
 * new one, whose lease begins now.  NULL if memory is out. */
struct fxe_session *fxe_session_restore(const uint8_t token[FX_TOKEN_SIZE]);
struct fxe_session *fxe_session_find(const uint8_t token[FX_TOKEN_SIZE]);

/* Moves the connection to this session. */
void fxe_session_bind(struct fxe_session *s, struct fxe_conn *c);
/* Removes the connection from its session.  If it was the last one, the lease begins. */
void fxe_session_unbind(struct fxe_conn *c);

/* Ends the session.  Its objects are put on *doomed as soon as its requests are done. */
void fxe_session_end(struct fxe_session *s, struct fxe_obj **doomed);
/* A request or a load from a stream has ended: decrements busy. */
void fxe_session_leave(struct fxe_session *s, struct fxe_obj **doomed);

/* Ends the sessions whose lease is over at `now` (milliseconds).  Returns when the next lease is
 * over, or INT64_MAX. */
int64_t fxe_sessions_expire(int64_t now, struct fxe_obj **doomed);

/* Returns how many sessions there are, including ended ones that are still busy. */
size_t fxe_sessions_count(void);
/* Returns how many sessions have not ended. */
size_t fxe_sessions_live(void);
/* Would such a session lose anything with the process?  With --keep sessions, it loses only objects
 * that the store does not have, such as an IndexShards, and what is in transfer. */
bool fxe_sessions_lose(void);

/* Returns how many OpenMP threads the session has asked for with faiss_set_omp_threads; 0 if it has
 * not, or if `s` is NULL.  No lock is needed while the session has a request. */
int fxe_session_width(const struct fxe_session *s);

#endif
