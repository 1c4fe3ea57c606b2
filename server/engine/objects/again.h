/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uploads that a call has used, in case the session's next call is about the same vectors: train,
 * and then add.  The client names such an array and sends a hash of what it has now
 * (proto/content.h), instead of the array.
 *
 * One for each session, for half a minute at most, and at most 256 MiB of them in an engine; freed
 * at once when the session uploads another array or ends, and before anything else when memory is
 * short.
 *
 * Any thread.  Has a lock of its own, under which no other is taken: engine.lock may be held.
 */
#ifndef FXE_AGAIN_H
#define FXE_AGAIN_H

#include "server/engine/engine.h"

/* Keeps the array, instead of an earlier one of the session and, if there is no place, of the
 * oldest ones of others, and sets *data to no memory; or does nothing and returns false if there
 * is not plenty of memory. */
bool fxe_again_put(struct fxe_session *s, uint64_t id, struct fx_buffer *data);

/* Does the session have an array of this upload and size? */
bool fxe_again_has(const struct fxe_session *s, uint64_t id, size_t size);

/* Moves the array to *data if the session has it, and if it has this size and hash.  Hashes all of
 * it meanwhile.  The caller frees it. */
bool fxe_again_take(struct fxe_session *s, uint64_t id, size_t size, const void *secret,
                    const void *hash, struct fx_buffer *data);

/* Frees the session's array.  The caller does not hold engine.lock. */
void fxe_again_drop(struct fxe_session *s);

/* The session ends: the housekeeper frees its array. */
void fxe_again_leave(struct fxe_session *s);

/* Memory is short: frees all of them.  Returns false if there was none. */
bool fxe_again_drop_all(void);

/* Frees those whose time is over at `now` (milliseconds).  Returns when the next one's is, or
 * INT64_MAX. */
int64_t fxe_again_expire(int64_t now);

#endif
