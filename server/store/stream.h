/* SPDX-License-Identifier: Apache-2.0 */
/* Large records by themselves, without the database.
 *
 * In a segment each record follows a head that has all that its row has.  So one sync of the
 * segment makes such a record durable; its row is committed, but not synced before a transaction
 * with something else.  When the store is opened, records for which there is no row yet are found
 * behind the place that the database has as the end of the stream.  The first one that is not whole
 * ends the stream: power was lost while it was written, and nobody was told that it is durable.
 *
 * A head repeats the checksum of the head before it, or a random number in the first one of a
 * segment.  So what a segment has from earlier is not taken for a record.
 *
 * A transaction that begins a segment is synced: only one segment has to be looked at. */
#ifndef FXS_STORE_STREAM_H
#define FXS_STORE_STREAM_H

#include "server/store/internal.h"

enum { FXS_HEAD_SIZE = 128 }; /* a multiple of FXS_SEGMENT_ALIGN */

/* Writes the head of the record, whose data will be at row->offset; at->chain is the head's
 * checksum then. */
void fxs_stream_head(const struct fxs_row *row, struct fxs_stream *at, uint8_t head[FXS_HEAD_SIZE]);

/* Reads the head of a record that has a row.  Returns false if it has none: format 1. */
bool fxs_stream_read_head(struct fxs_store *s, const struct fxs_row *row,
                          uint8_t head[FXS_HEAD_SIZE]);

/* The end of a record of so many bytes at `offset`: where the next head begins. */
static inline uint64_t fxs_stream_end(uint64_t offset, uint64_t size)
{
    return offset + (size + FXS_SEGMENT_ALIGN - 1) / FXS_SEGMENT_ALIGN * FXS_SEGMENT_ALIGN;
}

/* What a process before has written may not be on disk although it can be read: its sync may have
 * failed.  So the file is synced, and what is behind `from` is then read from the disk. */
enum fxs_store_rc fxs_drop_cached(struct fxs_store *s, int fd, uint64_t from, const char *name,
                                  char *why);

/* Calls f, unless it is NULL, for each record for which `db` has no row, until f does not return
 * FXS_STORE_OK.  Each is whole, and has the number after the one before.  *end is the end of the
 * stream. */
enum fxs_store_rc fxs_stream_each(struct fxs_store *s, struct fxs_db *db,
                                  enum fxs_store_rc (*f)(void *ctx, const struct fxs_row *row,
                                                         char *why),
                                  void *ctx, struct fxs_stream *end, char *why);

/* For repair: calls f for each record from `at` on whose number is larger than `newest` and the one
 * before, until `end`; or, if that is NULL, as far as heads can be read, in all segments.  Then the
 * database has lost rows that were durable, and numbers may be missing.  `damage`: what is wrong
 * with the data, or NULL.  *reached is the end of the last record that had a head. */
enum fxs_store_rc fxs_stream_salvage(struct fxs_store *s, const struct fxs_stream *at,
                                     const struct fxs_stream *end, uint64_t newest,
                                     enum fxs_store_rc (*f)(void *ctx, const struct fxs_row *row,
                                                            const char *damage),
                                     void *ctx, struct fxs_stream *reached, char *why);

/* Adds the rows that are missing, when the store is opened. */
enum fxs_store_rc fxs_stream_recover(struct fxs_store *s, char *why);

/* Opens and closes a store that is not in use, if rows are missing.  What is wrong with it is left
 * for others to find. */
void fxs_stream_settle(const char *dir);

#endif
