/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that read the vectors of an index. */
#include <stdlib.h>
#include <string.h>

#include "server/engine/catalogue/catalogue.h"
#include "server/engine/catalogue/keys.h"
#include "server/engine/catalogue/vectors.h"
#include "server/engine/guard/facts.h"

/* --- get_vectors --- */

static int prepare_get_vectors(struct fxe_req *r)
{
    r->lane = FXE_WIDE;
    return fxe_index_lock(r, "name", 0, false);
}

/* Those whose ids the request names. */
static int read_named(struct fxe_req *r, struct fxe_vectors *v)
{
    const void *ids = NULL;
    size_t size = 0;
    int64_t n;
    msgpack_object frame;
    if (fxe_key_has(r, "from"))
        return fxe_fail(r, "argument", "%s: either ids or from may be given, but both are",
                        r->operation->name);
    if (fxe_is_binary(r->obj[0]))
        return fxe_fail(r, "unsupported",
                        "%s: the vectors of a binary index are read by their positions, not by ids",
                        r->operation->name);
    if (fxe_key_int(r, "n", 0, INT64_MAX / (int64_t)sizeof(idx_t), NULL, &n) != 0 ||
        fxe_key_array(r, "ids", -1, n, sizeof(idx_t), "int64", &frame) != 0 ||
        fxe_req_bytes(r, &frame, "ids", &ids, &size) != 0)
        return -1;
    if (size != (size_t)n * sizeof(idx_t)) /* an upload */
        return fxe_fail(r, "argument", "%s: ids must have %lld int64, but has %zu bytes",
                        r->operation->name, (long long)n, size);
    return fxe_vectors_of(r, r->obj[0], ids, (size_t)n, v);
}

static int read_wanted(struct fxe_req *r, struct fxe_vectors *v)
{
    static const int64_t first = 0;
    int64_t ntotal = fxe_ntotal_of(r->obj[0]), from, n;
    if (fxe_key_has(r, "ids"))
        return read_named(r, v);
    if (fxe_key_int(r, "from", 0, ntotal, &first, &from) != 0)
        return -1;
    int64_t rest = ntotal - from;
    if (fxe_key_int(r, "n", 0, rest, &rest, &n) != 0)
        return -1;
    return fxe_vectors_read(r, r->obj[0], from, n, v);
}

static void run_get_vectors(struct fxe_req *r)
{
    struct fxe_vectors v = {.n = 0};
    if (read_wanted(r, &v) == 0) {
        msgpack_packer pk = fxe_reply_key(r, "n");
        msgpack_pack_int64(&pk, v.n);
        fxe_reply_array(r, v.ids, (size_t)v.n * sizeof *v.ids);
        fxe_reply_array(r, v.vectors, v.bytes);
        v.ids = NULL;
        v.vectors = NULL;
    }
    fxe_vectors_free(&v);
}

/* --- search_and_reconstruct --- */

static int prepare_search_and_reconstruct(struct fxe_req *r)
{
    if (fxe_prepare_search(r) != 0)
        return -1;
    if (fxe_is_binary(r->obj[0]))
        return fxe_fail(r, "unsupported", "%s: FAISS's C API does not have this for a binary index",
                        r->operation->name);
    r->lane = FXE_WIDE; /* not in a batch with searches that end sooner */
    return 0;
}

static void run_search_and_reconstruct(struct fxe_req *r)
{
    fxe_run_search(r);
    if (r->failed)
        return;
    size_t n = r->out[1].size / sizeof(idx_t), size;
    float *found = fxe_vectors_new(r, r->obj[0], n, &size);
    if (!found)
        return;
    memset(found, 0xff, size); /* as FAISS does where there is no neighbour */
    if (fxe_vectors_found(r, r->obj[0], r->out[1].data, n, found) == 0)
        fxe_reply_array(r, found, size);
    else
        free(found);
}

const struct fxe_index_operation fxe_index_vectors[] = {
    {{"index_get_vectors", 0, prepare_get_vectors, run_get_vectors, NULL}, 0, false},
    {{"index_search_and_reconstruct", 0, prepare_search_and_reconstruct, run_search_and_reconstruct,
      NULL},
     FX_OP_Index_search,
     false},
    {{NULL, 0, NULL, NULL, NULL}, 0, false}};
