/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays of requests and replies: a payload frame if they are small, else a blob (blob.h).
 *
 * An array of a reply is announced by fx_array_next(), and fx_array_read() puts it into memory of
 * the caller's, now if it came in its frame.  If it is a blob it is only noted, because it cannot
 * be downloaded before the call has ended: fx_arrays_fetch() does that.
 *
 *     if (fx_array_next(&r, &a) == 0 && (to = malloc(a.size)))
 *         rc = fx_array_read(&r, &a, to, &later);
 *     fx_rpc_end(&r);
 *     if (rc == 0)
 *         rc = fx_arrays_fetch(&later);
 *
 * All functions return 0, or -1 with the error set.  One thread, as its struct fx_rpc.
 */
#ifndef FX_ARRAY_H
#define FX_ARRAY_H

#include "shim/transport/rpc.h"

/* An array of the reply that is being read. */
struct fx_array_in {
    size_t size;   /* bytes */
    uint64_t blob; /* its id, or 0: it is in the current frame */
};

/* The arrays of a reply that are blobs, and where they go; zero-initialise. */
struct fx_arrays_later {
    int n;
    struct {
        uint64_t blob;
        void *to;
        size_t size;
    } of[FX_FRAMES_MAX];
};

/* Pack an array as an argument.  A large one is uploaded at once; `data` must stay until the
 * request was sent. */
int fx_array_pack(msgpack_packer *pk, struct fx_payload *p, const void *data, size_t size);

/* The same for one that is uploaded whatever its size; `file` as in fx_upload(). */
int fx_upload_pack(msgpack_packer *pk, struct fx_payload *p, const void *data, size_t size,
                   int file);

int fx_array_next(struct fx_rpc *r, struct fx_array_in *a);
int fx_array_read(struct fx_rpc *r, const struct fx_array_in *a, void *to,
                  struct fx_arrays_later *later);
int fx_arrays_fetch(const struct fx_arrays_later *later);

#endif
