/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The array that this process has sent last.  The server keeps it for a while after the call that
 * used it (server/engine/objects/again.h): if the program passes the same vectors again, say to add
 * after train, they need not be sent again.
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
    uint8_t pages[16];
};

/* Describes the array as upload `id` of the session. */
struct fx_sent fx_sent_of(const void *data, size_t size, uint64_t id);

/* Returns the upload that was sent last if it seems to have been the same array, or 0. */
uint64_t fx_sent_find(const struct fx_sent *array);

/* The array has been sent. */
void fx_sent_note(const struct fx_sent *array);

#endif
