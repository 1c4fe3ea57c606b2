/* SPDX-License-Identifier: Apache-2.0 */
/* The file `replaying`: a few words that are mapped, so that they survive the process without being
 * synced each time.  They hold the record that is being replayed, and how much of SQLite's
 * write-ahead log and of the newest segment is durable.
 *
 * The latter is for damage.  SQLite takes the log to end where a checksum is wrong, be it because
 * power failed there or because a byte in the middle has changed: what comes after is lost, and
 * nobody is told.  So the store notes how long the log was when it was synced last.  The note may
 * be old, but it is never ahead of the log, so a log that is shorter has been damaged.  The same is
 * true of a segment (stream.h). */
#ifndef FXS_STORE_MARK_H
#define FXS_STORE_MARK_H

#include "server/store/db.h"

struct fxs_mark;

/* Before the database is opened. */
void fxs_mark_open(struct fxs_store *s);
/* For a store that is only looked at: nothing is written. */
void fxs_mark_view(struct fxs_store *s);
void fxs_mark_close(struct fxs_store *s);
/* The write-ahead log has all that the mark says. */
enum fxs_store_rc fxs_mark_verify(struct fxs_store *s, char *why);
/* The segment has all of the stream that the mark says, of which `end` is the end. */
enum fxs_store_rc fxs_mark_verify_stream(struct fxs_store *s, const struct fxs_stream *end,
                                         char *why);
/* The same of all segments, up to the end of the newest; *segment is the one that lacks something.
 */
enum fxs_store_rc fxs_mark_verify_all(struct fxs_store *s, const struct fxs_stream *end,
                                      uint64_t *segment, char *why);
/* The writer, after a commit. */
void fxs_mark_committed(struct fxs_store *s);
/* The writer: the log is in the database, and is about to be begun again or removed. */
enum fxs_store_rc fxs_mark_clear(struct fxs_store *s, char *why);

#endif
