/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trying a call in a child process before it is made.
 *
 * The child is a copy of the engine, with all its objects; what it does to them is lost
 * with it.  If FAISS ends the child, the call must not be made; its death costs the engine
 * nothing.
 *
 * Of the engine's threads only the calling one exists in the child, so FAISS works with one
 * OpenMP thread there, which needs no pool.  Locks that other threads hold while the engine
 * is copied stay locked in the child: malloc's are taken care of by the C library, and a
 * child that waits for any other is recognised, for it uses no processor, and ended; the
 * trial then says nothing.  Any thread may call this; it blocks until the child is done.
 */
#ifndef FXE_TRIAL_H
#define FXE_TRIAL_H

#include <stddef.h>

enum fxe_trial {
    FXE_TRIAL_ENDED,  /* the call returned, or threw: it can be made */
    FXE_TRIAL_DIED,   /* it ended the child; `why` says how */
    FXE_TRIAL_LONG,   /* it used more processor time than the limit */
    FXE_TRIAL_UNKNOWN /* no child could be made, or it waited for a lock */
};

enum { FXE_WHY = 1200 }; /* characters that are enough for `why` */

/* Try f(arg) for `seconds` of processor time. */
enum fxe_trial fxe_trial(void (*f)(void *), void *arg, double seconds, char *why, size_t len);

/* A call that asks its caller for things while it is made, through pipes: the child finds its
 * ends, `childs`, as descriptors FXE_TRIAL_IN and FXE_TRIAL_OUT, and serve(ctx) is called when
 * `asked` can be read.  When that returns -1 the trial is ended, and says nothing.  The child's
 * ends are closed here. */
enum { FXE_TRIAL_IN = 3, FXE_TRIAL_OUT = 4 };
struct fxe_served {
    int asked, childs[2];
    int (*serve)(void *ctx);
    void *ctx;
};
enum fxe_trial fxe_trial_served(void (*f)(void *), void *arg, double seconds,
                                const struct fxe_served *s, char *why, size_t len);

/* How many trials there have been, and how many ended a child. */
void fxe_trial_counts(unsigned long *trials, unsigned long *deaths);

#endif
