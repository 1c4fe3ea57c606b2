/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the program when a connection breaks and comes back (faissx_on_event in faissx.h).
 *
 * Each thread tells of its own connection, from within its call, while it holds no lock.  A thread
 * that has told FAISSX_EVENT_DISCONNECTED tells one of the others when it is connected again.
 */
#ifndef FX_EVENT_H
#define FX_EVENT_H

struct fx_thread;

/* What a thread has told of its connection. */
struct fx_seen {
    int connected;              /* it has had a connection, in: */
    unsigned generation, epoch; /* see session.h */
    int broken;                 /* and has told that it is gone */
};

/* The thread's connection broke; `why` is a text. */
void fx_event_broken(struct fx_thread *self, const char *why);

/* The thread has a connection again, self->channel. */
void fx_event_connected(struct fx_thread *self);

#endif
