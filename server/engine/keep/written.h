/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot in the making: its file is written first, which takes long, and then it is committed.
 */
#ifndef FXE_WRITTEN_H
#define FXE_WRITTEN_H

#include "server/engine/keep/keep.h"

/* What was true of the index when it was written. */
struct fxe_moment {
    uint64_t applied, log_bytes, trimmed_bytes, unlogged, number;
    int64_t busy_ms, trimmed_ms, begun_ms;
    const char *cls;
    struct fxs_note note;
};

/* A snapshot whose file is complete. */
struct fxe_written {
    struct fxe_kept *k;
    struct fxs_snapshot w;
    struct fxs_snapshot_sum sum;
    struct fxe_moment m;
};

/* Takes down what is true of `k` now, whose index is `o`.  The caller holds engine.lock, and the
 * index's lock. */
void fxe_moment_take(struct fxe_kept *k, const struct fxe_obj *o, struct fxe_moment *m);
/* Has FAISS write the index.  Returns 0, or FAISS's error code with `why`. */
int fxe_written_bytes(const struct fxe_obj *o, struct fxs_snapshot *w, char *why);

/* Writes a file with the index as it is.  Returns what fxe_snapshot_now does; if that is 0, the
 * caller commits it or drops it. */
int fxe_written_file(struct fxe_written *s, struct fxe_kept *k, const struct fxe_obj *o, char *why);
/* Makes it the newest snapshot, unless a newer one is there.  Returns 0, or -1 with `why`. */
int fxe_written_commit(struct fxe_written *s, const char *name, struct fxe_req *r, char *why);
/* The same in the background, unless the index is being read again: that may take as long as all of
 * its changes, which the snapshots of others, and the end of the engine, must not wait for. */
int fxe_written_try_commit(struct fxe_written *s, char *why);
void fxe_written_drop(struct fxe_written *s);

#endif
