/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The array that the server has kept of this process's last calls (server/engine/objects/again.h):
 * if the program passes the same vectors again, say to add after train, they need not be sent
 * again.
 *
 * It is recognised by some of its pages, which takes no time.  If these are the same, the server is
 * asked whether all of it is, with a hash of all bytes: hashing here and there takes about half of
 * the time that 20 Gb/s takes.
 *
 * Any thread.
 */
#ifndef FX_SENT_H
#define FX_SENT_H

#include <stddef.h>
#include <stdint.h>

/* What is known of an array without reading all of it. */
struct fx_sent {
    uint64_t id; /* of its upload; 0: no array */
    size_t size;
    unsigned generation; /* of the session, see shim/transport/session.h */
    int64_t kept_ms;     /* since when the server keeps it */
    uint8_t pages[16];
};

/* Describes the array as upload `id` of that session. */
struct fx_sent fx_sent_of(const void *data, size_t size, uint64_t id, unsigned generation);

/* Returns the upload that the server has kept if it seems to have been the same array, and the
 * server may still have it; or 0.  It is returned once: the server is asked for it, and has it no
 * more. */
uint64_t fx_sent_take(const struct fx_sent *array);

/* The array is the server's for a call that has not ended. */
void fx_sent_note(const struct fx_sent *array);

/* The reply to that call says that the server keeps the array of upload `id`. */
void fx_sent_kept(uint64_t id);

#endif
