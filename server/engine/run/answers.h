/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers to requests that change something, kept so that a request that is sent again is not
 * carried out again.
 *
 * A client names itself by 16 random bytes (`caller`), one for each of its threads, and numbers its
 * requests.  The pair names a request for good: also over another connection, and in another
 * session.  A request that is known
 *
 *     and still runs       waits for its end, and gets the same answer;
 *     and has ended        gets the answer that was kept;
 *     but was never begun  (its client was gone) is run.
 *
 * Answers of more than 64 KiB are not kept, but it is known that the call was made.  A caller's
 * answers are dropped when a later request of his acknowledges them (`oldest`), and when his
 * session says bye.  They outlive a session whose lease has ended: its client may be about to ask
 * again, in a new session, for a change to a published index.
 *
 * Searches and other calls that only read are not kept, nor are those that may be repeated freely.
 *
 * engine.lock guards all of this.
 */
#ifndef FXE_ANSWERS_H
#define FXE_ANSWERS_H

#include <stdbool.h>

#include "server/engine/run/request.h"
#include "server/store/store.h"

enum {
    FXE_CALLERS_MAX = 16384,      /* callers that are remembered: those that came last */
    FXE_ANSWER_MAX = 64 << 10,    /* bytes of an answer that is kept */
    FXE_ANSWERS_BYTES = 16 << 20, /* bytes of all of them; less if --max-pending is small */
    FXE_ANSWERS_EACH = 64         /* answers of one caller; the oldest go first */
};

enum fxe_known {
    FXE_NEW,      /* not known: run it */
    FXE_ANSWERED, /* r's reply is set */
    FXE_WAITING,  /* fxe_answers_end of the first one returns r */
    FXE_REFUSED   /* r's reply is an error */
};

/* Returns true if r has a caller and is of those whose answers are kept; *caller says who sent it.
 * A malformed caller makes the reply an error. */
bool fxe_answers_caller(struct fxe_req *r, struct fxs_caller *caller);

/* Looks up the request, before it is prepared.  The caller holds engine.lock. */
enum fxe_known fxe_answers_find(struct fxe_req *r, const struct fxs_caller *caller);

/* This request, which is new, begins.  Returns 0, or -1 and the reply is set.  The caller holds
 * engine.lock. */
int fxe_answers_begin(struct fxe_req *r, const struct fxs_caller *caller);

/* The answer of r, which fxe_answers_begin began: its header and arrays.  Returns a list, through
 * `next`, of the requests that wait for it.  They have the same reply (`repeated` is set), or are
 * to be looked up again because r was not begun.  The caller does not hold engine.lock. */
struct fxe_req *fxe_answers_end(struct fxe_req *r, const struct fx_frame *frames, int n);

/* The session has said bye: forgets its callers.  The caller holds engine.lock. */
void fxe_answers_forget(const struct fxe_session *s);

/* Returns true if the answers to changes of published indexes outlive this process, because a store
 * has them. */
bool fxe_answers_are_durable(void);

/* An answer as bytes, as it is kept: to be stored, and to be sent again.  fxe_answer_pack returns
 * memory to be freed, or NULL if there is none; fxe_answer_send makes the bytes r's reply, and
 * returns -1 if they are malformed or there is no memory. */
void *fxe_answer_pack(const struct fx_frame *frames, int n, size_t *size);
int fxe_answer_send(struct fxe_req *r, const void *bytes, size_t size);

/* Returns how many callers are remembered, and the bytes of their answers. */
size_t fxe_answers_callers(void);
size_t fxe_answers_bytes(void);

#endif
