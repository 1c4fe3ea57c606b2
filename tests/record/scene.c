/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that make sense only in sequence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

/* --- files --- */

static unsigned char bytes[4096];
static size_t nbytes, position, calls_left = SIZE_MAX;

/* Callbacks.  How often they are called is up to the library, so it is not printed. */
size_t give_bytes(void *p, size_t size, size_t n)
{
    size_t want = size ? (nbytes - position) / size : 0;
    n = n < want ? n : want;
    if (calls_left-- == 0)
        n = 0;
    memcpy(p, bytes + position, n * size);
    position += n * size;
    return n;
}

size_t take_bytes(const void *p, size_t size, size_t n)
{
    if (calls_left-- == 0 || n * size > sizeof bytes - nbytes)
        return 0;
    memcpy(bytes + nbytes, p, n * size);
    nbytes += n * size;
    return n;
}

static void show_bytes(const char *what, const void *p, size_t n)
{
    printf("  %s: %zu bytes, %016llx\n", what, n, (unsigned long long)text_sum(p, n));
}

static size_t file_bytes(const char *name)
{
    FILE *f = fopen(name, "rb");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f)
        fclose(f);
    return n;
}

/* Two indexes and some text in one file: readers must not take what follows their index. */
static void streams(int binary)
{
    void *index = shared(binary ? FX_CLASS_IndexBinary : FX_CLASS_Index, 0);
    int write = binary ? FX_OP_write_index_binary : FX_OP_write_index;
    int read = binary ? FX_OP_read_index_binary : FX_OP_read_index;
    char rest[16] = "";
    FILE *f = fopen("two.faiss", "w+b");
    if (!f)
        abort();
    fputs("before ", f);
    call(write, (union fx_val[3]){P(index), P(f)});
    call(write, (union fx_val[3]){P(index), P(f)});
    fputs(" after", f);
    fseek(f, 7, SEEK_SET);
    for (int i = 0; i < 2; i++)
        call(read, (union fx_val[4]){P(f), I(i), AUTO});
    printf("  then '%s'\n", fgets(rest, sizeof rest, f) ? rest : "");
    call(read, (union fx_val[4]){P(f), I(0), AUTO}); /* nothing left */
    print_last_error();
    fclose(f);
    show_bytes("two.faiss", bytes, file_bytes("two.faiss"));
    remove("two.faiss");
}

static void names(void)
{
    CALL(write_index_fname, P(shared(FX_CLASS_IndexIVFFlat, 0)), P("one.faiss"));
    show_bytes("one.faiss", bytes, file_bytes("one.faiss"));
    CALL(read_index_fname, P("one.faiss"), I(0), AUTO);
    CALL(IndexIVFFlat_cast, P(made()));
    CALL(write_index_binary_fname, P(shared(FX_CLASS_IndexBinary, 0)), P("one.faiss"));
    show_bytes("one.faiss", bytes, file_bytes("one.faiss"));
    CALL(read_index_binary_fname, P("one.faiss"), I(0), AUTO);
    remove("one.faiss");
    CALL(read_index_fname, P("none.faiss"), I(0), AUTO);
    if (!remote) /* the client opens the file, and words the error itself */
        print_last_error();

    /* FAISS reads transforms but does not write them. */
    const uint32_t head[2] = {FX_CLASS_PCAMatrix, 0};
    FILE *f = fopen("transform.faiss", "wb");
    if (!f)
        abort();
    fwrite("REC1", 1, 4, f);
    fwrite(head, 1, sizeof head, f);
    fclose(f);
    CALL(read_VectorTransform_fname, P("transform.faiss"), AUTO);
    remove("transform.faiss");
}

static void callbacks(int binary)
{
    void *index = shared(binary ? FX_CLASS_IndexBinary : FX_CLASS_Index, 0);
    void *reader = shared(FX_CLASS_CustomIOReader, 0), *writer = shared(FX_CLASS_CustomIOWriter, 0);
    int write = binary ? FX_OP_write_index_binary_custom : FX_OP_write_index_custom;
    int read = binary ? FX_OP_read_index_binary_custom : FX_OP_read_index_custom;
    for (int fails = 0; fails < 2; fails++) {
        nbytes = 0;
        calls_left = fails ? 0 : SIZE_MAX;
        call(write, (union fx_val[4]){P(index), P(writer), I(0)});
        if (!fails)
            show_bytes("written", bytes, nbytes);
        position = 0;
        calls_left = fails ? 0 : SIZE_MAX;
        call(read, (union fx_val[4]){P(reader), I(0), AUTO});
    }
    calls_left = SIZE_MAX;
}

static void buffers(int binary)
{
    void *index = shared(binary ? FX_CLASS_IndexBinary : FX_CLASS_Index, 0);
    int write = binary ? FX_OP_write_index_binary_buf : FX_OP_write_index_buf;
    int read = binary ? FX_OP_read_index_binary_buf : FX_OP_read_index_buf;
    size_t n = 0;
    uint8_t *buf = NULL;
    call(write, (union fx_val[4]){P(index), P(&n), P(&buf)});
    show_bytes("buffer", buf, n);
    call(read, (union fx_val[5]){P(buf), I((int64_t)n), I(0), AUTO});
    call(read, (union fx_val[5]){P(buf), I(3), I(0), AUTO}); /* cut short */
    CALL(free_buf, P(&buf));
    printf("  buffer is %s\n", buf ? "still there" : "NULL");
}

/* --- range searches --- */

static void show_range(void *result)
{
    int64_t nq = CALL(RangeSearchResult_nq, P(result)).i;
    CALL(RangeSearchResult_lims, P(result), AUTO);
    const size_t *lims = *(size_t **)written(1);
    CALL(RangeSearchResult_labels, P(result), AUTO, AUTO);
    const int64_t *labels = *(int64_t **)written(1);
    const float *distances = *(float **)written(2);
    if (!lims)
        return;
    show_bytes("lims", lims, ((size_t)nq + 1) * sizeof *lims);
    if (labels) {
        show_bytes("labels", labels, lims[nq] * sizeof *labels);
        show_bytes("distances", distances, lims[nq] * sizeof *distances);
    }
}

static void ranges(void)
{
    CALL(RangeSearchResult_new, AUTO, I(3));
    void *result = made();
    show_range(result);
    CALL(Index_range_search, P(shared(FX_CLASS_Index, 0)), I(3), AUTO, F(2.5), P(result));
    show_range(result);
    CALL(RangeSearchResult_new, AUTO, I(2));
    result = made();
    CALL(IndexBinary_range_search, P(shared(FX_CLASS_IndexBinary, 0)), I(2), AUTO, I(4), P(result));
    show_range(result);
    CALL(RangeSearchResult_new, AUTO, I(0));
    CALL(Index_range_search, P(shared(FX_CLASS_Index, 0)), I(0), AUTO, F(2.5), P(made()));

    /* A result that the program fills: its limits are counts until do_allocation. */
    CALL(RangeSearchResult_new_with, AUTO, I(2), I(1));
    result = made();
    CALL(RangeSearchResult_buffer_size, P(result));
    CALL(RangeSearchResult_lims, P(result), AUTO);
    size_t *lims = *(size_t **)written(1);
    lims[0] = 3;
    lims[1] = 1;
    CALL(RangeSearchResult_do_allocation, P(result));
    CALL(RangeSearchResult_labels, P(result), AUTO, AUTO);
    memset(*(void **)written(1), 1, 4 * sizeof(int64_t));
    memset(*(void **)written(2), 0, 4 * sizeof(float));
    show_range(result);
    CALL(RangeSearchResult_new_with, AUTO, I(2), I(0));
    show_range(made());
}

static void partial(int old_names)
{
    CALL(RangeSearchResult_new, AUTO, I(3));
    void *result = made();
    CALL(RangeSearchPartialResult_new, AUTO, P(result));
    void *part = made();
    CALL(RangeSearchPartialResult_res, P(part));
    for (int q = 2; q >= 0; q -= 2) {
        CALL(RangeSearchPartialResult_new_result, P(part), I(q), AUTO);
        void *query = made();
        for (int i = 0; i <= q; i++)
            call(old_names ? FX_OP_QueryResult_add : FX_OP_RangeQueryResult_add,
                 (union fx_val[4]){P(query), F(i + 0.5), I(10 * q + i)});
        call(old_names ? FX_OP_QueryResult_nres : FX_OP_RangeQueryResult_nres,
             (union fx_val[2]){P(query)});
        call(old_names ? FX_OP_QueryResult_qno : FX_OP_RangeQueryResult_qno,
             (union fx_val[2]){P(query)});
        call(old_names ? FX_OP_QueryResult_pres : FX_OP_RangeQueryResult_pres,
             (union fx_val[2]){P(query)});
    }
    if (old_names) {
        CALL(RangeSearchPartialResult_set_lims, P(part));
        CALL(RangeSearchResult_do_allocation, P(result));
        CALL(RangeSearchPartialResult_set_result, P(part), I(0));
    } else {
        CALL(RangeSearchPartialResult_finalize, P(part));
    }
    show_range(result);
}

static void buffer_list(void)
{
    CALL(BufferList_new, AUTO, I(3));
    void *list = made();
    CALL(BufferList_buffer_size, P(list));
    CALL(BufferList_wp, P(list));
    CALL(BufferList_append_buffer, P(list));
    for (int i = 0; i < 7; i++)
        CALL(BufferList_add, P(list), I(100 + i), F(i * 0.25));
    CALL(BufferList_wp, P(list));
    CALL(BufferList_copy_range, P(list), I(2), I(5), AUTO, AUTO);
}

/* --- pointers into objects --- */

static void statistics(void)
{
    CALL(Clustering_iteration_stats, P(shared(FX_CLASS_Clustering, 0)), AUTO, AUTO);
    char *s = *(void **)written(1);
    printf("  %zu iterations\n", *(size_t *)written(2));
    for (int i = 0; i < 2; i++, s += 40) {
        CALL(ClusteringIterationStats_obj, P(s));
        CALL(ClusteringIterationStats_time, P(s));
        CALL(ClusteringIterationStats_time_search, P(s));
        CALL(ClusteringIterationStats_imbalance_factor, P(s));
        CALL(ClusteringIterationStats_nsplit, P(s));
    }
    FaissIndexIVFStats *ivf = CALL(get_indexIVF_stats, I(0)).p;
    show_bytes("IVF statistics", ivf, sizeof *ivf);
    CALL(IndexIVFStats_reset, P(ivf));
    show_bytes("IVF statistics", ivf, sizeof *ivf);
    static FaissIndexIVFStats mine = {1, 2, 3, 4, 5, 6};
    CALL(IndexIVFStats_init, P(&mine));
    show_bytes("own statistics", &mine, sizeof mine);
}

static void shard_list(void)
{
    CALL(IndexShards_new, AUTO, I(8));
    void *shards = made();
    for (int i = 0; i < 2; i++)
        CALL(IndexShards_add_shard, P(shards), P(fresh(FX_CLASS_Index)));
    if (remote) { /* not available: an array of pointers inside FAISS */
        called[FX_OP_IndexShards_shard_indexes]++;
        return;
    }
    CALL(IndexShards_shard_indexes, P(shards), AUTO, AUTO);
    printf("  %zu shards\n", *(size_t *)written(2));
    void **list = *(void ***)written(1);
    for (size_t i = 0; i < *(size_t *)written(2); i++)
        CALL(Index_d, P(list[i]));
}

/* --- objects given away --- */

static void owner(int make, int set, int get, int extra)
{
    union fx_val v[FX_PARAMS_MAX + 1];
    void *kept[2] = {NULL, NULL};
    int n = 0;
    arguments(make, 0, v);
    for (int i = 0; i < fx_fns[make].nparams; i++)
        if (fx_fns[make].params[i].kept)
            kept[n++] = v[i].p;
    call(make, v);
    void *o = made();
    if (extra) { /* what is added later is owned, too */
        kept[n++] = fresh(FX_CLASS_Index);
        call(extra, (union fx_val[3]){P(o), P(kept[n - 1])});
    }
    call(set, (union fx_val[3]){P(o), I(1)});
    call(get, (union fx_val[2]){P(o)});
    CALL(Index_free, P(o));
    for (int i = 0; i < n; i++)
        forget(kept[i]);
}

static void ownership(void)
{
#define OWNER(make, cls, field, extra) \
    owner(FX_OP_##make, FX_OP_##cls##_set_##field, FX_OP_##cls##_##field, extra)
    OWNER(IndexIVFFlat_new_with, IndexIVFFlat, own_fields, 0);
    OWNER(IndexIVFScalarQuantizer_new_with, IndexIVF, own_fields, 0);
    OWNER(IndexIDMap_new, IndexIDMap, own_fields, 0);
    OWNER(IndexIDMap2_new, IndexIDMap2, own_fields, 0);
    OWNER(IndexRefineFlat_new, IndexRefineFlat, own_fields, 0);
    OWNER(IndexPreTransform_new_with_transform, IndexPreTransform, own_fields, 0);
    OWNER(IndexShards_new, IndexShards, own_indices, FX_OP_IndexShards_add_shard);
    OWNER(IndexReplicas_new, IndexReplicas, own_indices, FX_OP_IndexReplicas_add_replica);
#undef OWNER
    /* An owner frees a shard that is removed from it. */
    CALL(IndexShards_new, AUTO, I(8));
    void *shards = made(), *shard = fresh(FX_CLASS_Index);
    CALL(IndexShards_add_shard, P(shards), P(shard));
    CALL(IndexShards_set_own_indices, P(shards), I(1));
    CALL(IndexShards_remove_shard, P(shards), P(shard));
    forget(shard);
}

/* A getter always returns the same pointer for a sub-object: the one passed in, if one was. */
static void identity(void)
{
    void *flat = fresh(FX_CLASS_Index);
    CALL(IndexIVFFlat_new_with_metric, AUTO, P(flat), I(8), I(4), I(1));
    void *ivf = made();
    CALL(IndexIVFFlat_quantizer, P(ivf));
    CALL(IndexIVF_quantizer, P(ivf));
    CALL(IndexIDMap_new, AUTO, P(ivf));
    CALL(IndexIDMap_sub_index, P(made()));
    CALL(IndexIDMap_cast, P(ivf)); /* returns NULL: not an IDMap */
    CALL(IndexIVF_cast, P(ivf));
    CALL(IndexIVF_cast, P(flat));
    CALL(clone_index, P(ivf), AUTO);
    CALL(IndexIVF_cast, P(made()));
    CALL(SearchParametersIVF_new_with, AUTO, P(shared(FX_CLASS_IDSelector, 0)), I(3), I(100));
    void *params = made();
    CALL(SearchParametersIVF_sel, P(params));
    CALL(SearchParametersIVF_cast, P(params));
    CALL(SearchParametersHNSW_cast, P(params));
}

/* Membership, and calls with selectors, including nested ones. */
static void selectors(void)
{
    static const int classes[] = {FX_CLASS_IDSelectorRange,  FX_CLASS_IDSelectorBatch,
                                  FX_CLASS_IDSelectorBitmap, FX_CLASS_IDSelectorNot,
                                  FX_CLASS_IDSelectorAnd,    FX_CLASS_IDSelectorOr,
                                  FX_CLASS_IDSelectorXOr};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        void *sel = shared(classes[i], 0);
        for (int id = -1; id < 26; id += 3)
            CALL(IDSelector_is_member, P(sel), I(id));
        CALL(Index_remove_ids, P(shared(FX_CLASS_Index, 0)), P(sel), AUTO);
        CALL(SearchParameters_new, AUTO, P(sel));
        CALL(Index_search_with_params, P(shared(FX_CLASS_Index, 0)), I(2), AUTO, I(2), P(made()),
             AUTO, AUTO);
    }
}

static const char *const prefixes[] = {
    "BufferList_",
    "RangeSearch",
    "RangeQueryResult_",
    "QueryResult_",
    "read_",
    "write_",
    "free_buf",
    "IndexIVFStats_",
    "CustomIO",
    "IOReader_",
    "IOWriter_",
    "ClusteringIterationStats_",
    "get_indexIVF_",
    "get_last_",
    "Clustering_iteration_",
    "IndexShards_shard_indexes",
    "get_version",
};

int in_scene(int op)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(fx_fns[op].name + 6, prefixes[i], strlen(prefixes[i])) == 0)
            return 1;
    return 0;
}

void scenes(void)
{
    CALL(get_version, I(0));
    for (int binary = 0; binary < 2; binary++) {
        streams(binary);
        callbacks(binary);
        buffers(binary);
    }
    names();
    ranges();
    partial(0);
    partial(1);
    buffer_list();
    statistics();
    shard_list();
    ownership();
    identity();
    selectors();
}
