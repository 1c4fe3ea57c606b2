/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The array that this process has sent last; the largest one if a call has several.  The server
 * keeps it for a while after the call that used it (server/engine/objects/again.h): if the program
 * passes the same vectors again, say to add after train, they need not be sent again.
 *
 * It is recognised by some of its pages, which takes no time.  If these are the same, the server is
 * asked whether all of it is, with a hash of all bytes: hashing takes a tenth of the time that 20
 * Gb/s takes.
 *
 * Any thread.
 */
#ifndef FX_SENT_H
#define FX_SENT_H

#include <stddef.h>
#include <stdint.h>

/* What is known of an array without reading all of it. */
struct fx_sent {
    uint64_t id; /* of its upload; 0: nothing was sent */
    size_t size;
    unsigned generation; /* of the session, see shim/transport/session.h */
    uint64_t call;       /* the request that names it, */
    const void *thread;  /* and whose that is */
    int64_t used_ms;     /* when that call has ended, or the array was sent */
    uint8_t pages[16];
};

/* Describes the array as upload `id` of the session. */
struct fx_sent fx_sent_of(const void *data, size_t size, uint64_t id);

/* Returns the upload that was sent last if it seems to have been the same array, and the server may
 * still have it; or 0. */
uint64_t fx_sent_find(const struct fx_sent *array);

/* This thread has sent the array for its request `call`.  Of a call's arrays the largest is
 * remembered: the server keeps no other. */
void fx_sent_note(const struct fx_sent *array, uint64_t call);

/* A call of this thread has ended: from now on the server keeps its array. */
void fx_sent_used(void);

#endif
