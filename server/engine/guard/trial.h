/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries a call in a child process before the engine makes it.
 *
 * The child is a copy of the engine with all its objects; what it does to them is lost when it
 * ends.  If FAISS ends the child, the call must not be made; the engine is unharmed.
 *
 * Only the calling thread exists in the child, so FAISS uses one OpenMP thread there, which needs
 * no pool.  Locks that other threads hold at the time of the copy stay locked in the child.  The C
 * library takes care of malloc's.  A child that waits for another lock uses no processor time; it
 * is recognised by that and killed, and the trial has no result.  Any thread may call these
 * functions; they block until the child is done.
 */
#ifndef FXE_TRIAL_H
#define FXE_TRIAL_H

#include <stddef.h>

enum fxe_trial {
    FXE_TRIAL_ENDED,  /* the call returned or threw: it can be made */
    FXE_TRIAL_DIED,   /* the call ended the child; `why` says how */
    FXE_TRIAL_LONG,   /* the call used more processor time than the limit */
    FXE_TRIAL_UNKNOWN /* no child could be started, or it waited for a lock */
};

/* Seconds for `seconds`: for a call that ends some time, and for one that may not end, with more
 * for each of its vectors. */
#define FXE_TRIAL_SECONDS 600.
#define FXE_HANG_SECONDS 10.
#define FXE_HANG_SECONDS_EACH .005

enum { FXE_WHY = 1200 }; /* bytes for any `why` */

/* Tries f(arg) for at most `seconds` of processor time.  `why` has `len` bytes. */
enum fxe_trial fxe_trial(void (*f)(void *), void *arg, double seconds, char *why, size_t len);

/* A trial of a call that asks its caller for data through pipes.  The child gets its ends,
 * `childs`, as descriptors FXE_TRIAL_IN and FXE_TRIAL_OUT.  serve(ctx) is called whenever `asked`
 * can be read; unless it returns 0, the child is killed and the trial has no result.
 * fxe_trial_served closes `childs` in the engine. */
enum { FXE_TRIAL_IN = 3, FXE_TRIAL_OUT = 4 };
struct fxe_served {
    int asked, childs[2];
    int (*serve)(void *ctx);
    void *ctx;
};
enum fxe_trial fxe_trial_served(void (*f)(void *), void *arg, double seconds,
                                const struct fxe_served *s, char *why, size_t len);

#endif
