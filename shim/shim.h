/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the shim.  The exported functions (generated, entry.c) jump through fx_entry,
 * which holds one of three tables:
 *
 *     lazy      at the start: initialise, then call again        init.c
 *     local     the real library's own functions                 init.c
 *     remote    generated stubs -> fx_remote_call, which ends    call.c, values_*.c,
 *               in a function written by hand for some           files.c, custom.c
 *
 * Lock order: those of join.c, session lock, threads lock, object lock.  No lock is held while
 * waiting for the network, but the session lock while a thread says hello, and that of an index's
 * kept adds while they are sent.
 */
#ifndef FX_SHIM_H
#define FX_SHIM_H

#include <pthread.h>

#include "proto/api.h"
#include "proto/library.h"
#include "proto/wire.h"
#include "shim/faissx.h"

#define FX_EXPORT __attribute__((visibility("default")))

#ifndef FAISSX_VERSION
#define FAISSX_VERSION "0.1.0"
#endif

/* --- init.c --- */

extern struct fx_api fx_entry;

/* The real library, loaded on first use.  NULL where there is none, with the error set. */
const struct fx_library *fx_real(void);
const struct fx_library *fx_real_if_loaded(void);

/* Is a server configured at present? */
int fx_remote_configured(void);

/* legacy.c: FAISSX_ABI=legacy, put into a table before it is installed.  `short_params`: what
 * is behind the table is as old as the program. */
void fx_legacy(struct fx_api *table, int short_params);

/* --- error.c: state of a thread --- */

/* A connection in the process's session, and all that belongs to it: whoever puts a connection
 * aside, puts this aside. */
struct fx_channel {
    struct fx_conn *conn;  /* NULL: none yet */
    unsigned epoch;        /* of the configuration and the fork that it belongs to */
    int near;              /* over a Unix socket: memfds can be passed */
    uint64_t last_request; /* id of the newest request sent over it; the first is 1 */
};

struct fx_thread {
    struct fx_thread *prev, *next; /* of all threads */
    struct fx_channel channel;
    int calls;   /* under way: a large array is sent by calls within the call */
    int engaged; /* atomic, FX_IDLE and so on: who may use the channel */
    int joining;            /* it sends joined adds, see join.h */
    msgpack_sbuffer header; /* of the request being made, reused */
    int error;              /* FAISSX_* */
    unsigned failures;      /* errors set so far */
    char *text;             /* of the last error made or passed on by the shim */
    const char *real_error; /* what the real library's last error was at that time */
};

enum { FX_IDLE, FX_ENGAGED, FX_TAKEN };

/* Of the calling thread; NULL only when memory is out. */
struct fx_thread *fx_self(void);

/* A call begins, or ends.  Returns -1, and the error set, when the process is ending. */
int fx_thread_engage(struct fx_thread *self);
void fx_thread_disengage(struct fx_thread *self);

/* For the end of the process: the connection of a thread that has no call under way, of `epoch`.
 * Its thread cannot make any more.  NULL when there is none. */
struct fx_conn *fx_threads_take(unsigned epoch);

/* Take a lock that is held for long only where something is amiss: -1 when that is so. */
int fx_lock_soon(pthread_mutex_t *lock);

void fx_threads_fork_prepare(void);
void fx_threads_fork_done(int in_child);

/* Set this thread's last error.  fx_fail returns -4, fx_fail_missing -2. */
int fx_fail(int error, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int fx_fail_missing(int op);
void fx_set_error(int error, const char *text, size_t len);

/* Add `more` to the text of this thread's last error. */
void fx_error_append(const char *more);

/* Put this thread's last error aside, and back in place of any that came in between.  Its
 * text stays where it is. */
struct fx_error {
    int error;
    char *text;
    const char *real_error;
};
void fx_error_save(struct fx_error *e);
void fx_error_restore(struct fx_error *e);

/* faiss_get_last_error() in both modes. */
const char *fx_last_error(void);

/* --- object.c: handles --- */

struct fx_value; /* a value object's contents, values.h */

/* Memory that FAISS would have lent to the caller, kept until the object goes. */
struct fx_lent {
    struct fx_lent *next;
    int op, param;
    void *data;
    size_t size;
};

struct fx_fixed {
    struct fx_fixed *next;
    int op;
    union fx_val val;
};

struct fx_obj;

/* A new handle.  `id` is the server's name of the object, 0 for a value object, which
 * then owns `value`.  `lender` is the object it was borrowed from, or NULL.  When the
 * id has a handle already, that is returned.  NULL when memory is out. */
void *fx_obj_new(int cls, uint64_t id, struct fx_value *value, struct fx_obj *lender);

/* Look a handle up and hold it: fx_obj_release when the call is over.  NULL if it is
 * none of ours, or was freed. */
struct fx_obj *fx_obj_get(const void *handle);
void fx_obj_hold(struct fx_obj *o);
void fx_obj_release(struct fx_obj *o);

/* End the handle and those that were borrowed from it. */
void fx_obj_end(struct fx_obj *o);
/* End the handles of class `cls` that `lender` lent. */
void fx_obj_end_borrowed(struct fx_obj *lender, int cls);

int fx_is_ours(const void *handle); /* does it lie in our address range? */

int fx_obj_class(const struct fx_obj *o);
uint64_t fx_obj_id(const struct fx_obj *o);
struct fx_value *fx_obj_value(const struct fx_obj *o);
/* 0 when the object belongs to a session that is gone. */
int fx_obj_current(const struct fx_obj *o);
/* Was it made by the process that this one was forked from? */
int fx_obj_inherited(const struct fx_obj *o);

/* Does another process have the handle, by a fork since it was made? */
int fx_obj_shared(const struct fx_obj *o);

/* Remembered answers: of casts (1 or 0; -1 unknown), of getters whose value never
 * changes, and d. */
int fx_obj_cast(const struct fx_obj *o, int cls);
void fx_obj_set_cast(struct fx_obj *o, int cls, int yes);
int fx_obj_fixed(const struct fx_obj *o, int op, union fx_val *val);
void fx_obj_set_fixed(struct fx_obj *o, int op, union fx_val val);
void fx_obj_forget(struct fx_obj *o);

/* Adds to it that are kept to be sent together, join.h; atomic. */
struct fx_join **fx_obj_join(struct fx_obj *o);

/* Memory of `size` bytes lent for (op, param); grows or moves as FAISS's would. */
void *fx_obj_lend(struct fx_obj *o, int op, int param, size_t size);

void fx_obj_fork_prepare(void);
void fx_obj_fork_done(int in_child);

/* --- session.c: connection and session --- */

/* Set or clear the server; see faissx_configure. */
int fx_session_configure(const char *server, const char *key, const char *tenant);

/* Connect this thread now.  Returns 0, or -4 with the error set. */
int fx_session_open(void);

/* This thread's connection, in the process's session: connects and says hello as
 * needed.  Returns NULL with the error set. */
struct fx_conn *fx_session_conn(struct fx_thread *self, int64_t deadline);
/* A thread does not need its connection any more. */
void fx_session_give_back(struct fx_channel *channel);
/* Why a connection broke in the middle of `operation`: 0 and the error set when it was
 * the engine that died, else -1. */
int fx_session_explain(const char *operation, int64_t deadline);
void fx_session_token(uint8_t token[FX_TOKEN_SIZE]);
unsigned fx_session_generation(void);
/* The server does not know the session any more. */
void fx_session_lost(unsigned generation);
/* What hello told: library path and FAISS version of the server. */
const char *fx_session_server_version(void);

/* The program ends: what is needed to end its session, if that is this process's to end.  Returns
 * -1; or 0, and no call can be made from then on, and the session lock is held until
 * fx_session_farewell_done(). */
struct fx_farewell {
    uint8_t token[FX_TOKEN_SIZE];
    const char *key, *tenant; /* or NULL */
    const char *endpoint;     /* of this host, to connect to without waiting; or NULL */
    struct fx_conn *spare;    /* a connection that nobody uses, or NULL */
    unsigned epoch;           /* of others */
};
int fx_session_farewell(struct fx_farewell *f);
void fx_session_farewell_done(void);

void fx_session_fork_prepare(void);
void fx_session_fork_done(int in_child);

/* --- call.c: one remote call --- */

/* Marshal, send, wait, unmarshal.  The result has the member that the function's
 * return kind says; on failure it is the failure value and the error is set. */
union fx_val fx_remote_call(int op, union fx_val *v);

#endif
