/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process's session with the server, and the connections of its threads.
 *
 * A process has one session, which `hello` makes when a thread first needs it.  Each thread has a
 * connection of its own in that session, which it opens with `attach` and owns; when the thread
 * ends, the connection may be kept for the next thread.  Any thread may call these functions.  The
 * session's lock is held while a thread connects, but not while a call waits for its answer.
 *
 * Four things are counted, each under one name here, in rpc.h and in object.c:
 *
 *     generation   sessions that this process has lost.  Objects and requests of an older
 *                  generation belong to a session that is gone.
 *     epoch        changes of what connections are good for: a new configuration, or, in the child,
 *                  a fork.  A connection of an older epoch leads elsewhere, or is the parent's.
 *     ancestors    forks that led to this process.  An object with a smaller number was made by an
 *                  ancestor, which frees it.
 *     forks        forks that this process or an ancestor has made.  An object with a smaller
 *                  number may be known to another process, too.
 */
#ifndef FX_SESSION_H
#define FX_SESSION_H

#include <stdint.h>

#include "proto/client/conn.h"

struct fx_thread;

/* A connection in the process's session, and all that belongs to it: to put a connection aside, put
 * this whole struct aside. */
struct fx_channel {
    struct fx_conn *conn; /* NULL: there is none */
    unsigned epoch;
    unsigned generation;          /* of the session that it is in, */
    uint8_t token[FX_TOKEN_SIZE]; /* and that session's token */
    int near;                     /* over a Unix socket: memfds can be passed */
    int again;                    /* arrays may be left out, see calls/sent.h and calls/call.c */
    uint64_t owed;                /* replies that the server has yet to send */
};

/* Set the server; NULL or "" clears it.  See faissx_configure. */
int fx_session_configure(const char *server, const char *key, const char *tenant);

/* Is a server configured at present? */
int fx_remote_configured(void);

/* Connect this thread now. */
int fx_session_open(void);

/* This thread's connection, in the session: connects and says hello as needed.  Returns NULL with
 * the error set.  The thread keeps owning the connection. */
struct fx_conn *fx_session_conn(struct fx_thread *self, int64_t deadline);

/* Take a connection that its thread does not need any more, and forget it there.  `within`: the
 * thread has ended in the middle of a call. */
void fx_session_give_back(struct fx_channel *channel, int within);

/* May this process end the connection for good?  Not one of its parent, which a callback may have
 * left a forked child with. */
int fx_session_is_own(const struct fx_channel *channel);

/* Has the process had a session with this server?  If not, a server that cannot be reached is an
 * error at once. */
int fx_session_was_connected(void);

/* Find out why a connection broke in the middle of `operation`.  Returns 0 with the error set when
 * the engine died or cannot start, -1 when that was not the reason. */
int fx_session_explain(const char *operation, int64_t deadline);

unsigned fx_session_generation(void);

/* Why the session of `generation` is gone.  Returns 1 if its engine died. */
enum { FX_WHY_SIZE = 300 };
int fx_session_why(unsigned generation, char *why, size_t size);

/* Does the present session's engine know what was answered in the session of `generation`? */
int fx_session_remembers(unsigned generation);

/* The server has said that it does not know the session of `generation`. */
void fx_session_lost(unsigned generation, int64_t deadline);

/* The version of FAISS that the server has; valid until the next hello. */
const char *fx_session_server_version(void);

/* What is needed to end the session when the process ends. */
struct fx_farewell {
    uint8_t token[FX_TOKEN_SIZE];
    const char *key, *tenant; /* or NULL; the session's */
    const char *endpoint;     /* on this host, so that connecting needs no wait; or NULL */
    struct fx_conn *spare;    /* a connection that no thread uses, or NULL */
    unsigned epoch;           /* of the connections that threads may have */
};

/* The process ends.  Returns 0 if its session is its own to end: then no call can be made any more,
 * and the session's lock is held until fx_session_farewell_done().  Returns -1 if not, or if the
 * lock is not to be had soon. */
int fx_session_farewell(struct fx_farewell *f);
void fx_session_farewell_done(void);

void fx_session_fork_prepare(void);
void fx_session_fork_done(int in_child);

#endif
