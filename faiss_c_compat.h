/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C API of FAISS, all releases from v1.2.1 to v1.15.0 and the blevesearch
 * fork, in one header for C and C++.  Generated from proto/faiss.api; a check
 * of `make check` fails when the two differ.  docs/remote.md lists everything in
 * which a call on a server differs from a call in process.
 *
 * Shapes: x and xq are n rows of d floats (binary indexes: n rows of d / 8
 * bytes), one after the other; distances and labels are n rows of k.  Arrays
 * belong to the caller and must stay valid until the call returns.
 *
 * Errors: a function that returns int returns 0 or a FaissErrorCode, unless its
 * name is that of a value.  The others return 0 or NULL on failure.
 * faiss_get_last_error() is the text of the calling thread's last error, valid
 * until its next one.  A function that the loaded libfaiss_c lacks fails with -2,
 * and the text names the function, the library and its version.
 *
 * Ownership: each object that a function creates has to be freed with the
 * faiss_*_free of its class.  Pointers into another object end with that object.
 *
 * FAISS's own headers, of any release from 1.7.1 on, may be included before or
 * after this one.  Included after it, they declare nothing.  Included before it,
 * their types are used, so an old release's enumerations and structures keep
 * their size.
 */
#ifndef FAISS_C_COMPAT_H
#define FAISS_C_COMPAT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Types of the C API.  Those that a FAISS header defined before are used as it defined
 * them. */

typedef int64_t faiss_idx_t; /* every id, count of vectors and k */
typedef faiss_idx_t idx_t;
typedef float faiss_component_t;
typedef float faiss_distance_t;

#ifndef FAISS_INDEX_C_H
typedef enum FaissMetricType {
    METRIC_INNER_PRODUCT = 0,
    METRIC_L2 = 1,
    METRIC_L1 = 2,
    METRIC_Linf = 3,
    METRIC_Lp = 4, /* p in the index's metric_arg */
    METRIC_Canberra = 20,
    METRIC_BrayCurtis = 21,
    METRIC_JensenShannon = 22
} FaissMetricType;
#endif

#ifndef FAISS_ERROR_C_H
typedef enum FaissErrorCode {
    OK = 0,
    UNKNOWN_EXCEPT = -1, /* an exception of neither kind below */
    FAISS_EXCEPT = -2,   /* an exception of FAISS */
    STD_EXCEPT = -4      /* a standard C++ exception; on a server also any other failure */
} FaissErrorCode;
#endif

#ifndef FAISS_INDEX_SCALAR_QUANTIZER_C_H
typedef enum FaissQuantizerType {
    QT_8bit,
    QT_4bit,
    QT_8bit_uniform,
    QT_4bit_uniform,
    QT_fp16,
    QT_8bit_direct,
    QT_6bit,
    QT_bf16,               /* this one and the following: v1.9.0 and later */
    QT_8bit_direct_signed,
    QT_0bit,               /* this one and the following: v1.15.0 and later */
    QT_1bit_tqmse,
    QT_2bit_tqmse,
    QT_3bit_tqmse,
    QT_4bit_tqmse,
    QT_8bit_tqmse,
    QT_2bit_tq,
    QT_3bit_tq,
    QT_4bit_tq,
    QT_5bit_tq,
    QT_1bit_eden,
    QT_2bit_eden,
    QT_3bit_eden,
    QT_4bit_eden,
    QT_5bit_eden,
    QT_6bit_eden,
    QT_7bit_eden,
    QT_8bit_eden,
    QT_count
} FaissQuantizerType;
#endif

#ifndef FAISS_INDEX_SCALAR_QUANTIZER_C_H
typedef enum FaissRangeStat { /* v1.15.0 and later */
    RS_minmax = 0,
    RS_meanstd = 1,
    RS_quantiles = 2,
    RS_optim = 3
} FaissRangeStat;
#endif

#ifndef FAISS_GPU_INDICES_OPTIONS_C_H
typedef enum FaissIndicesOptions {
    INDICES_CPU = 0,
    INDICES_IVF = 1,
    INDICES_32_BIT = 2,
    INDICES_64_BIT = 3
} FaissIndicesOptions;
#endif

#ifndef FAISS_CLUSTERING_C_H
/* 48 bytes since v1.7.2; callers built against older headers have 36. */
typedef struct FaissClusteringParameters {
    int niter;
    int nredo;
    int verbose;
    int spherical;
    int int_centroids;
    int update_index;
    int frozen_centroids;
    int min_points_per_centroid;
    int max_points_per_centroid;
    int seed;
    size_t decode_block_size;
} FaissClusteringParameters;
#endif

#ifndef FAISS_INDEX_IVF_C_H
/* 48 bytes since v1.7.2; callers built against older headers have 24. */
typedef struct FaissIndexIVFStats {
    size_t nq;
    size_t nlist;
    size_t ndis;
    size_t nheap_updates;
    double quantization_time; /* milliseconds */
    double search_time;       /* milliseconds */
} FaissIndexIVFStats;
#endif

#ifndef FAISS_AUX_INDEX_STRUCTURES_C_H
typedef struct FaissBuffer {
    idx_t* ids;
    float* dis;
} FaissBuffer;
#endif

#ifndef FAISS_IO_FLAG_MMAP
#define FAISS_IO_FLAG_MMAP 1
#define FAISS_IO_FLAG_READ_ONLY 2
#endif

/* From the blevesearch fork. */
#ifndef FAISS_IO_FLAG_SKIP_PREFETCH
#define FAISS_IO_FLAG_SKIP_PREFETCH 32
#endif
#ifndef FAISS_IO_FLAG_READ_MMAP
#define FAISS_IO_FLAG_READ_MMAP 64
#define FAISS_IO_FLAG_ONDISK_IVF 0x646f0000
#endif

/* As in CUDA's own headers; C allows a typedef to be repeated. */
typedef struct CUstream_st* cudaStream_t;
typedef struct cublasContext* cublasHandle_t;

/* Objects.  An index of any kind is a FaissIndex *. */
typedef struct FaissIndex_H FaissIndex;
typedef struct FaissIndex_H FaissIndexFlat;
typedef struct FaissIndex_H FaissIndexFlatIP;
typedef struct FaissIndex_H FaissIndexFlatL2;
typedef struct FaissIndex_H FaissIndexFlat1D;
typedef struct FaissIndex_H FaissIndexFlatL2BaseShift;
typedef struct FaissIndex_H FaissIndexRefineFlat;
typedef struct FaissIndex_H FaissIndexIVF;
typedef struct FaissIndex_H FaissIndexIVFFlat;
typedef struct FaissIndex_H FaissIndexIVFScalarQuantizer;
typedef struct FaissIndex_H FaissIndexScalarQuantizer;
typedef struct FaissIndex_H FaissIndexLSH;
typedef struct FaissIndex_H FaissIndexPreTransform;
typedef struct FaissIndex_H FaissIndexIDMap;
#ifndef METAINDEXES_C_H
typedef struct FaissIndex_H FaissIndexIDMap2;
#endif
typedef struct FaissIndex_H FaissIndexShards;
typedef struct FaissIndex_H FaissIndexReplicas;
typedef struct FaissIndex_H FaissGpuIndex;
typedef struct FaissIndex_H FaissGpuIndexIVF;
typedef struct FaissIndexBinary_H FaissIndexBinary;
typedef struct FaissIndexBinary_H FaissIndexBinaryFlat;
typedef struct FaissIndexBinary_H FaissIndexBinaryIVF;
typedef struct FaissScalarQuantizer_H FaissScalarQuantizer;
typedef struct FaissVectorTransform_H FaissVectorTransform;
typedef struct FaissVectorTransform_H FaissLinearTransform;
typedef struct FaissVectorTransform_H FaissRandomRotationMatrix;
typedef struct FaissVectorTransform_H FaissPCAMatrix;
typedef struct FaissVectorTransform_H FaissITQMatrix;
typedef struct FaissVectorTransform_H FaissITQTransform;
typedef struct FaissVectorTransform_H FaissOPQMatrix;
typedef struct FaissVectorTransform_H FaissRemapDimensionsTransform;
typedef struct FaissVectorTransform_H FaissNormalizationTransform;
typedef struct FaissVectorTransform_H FaissCenteringTransform;
typedef struct FaissClustering_H FaissClustering;
typedef struct FaissClusteringIterationStats_H FaissClusteringIterationStats;
typedef struct FaissParameterSpace_H FaissParameterSpace;
typedef struct FaissParameterSpace_H FaissGpuParameterSpace;
typedef struct FaissParameterRange_H FaissParameterRange;
typedef struct FaissDistanceComputer_H FaissDistanceComputer;
typedef struct FaissIDSelector_H FaissIDSelector;
typedef struct FaissIDSelectorRange_H FaissIDSelectorRange;
typedef struct FaissIDSelectorBatch_H FaissIDSelectorBatch;
typedef struct FaissIDSelectorBitmap_H FaissIDSelectorBitmap;
typedef struct FaissIDSelectorNot_H FaissIDSelectorNot;
typedef struct FaissIDSelectorAnd_H FaissIDSelectorAnd;
typedef struct FaissIDSelectorOr_H FaissIDSelectorOr;
typedef struct FaissIDSelectorXOr_H FaissIDSelectorXOr;
typedef struct FaissSearchParameters_H FaissSearchParameters;
typedef struct FaissSearchParameters_H FaissSearchParametersIVF;
typedef struct FaissSearchParameters_H FaissSearchParametersHNSW;
typedef struct FaissRangeSearchResult_H FaissRangeSearchResult;
typedef struct FaissRangeSearchPartialResult_H FaissRangeSearchPartialResult;
typedef struct FaissRangeQueryResult_H FaissRangeQueryResult;
typedef struct FaissQueryResult_H FaissQueryResult;
typedef struct FaissBufferList_H FaissBufferList;
typedef struct FaissIOReader_H FaissIOReader;
typedef struct FaissIOWriter_H FaissIOWriter;
typedef struct FaissCustomIOReader_H FaissCustomIOReader;
typedef struct FaissCustomIOWriter_H FaissCustomIOWriter;
typedef struct FaissGpuResources_H FaissGpuResources;
typedef struct FaissGpuResourcesProvider_H FaissGpuResourcesProvider;
typedef struct FaissGpuResourcesProvider_H FaissStandardGpuResources;
typedef struct FaissGpuClonerOptions_H FaissGpuClonerOptions;
typedef struct FaissGpuClonerOptions_H FaissGpuMultipleClonerOptions;
typedef struct FaissGpuIndexConfig_H FaissGpuIndexConfig;
typedef struct FaissGpuMemoryPool_H FaissGpuMemoryPool;

/* Functions.  The comment above each names the releases of FAISS that have it. */

/* v1.2.1 and later */
int faiss_BufferList_add(FaissBufferList* bl, idx_t id, float dis);

/* v1.2.1 and later */
int faiss_BufferList_append_buffer(FaissBufferList* bl);

/* v1.2.1 and later */
size_t faiss_BufferList_buffer_size(const FaissBufferList* obj);

/* v1.2.1 and later */
int faiss_BufferList_copy_range(FaissBufferList* bl, size_t ofs, size_t n, idx_t* dest_ids, float* dest_dis);

/* v1.2.1 and later */
void faiss_BufferList_free(FaissBufferList* obj);

/* v1.2.1 and later */
int faiss_BufferList_new(FaissBufferList** p_bl, size_t buffer_size);

/* v1.2.1 and later */
size_t faiss_BufferList_wp(const FaissBufferList* obj);

/* v1.7.1 and later */
void faiss_CenteringTransform_free(FaissCenteringTransform* obj);

/* v1.7.1 and later */
int faiss_CenteringTransform_new_with(FaissCenteringTransform** p_vt, int d);

/* v1.6.3 and later */
double faiss_ClusteringIterationStats_imbalance_factor(const FaissClusteringIterationStats* obj);

/* v1.6.3 and later */
int faiss_ClusteringIterationStats_nsplit(const FaissClusteringIterationStats* obj);

/* v1.6.3 and later */
float faiss_ClusteringIterationStats_obj(const FaissClusteringIterationStats* obj);

/* v1.6.3 and later */
double faiss_ClusteringIterationStats_time(const FaissClusteringIterationStats* obj);

/* v1.6.3 and later */
double faiss_ClusteringIterationStats_time_search(const FaissClusteringIterationStats* obj);

/* v1.2.1 and later */
void faiss_ClusteringParameters_init(FaissClusteringParameters* params);

/* v1.2.1 and later */
void faiss_Clustering_centroids(FaissClustering* clustering, float** centroids, size_t* size);

/* v1.2.1 and later */
size_t faiss_Clustering_d(const FaissClustering* obj);

/* v1.7.2 and later */
size_t faiss_Clustering_decode_block_size(const FaissClustering* obj);

/* v1.2.1 and later */
void faiss_Clustering_free(FaissClustering* clustering);

/* v1.2.1 and later */
int faiss_Clustering_frozen_centroids(const FaissClustering* obj);

/* v1.7.2 and later */
int faiss_Clustering_int_centroids(const FaissClustering* obj);

/* v1.6.3 and later */
void faiss_Clustering_iteration_stats(FaissClustering* clustering, FaissClusteringIterationStats** iteration_stats, size_t* size);

/* v1.2.1 and later */
size_t faiss_Clustering_k(const FaissClustering* obj);

/* v1.2.1 and later */
int faiss_Clustering_max_points_per_centroid(const FaissClustering* obj);

/* v1.2.1 and later */
int faiss_Clustering_min_points_per_centroid(const FaissClustering* obj);

/* v1.2.1 and later */
int faiss_Clustering_new(FaissClustering** p_clustering, int d, int k);

/* v1.2.1 and later */
int faiss_Clustering_new_with_params(FaissClustering** p_clustering, int d, int k, const FaissClusteringParameters* cp);

/* v1.2.1 and later */
int faiss_Clustering_niter(const FaissClustering* obj);

/* v1.2.1 and later */
int faiss_Clustering_nredo(const FaissClustering* obj);

/* v1.2.1 to v1.6.2 */
void faiss_Clustering_obj(FaissClustering* clustering, float** obj, size_t* size);

/* v1.2.1 and later */
int faiss_Clustering_seed(const FaissClustering* obj);

/* v1.2.1 and later */
int faiss_Clustering_spherical(const FaissClustering* obj);

/* v1.2.1 and later */
int faiss_Clustering_train(FaissClustering* clustering, idx_t n, const float* x, FaissIndex* index);

/* v1.2.1 and later */
int faiss_Clustering_update_index(const FaissClustering* obj);

/* v1.2.1 and later */
int faiss_Clustering_verbose(const FaissClustering* obj);

/* v1.11.0 and later */
void faiss_CustomIOReader_free(FaissCustomIOReader* obj);

/* v1.11.0 and later */
int faiss_CustomIOReader_new(FaissCustomIOReader** p_out, size_t (*func_in)(void* ptr, size_t size, size_t nitems));

/* v1.11.0 and later */
void faiss_CustomIOWriter_free(FaissCustomIOWriter* obj);

/* v1.11.0 and later */
int faiss_CustomIOWriter_new(FaissCustomIOWriter** p_out, size_t (*func_in)(const void* ptr, size_t size, size_t nitems));

/* v1.6.1 and later */
void faiss_DistanceComputer_free(FaissDistanceComputer* obj);

/* v1.6.1 and later */
int faiss_DistanceComputer_set_query(FaissDistanceComputer* dc, const float* x);

/* v1.6.1 and later */
int faiss_DistanceComputer_symmetric_dis(FaissDistanceComputer* dc, idx_t i, idx_t j, float* vd);

/* v1.6.1 and later */
int faiss_DistanceComputer_vector_to_query_dis(FaissDistanceComputer* dc, idx_t i, float* qd);

/* v1.2.1 and later, GPU */
void faiss_GpuClonerOptions_free(FaissGpuClonerOptions* obj);

/* v1.2.1 and later, GPU */
FaissIndicesOptions faiss_GpuClonerOptions_indicesOptions(const FaissGpuClonerOptions* obj);

/* v1.2.1 and later, GPU */
int faiss_GpuClonerOptions_new(FaissGpuClonerOptions** p);

/* v1.2.1 and later, GPU */
long faiss_GpuClonerOptions_reserveVecs(const FaissGpuClonerOptions* obj);

/* v1.2.1 and later, GPU */
void faiss_GpuClonerOptions_set_indicesOptions(FaissGpuClonerOptions* obj, FaissIndicesOptions val);

/* v1.2.1 and later, GPU */
void faiss_GpuClonerOptions_set_reserveVecs(FaissGpuClonerOptions* obj, long val);

/* v1.2.1 and later, GPU */
void faiss_GpuClonerOptions_set_storeTransposed(FaissGpuClonerOptions* obj, int val);

/* v1.2.1 and later, GPU */
void faiss_GpuClonerOptions_set_useFloat16(FaissGpuClonerOptions* obj, int val);

/* v1.2.1 and later, GPU */
void faiss_GpuClonerOptions_set_useFloat16CoarseQuantizer(FaissGpuClonerOptions* obj, int val);

/* v1.2.1 and later, GPU */
void faiss_GpuClonerOptions_set_usePrecomputed(FaissGpuClonerOptions* obj, int val);

/* v1.2.1 and later, GPU */
void faiss_GpuClonerOptions_set_verbose(FaissGpuClonerOptions* obj, int val);

/* v1.2.1 and later, GPU */
int faiss_GpuClonerOptions_storeTransposed(const FaissGpuClonerOptions* obj);

/* v1.2.1 and later, GPU */
int faiss_GpuClonerOptions_useFloat16(const FaissGpuClonerOptions* obj);

/* v1.2.1 and later, GPU */
int faiss_GpuClonerOptions_useFloat16CoarseQuantizer(const FaissGpuClonerOptions* obj);

/* v1.2.1 and later, GPU */
int faiss_GpuClonerOptions_usePrecomputed(const FaissGpuClonerOptions* obj);

/* v1.2.1 and later, GPU */
int faiss_GpuClonerOptions_verbose(const FaissGpuClonerOptions* obj);

/* v1.2.1 and later, GPU */
int faiss_GpuIndexConfig_device(const FaissGpuIndexConfig* obj);

/* v1.5.1 and later, GPU */
void faiss_GpuMultipleClonerOptions_free(FaissGpuMultipleClonerOptions* obj);

/* v1.5.1 and later, GPU */
int faiss_GpuMultipleClonerOptions_new(FaissGpuMultipleClonerOptions** p);

/* v1.2.1 and later, GPU */
void faiss_GpuMultipleClonerOptions_set_shard(FaissGpuMultipleClonerOptions* obj, int val);

/* v1.2.1 and later, GPU */
void faiss_GpuMultipleClonerOptions_set_shard_type(FaissGpuMultipleClonerOptions* obj, int val);

/* v1.2.1 and later, GPU */
int faiss_GpuMultipleClonerOptions_shard(const FaissGpuMultipleClonerOptions* obj);

/* v1.2.1 and later, GPU */
int faiss_GpuMultipleClonerOptions_shard_type(const FaissGpuMultipleClonerOptions* obj);

/* v1.7.1 and later, GPU */
void faiss_GpuResourcesProvider_free(FaissGpuResourcesProvider* obj);

/* v1.7.1 and later, GPU */
int faiss_GpuResourcesProvider_getResources(FaissGpuResourcesProvider* res, FaissGpuResources** out);

/* v1.2.1 and later, GPU */
void faiss_GpuResources_free(FaissGpuResources* obj);

/* v1.2.1 and later, GPU */
int faiss_GpuResources_getAsyncCopyStream(FaissGpuResources* res, int device, cudaStream_t* out);

/* v1.2.1 and later, GPU */
int faiss_GpuResources_getAsyncCopyStreamCurrentDevice(FaissGpuResources* res, cudaStream_t* out);

/* v1.2.1 and later, GPU */
int faiss_GpuResources_getBlasHandle(FaissGpuResources* res, int device, cublasHandle_t* out);

/* v1.2.1 and later, GPU */
int faiss_GpuResources_getBlasHandleCurrentDevice(FaissGpuResources* res, cublasHandle_t* out);

/* v1.2.1 and later, GPU */
int faiss_GpuResources_getDefaultStream(FaissGpuResources* res, int device, cudaStream_t* out);

/* v1.2.1 and later, GPU */
int faiss_GpuResources_getDefaultStreamCurrentDevice(FaissGpuResources* res, cudaStream_t* out);

/* v1.2.1 and later, GPU */
int faiss_GpuResources_getPinnedMemory(FaissGpuResources* res, void** p_buffer, size_t* p_size);

/* v1.2.1 and later, GPU */
int faiss_GpuResources_initializeForDevice(FaissGpuResources* res, int device);

/* v1.2.1 and later, GPU */
int faiss_GpuResources_syncDefaultStream(FaissGpuResources* res, int device);

/* v1.2.1 and later, GPU */
int faiss_GpuResources_syncDefaultStreamCurrentDevice(FaissGpuResources* res);

/* v1.7.4 and later */
int faiss_IDSelectorAnd_new(FaissIDSelectorAnd** p_sel, const FaissIDSelector* lhs_sel, const FaissIDSelector* rhs_sel);

/* v1.2.1 and later */
idx_t faiss_IDSelectorBatch_mask(const FaissIDSelectorBatch* obj);

/* v1.2.1 and later */
int faiss_IDSelectorBatch_nbits(const FaissIDSelectorBatch* obj);

/* v1.2.1 and later */
int faiss_IDSelectorBatch_new(FaissIDSelectorBatch** p_sel, size_t n, const idx_t* indices);

/* v1.11.0 and later */
const uint8_t*faiss_IDSelectorBitmap_bitmap(const FaissIDSelectorBitmap* obj);

/* v1.11.0 and later */
void faiss_IDSelectorBitmap_free(FaissIDSelectorBitmap* obj);

/* v1.11.0 and later */
size_t faiss_IDSelectorBitmap_n(const FaissIDSelectorBitmap* obj);

/* v1.11.0 and later */
int faiss_IDSelectorBitmap_new(FaissIDSelectorBitmap** p_sel, size_t n, const uint8_t* bitmap);

/* v1.7.4 and later */
int faiss_IDSelectorNot_new(FaissIDSelectorNot** p_sel, const FaissIDSelector* sel);

/* v1.7.4 and later */
int faiss_IDSelectorOr_new(FaissIDSelectorOr** p_sel, const FaissIDSelector* lhs_sel, const FaissIDSelector* rhs_sel);

/* v1.2.1 and later */
void faiss_IDSelectorRange_free(FaissIDSelectorRange* obj);

/* v1.2.1 and later */
idx_t faiss_IDSelectorRange_imax(const FaissIDSelectorRange* obj);

/* v1.2.1 and later */
idx_t faiss_IDSelectorRange_imin(const FaissIDSelectorRange* obj);

/* v1.2.1 and later */
int faiss_IDSelectorRange_new(FaissIDSelectorRange** p_sel, idx_t imin, idx_t imax);

/* v1.7.4 and later */
int faiss_IDSelectorXOr_new(FaissIDSelectorXOr** p_sel, const FaissIDSelector* lhs_sel, const FaissIDSelector* rhs_sel);

/* v1.2.1 and later */
void faiss_IDSelector_free(FaissIDSelector* obj);

/* v1.2.1 and later */
int faiss_IDSelector_is_member(const FaissIDSelector* sel, idx_t id);

/* v1.11.0 and later */
void faiss_IOReader_free(FaissIOReader* obj);

/* v1.11.0 and later */
void faiss_IOWriter_free(FaissIOWriter* obj);

/* v1.7.1 and later */
void faiss_ITQMatrix_free(FaissITQMatrix* obj);

/* v1.7.1 and later */
int faiss_ITQMatrix_new_with(FaissITQMatrix** p_vt, int d);

/* v1.7.1 and later */
int faiss_ITQTransform_do_pca(const FaissITQTransform* obj);

/* v1.7.1 and later */
void faiss_ITQTransform_free(FaissITQTransform* obj);

/* v1.7.1 and later */
int faiss_ITQTransform_new_with(FaissITQTransform** p_vt, int d_in, int d_out, int do_pca);

/* v1.14.1 and later */
FaissIndexBinaryFlat*faiss_IndexBinaryFlat_cast(FaissIndexBinary* index);

/* v1.14.1 and later */
void faiss_IndexBinaryFlat_free(FaissIndexBinaryFlat* obj);

/* v1.12.0 and later */
FaissIndexBinaryIVF*faiss_IndexBinaryIVF_cast(FaissIndexBinary* index);

/* v1.12.0 and later */
void faiss_IndexBinaryIVF_free(FaissIndexBinaryIVF* obj);

/* v1.12.0 and later */
size_t faiss_IndexBinaryIVF_get_list_size(const FaissIndexBinaryIVF* index, size_t list_no);

/* v1.12.0 and later */
double faiss_IndexBinaryIVF_imbalance_factor(const FaissIndexBinaryIVF* index);

/* v1.12.0 and later */
void faiss_IndexBinaryIVF_invlists_get_ids(const FaissIndexBinaryIVF* index, size_t list_no, idx_t* invlist);

/* v1.12.0 and later */
int faiss_IndexBinaryIVF_make_direct_map(FaissIndexBinaryIVF* index, int new_maintain_direct_map);

/* v1.12.0 and later */
size_t faiss_IndexBinaryIVF_max_codes(const FaissIndexBinaryIVF* obj);

/* v1.12.0 and later */
int faiss_IndexBinaryIVF_merge_from(FaissIndexBinaryIVF* index, FaissIndexBinaryIVF* other, idx_t add_id);

/* v1.12.0 and later */
size_t faiss_IndexBinaryIVF_nlist(const FaissIndexBinaryIVF* obj);

/* v1.12.0 and later */
size_t faiss_IndexBinaryIVF_nprobe(const FaissIndexBinaryIVF* obj);

/* v1.12.0 and later */
int faiss_IndexBinaryIVF_own_fields(const FaissIndexBinaryIVF* obj);

/* v1.12.0 and later */
int faiss_IndexBinaryIVF_per_invlist_search(const FaissIndexBinaryIVF* obj);

/* v1.12.0 and later */
void faiss_IndexBinaryIVF_print_stats(const FaissIndexBinaryIVF* index);

/* v1.12.0 and later */
FaissIndexBinary*faiss_IndexBinaryIVF_quantizer(const FaissIndexBinaryIVF* obj);

/* v1.12.0 and later */
int faiss_IndexBinaryIVF_search_preassigned(const FaissIndexBinaryIVF* index, idx_t n, const uint8_t* x, idx_t k, const idx_t* cidx, const int32_t* cdis, int32_t* dis, idx_t* idx, int store_pairs, const FaissSearchParametersIVF* params);

/* v1.12.0 and later */
void faiss_IndexBinaryIVF_set_max_codes(FaissIndexBinaryIVF* obj, size_t val);

/* v1.12.0 and later */
void faiss_IndexBinaryIVF_set_nprobe(FaissIndexBinaryIVF* obj, size_t val);

/* v1.12.0 and later */
void faiss_IndexBinaryIVF_set_own_fields(FaissIndexBinaryIVF* obj, int val);

/* v1.12.0 and later */
void faiss_IndexBinaryIVF_set_per_invlist_search(FaissIndexBinaryIVF* obj, int val);

/* v1.12.0 and later */
void faiss_IndexBinaryIVF_set_use_heap(FaissIndexBinaryIVF* obj, int val);

/* v1.12.0 and later */
int faiss_IndexBinaryIVF_use_heap(const FaissIndexBinaryIVF* obj);

/* v1.7.3 and later */
int faiss_IndexBinary_add(FaissIndexBinary* index, idx_t n, const uint8_t* x);

/* v1.7.3 and later */
int faiss_IndexBinary_add_with_ids(FaissIndexBinary* index, idx_t n, const uint8_t* x, const idx_t* xids);

/* v1.7.3 and later */
int faiss_IndexBinary_assign(FaissIndexBinary* index, idx_t n, const uint8_t* x, idx_t* labels, idx_t k);

/* v1.7.3 and later */
int faiss_IndexBinary_d(const FaissIndexBinary* obj);

/* v1.7.3 and later */
void faiss_IndexBinary_free(FaissIndexBinary* obj);

/* v1.7.3 and later */
int faiss_IndexBinary_is_trained(const FaissIndexBinary* obj);

/* v1.7.3 and later */
FaissMetricType faiss_IndexBinary_metric_type(const FaissIndexBinary* obj);

/* v1.7.3 and later */
idx_t faiss_IndexBinary_ntotal(const FaissIndexBinary* obj);

/* v1.7.3 and later */
int faiss_IndexBinary_range_search(const FaissIndexBinary* index, idx_t n, const uint8_t* x, int radius, FaissRangeSearchResult* result);

/* v1.7.3 and later */
int faiss_IndexBinary_reconstruct(const FaissIndexBinary* index, idx_t key, uint8_t* recons);

/* v1.7.3 and later */
int faiss_IndexBinary_reconstruct_n(const FaissIndexBinary* index, idx_t i0, idx_t ni, uint8_t* recons);

/* v1.7.3 and later */
int faiss_IndexBinary_remove_ids(FaissIndexBinary* index, const FaissIDSelector* sel, size_t* n_removed);

/* v1.7.3 and later */
int faiss_IndexBinary_reset(FaissIndexBinary* index);

/* v1.7.3 and later */
int faiss_IndexBinary_search(const FaissIndexBinary* index, idx_t n, const uint8_t* x, idx_t k, int32_t* distances, idx_t* labels);

/* v1.14.0 and later */
int faiss_IndexBinary_search_with_params(const FaissIndexBinary* index, idx_t n, const uint8_t* x, idx_t k, const FaissSearchParameters* params, int32_t* distances, idx_t* labels);

/* v1.7.3 and later */
void faiss_IndexBinary_set_verbose(FaissIndexBinary* obj, int val);

/* v1.7.3 and later */
int faiss_IndexBinary_train(FaissIndexBinary* index, idx_t n, const uint8_t* x);

/* v1.7.3 and later */
int faiss_IndexBinary_verbose(const FaissIndexBinary* obj);

/* v1.7.2 and later */
FaissIndexFlat1D*faiss_IndexFlat1D_cast(FaissIndex* index);

/* v1.7.2 and later */
void faiss_IndexFlat1D_free(FaissIndexFlat1D* obj);

/* v1.2.1 and later */
int faiss_IndexFlat1D_new(FaissIndexFlat1D** p_index);

/* v1.2.1 and later */
int faiss_IndexFlat1D_new_with(FaissIndexFlat1D** p_index, int continuous_update);

/* v1.2.1 and later */
int faiss_IndexFlat1D_update_permutation(FaissIndexFlat1D* index);

/* v1.7.2 and later */
FaissIndexFlatIP*faiss_IndexFlatIP_cast(FaissIndex* index);

/* v1.7.2 and later */
void faiss_IndexFlatIP_free(FaissIndexFlatIP* obj);

/* v1.2.1 and later */
int faiss_IndexFlatIP_new(FaissIndexFlatIP** p_index);

/* v1.2.1 and later */
int faiss_IndexFlatIP_new_with(FaissIndexFlatIP** p_index, idx_t d);

/* v1.2.1 to v1.7.0 */
int faiss_IndexFlatL2BaseShift_new(FaissIndexFlatL2BaseShift** p_index, idx_t d, size_t nshift, const float* shift);

/* v1.7.2 and later */
FaissIndexFlatL2*faiss_IndexFlatL2_cast(FaissIndex* index);

/* v1.7.2 and later */
void faiss_IndexFlatL2_free(FaissIndexFlatL2* obj);

/* v1.2.1 and later */
int faiss_IndexFlatL2_new(FaissIndexFlatL2** p_index);

/* v1.2.1 and later */
int faiss_IndexFlatL2_new_with(FaissIndexFlatL2** p_index, idx_t d);

/* v1.2.1 and later */
FaissIndexFlat*faiss_IndexFlat_cast(FaissIndex* index);

/* v1.2.1 and later */
int faiss_IndexFlat_compute_distance_subset(FaissIndex* index, idx_t n, const float* x, idx_t k, float* distances, const idx_t* labels);

/* v1.2.1 and later */
void faiss_IndexFlat_free(FaissIndexFlat* obj);

/* v1.2.1 and later */
int faiss_IndexFlat_new(FaissIndexFlat** p_index);

/* v1.2.1 and later */
int faiss_IndexFlat_new_with(FaissIndexFlat** p_index, idx_t d, FaissMetricType metric);

/* v1.2.1 and later */
void faiss_IndexFlat_xb(FaissIndexFlat* index, float** p_xb, size_t* p_size);

/* v1.7.2 and later */
FaissIndexIDMap2*faiss_IndexIDMap2_cast(FaissIndex* index);

/* v1.3.0 and later */
int faiss_IndexIDMap2_construct_rev_map(FaissIndexIDMap2* index);

/* v1.7.2 and later */
void faiss_IndexIDMap2_id_map(FaissIndexIDMap2* index, idx_t** p_id_map, size_t* p_size);

/* v1.3.0 and later */
int faiss_IndexIDMap2_new(FaissIndexIDMap2** p_index, FaissIndex* index);

/* v1.7.2 and later */
int faiss_IndexIDMap2_own_fields(const FaissIndexIDMap2* obj);

/* v1.7.2 and later */
void faiss_IndexIDMap2_set_own_fields(FaissIndexIDMap2* obj, int val);

/* v1.7.2 and later */
FaissIndex*faiss_IndexIDMap2_sub_index(FaissIndexIDMap2* index);

/* v1.7.2 and later */
FaissIndexIDMap*faiss_IndexIDMap_cast(FaissIndex* index);

/* v1.3.0 and later */
void faiss_IndexIDMap_id_map(FaissIndexIDMap* index, idx_t** p_id_map, size_t* p_size);

/* v1.3.0 and later */
int faiss_IndexIDMap_new(FaissIndexIDMap** p_index, FaissIndex* index);

/* v1.3.0 and later */
int faiss_IndexIDMap_own_fields(const FaissIndexIDMap* obj);

/* v1.3.0 and later */
void faiss_IndexIDMap_set_own_fields(FaissIndexIDMap* obj, int val);

/* v1.7.2 and later */
FaissIndex*faiss_IndexIDMap_sub_index(FaissIndexIDMap* index);

/* v1.2.1 and later */
int faiss_IndexIVFFlat_add_core(FaissIndexIVFFlat* index, idx_t n, const float* x, const idx_t* xids, const int64_t* precomputed_idx);

/* v1.3.0 and later */
FaissIndexIVFFlat*faiss_IndexIVFFlat_cast(FaissIndex* index);

/* v1.2.1 and later */
void faiss_IndexIVFFlat_free(FaissIndexIVFFlat* obj);

/* v1.2.1 and later */
int faiss_IndexIVFFlat_new(FaissIndexIVFFlat** p_index);

/* v1.2.1 and later */
int faiss_IndexIVFFlat_new_with(FaissIndexIVFFlat** p_index, FaissIndex* quantizer, size_t d, size_t nlist);

/* v1.2.1 and later */
int faiss_IndexIVFFlat_new_with_metric(FaissIndexIVFFlat** p_index, FaissIndex* quantizer, size_t d, size_t nlist, FaissMetricType metric);

/* v1.7.1 and later */
size_t faiss_IndexIVFFlat_nlist(const FaissIndexIVFFlat* obj);

/* v1.7.1 and later */
size_t faiss_IndexIVFFlat_nprobe(const FaissIndexIVFFlat* obj);

/* v1.7.1 and later */
int faiss_IndexIVFFlat_own_fields(const FaissIndexIVFFlat* obj);

/* v1.7.1 and later */
FaissIndex*faiss_IndexIVFFlat_quantizer(const FaissIndexIVFFlat* obj);

/* v1.7.1 and later */
char faiss_IndexIVFFlat_quantizer_trains_alone(const FaissIndexIVFFlat* obj);

/* v1.7.1 and later */
void faiss_IndexIVFFlat_set_nprobe(FaissIndexIVFFlat* obj, size_t val);

/* v1.7.1 and later */
void faiss_IndexIVFFlat_set_own_fields(FaissIndexIVFFlat* obj, int val);

/* v1.2.1 and later */
int faiss_IndexIVFFlat_update_vectors(FaissIndexIVFFlat* index, int nv, idx_t* idx, const float* v);

/* v1.7.1 and later */
int faiss_IndexIVFScalarQuantizer_add_core(FaissIndexIVFScalarQuantizer* index, idx_t n, const float* x, const idx_t* xids, const idx_t* precomputed_idx);

/* v1.7.1 and later */
FaissIndexIVFScalarQuantizer*faiss_IndexIVFScalarQuantizer_cast(FaissIndex* index);

/* v1.7.1 and later */
void faiss_IndexIVFScalarQuantizer_free(FaissIndexIVFScalarQuantizer* obj);

/* v1.7.1 and later */
int faiss_IndexIVFScalarQuantizer_new(FaissIndexIVFScalarQuantizer** p_index);

/* v1.7.1 and later */
int faiss_IndexIVFScalarQuantizer_new_with(FaissIndexIVFScalarQuantizer** p_index, FaissIndex* quantizer, idx_t d, size_t nlist, FaissQuantizerType qt);

/* v1.7.1 and later */
int faiss_IndexIVFScalarQuantizer_new_with_metric(FaissIndexIVFScalarQuantizer** p_index, FaissIndex* quantizer, size_t d, size_t nlist, FaissQuantizerType qt, FaissMetricType metric, int encode_residual);

/* v1.7.1 and later */
size_t faiss_IndexIVFScalarQuantizer_nlist(const FaissIndexIVFScalarQuantizer* obj);

/* v1.7.1 and later */
size_t faiss_IndexIVFScalarQuantizer_nprobe(const FaissIndexIVFScalarQuantizer* obj);

/* v1.7.1 and later */
int faiss_IndexIVFScalarQuantizer_own_fields(const FaissIndexIVFScalarQuantizer* obj);

/* v1.7.1 and later */
FaissIndex*faiss_IndexIVFScalarQuantizer_quantizer(const FaissIndexIVFScalarQuantizer* obj);

/* v1.7.1 and later */
void faiss_IndexIVFScalarQuantizer_set_nprobe(FaissIndexIVFScalarQuantizer* obj, size_t val);

/* v1.7.1 and later */
void faiss_IndexIVFScalarQuantizer_set_own_fields(FaissIndexIVFScalarQuantizer* obj, int val);

/* v1.15.0 and later */
FaissScalarQuantizer*faiss_IndexIVFScalarQuantizer_sq(FaissIndexIVFScalarQuantizer* index);

/* v1.7.1 to v1.7.4 */
int faiss_IndexIVFScalarQuantizer_train_residual(FaissIndexIVFScalarQuantizer* index, idx_t n, const float* x);

/* v1.2.1 and later */
void faiss_IndexIVFStats_init(FaissIndexIVFStats* stats);

/* v1.2.1 and later */
void faiss_IndexIVFStats_reset(FaissIndexIVFStats* stats);

/* v1.3.0 and later */
FaissIndexIVF*faiss_IndexIVF_cast(FaissIndex* index);

/* v1.2.1 and later */
int faiss_IndexIVF_copy_subset_to(const FaissIndexIVF* index, FaissIndexIVF* other, int subset_type, idx_t a1, idx_t a2);

/* v1.2.1 and later */
void faiss_IndexIVF_free(FaissIndexIVF* obj);

/* v1.2.1 and later */
size_t faiss_IndexIVF_get_list_size(const FaissIndexIVF* index, size_t list_no);

/* v1.2.1 and later */
double faiss_IndexIVF_imbalance_factor(const FaissIndexIVF* index);

/* v1.6.2 and later */
void faiss_IndexIVF_invlists_get_ids(const FaissIndexIVF* index, size_t list_no, idx_t* invlist);

/* v1.2.1 and later */
int faiss_IndexIVF_make_direct_map(FaissIndexIVF* index, int new_maintain_direct_map);

/* v1.2.1 and later */
int faiss_IndexIVF_merge_from(FaissIndexIVF* index, FaissIndexIVF* other, idx_t add_id);

/* v1.2.1 and later */
size_t faiss_IndexIVF_nlist(const FaissIndexIVF* obj);

/* v1.2.1 and later */
size_t faiss_IndexIVF_nprobe(const FaissIndexIVF* obj);

/* v1.2.1 and later */
int faiss_IndexIVF_own_fields(const FaissIndexIVF* obj);

/* v1.2.1 and later */
void faiss_IndexIVF_print_stats(const FaissIndexIVF* index);

/* v1.2.1 and later */
FaissIndex*faiss_IndexIVF_quantizer(const FaissIndexIVF* obj);

/* v1.2.1 and later */
char faiss_IndexIVF_quantizer_trains_alone(const FaissIndexIVF* obj);

/* v1.2.1 and later */
int faiss_IndexIVF_search_preassigned(const FaissIndexIVF* index, idx_t n, const float* x, idx_t k, const idx_t* assign, const float* centroid_dis, float* distances, idx_t* labels, int store_pairs);

/* v1.7.1 and later */
void faiss_IndexIVF_set_nprobe(FaissIndexIVF* obj, size_t val);

/* v1.7.1 and later */
void faiss_IndexIVF_set_own_fields(FaissIndexIVF* obj, int val);

/* v1.8.0 and later */
int faiss_IndexIVF_train_encoder(FaissIndexIVF* index, idx_t n, const float* x, const idx_t* assign);

/* v1.3.0 to v1.7.1 */
int faiss_IndexLSH_bytes_per_vec(const FaissIndexLSH* obj);

/* v1.3.0 and later */
FaissIndexLSH*faiss_IndexLSH_cast(FaissIndex* index);

/* v1.7.2 and later */
int faiss_IndexLSH_code_size(const FaissIndexLSH* obj);

/* v1.3.0 and later */
void faiss_IndexLSH_free(FaissIndexLSH* obj);

/* v1.3.0 and later */
int faiss_IndexLSH_nbits(const FaissIndexLSH* obj);

/* v1.3.0 and later */
int faiss_IndexLSH_new(FaissIndexLSH** p_index, idx_t d, int nbits);

/* v1.3.0 and later */
int faiss_IndexLSH_new_with_options(FaissIndexLSH** p_index, idx_t d, int nbits, int rotate_data, int train_thresholds);

/* v1.3.0 and later */
int faiss_IndexLSH_rotate_data(const FaissIndexLSH* obj);

/* v1.3.0 and later */
int faiss_IndexLSH_train_thresholds(const FaissIndexLSH* obj);

/* v1.6.2 and later */
FaissIndexPreTransform*faiss_IndexPreTransform_cast(FaissIndex* index);

/* v1.6.2 and later */
void faiss_IndexPreTransform_free(FaissIndexPreTransform* obj);

/* v1.6.2 and later */
FaissIndex*faiss_IndexPreTransform_index(const FaissIndexPreTransform* obj);

/* v1.7.1 and later */
int faiss_IndexPreTransform_new(FaissIndexPreTransform** p_index);

/* v1.7.1 and later */
int faiss_IndexPreTransform_new_with(FaissIndexPreTransform** p_index, FaissIndex* index);

/* v1.7.1 and later */
int faiss_IndexPreTransform_new_with_transform(FaissIndexPreTransform** p_index, FaissVectorTransform* ltrans, FaissIndex* index);

/* v1.7.1 and later */
int faiss_IndexPreTransform_own_fields(const FaissIndexPreTransform* obj);

/* v1.7.2 and later */
int faiss_IndexPreTransform_prepend_transform(FaissIndexPreTransform* index, FaissVectorTransform* ltrans);

/* v1.7.1 and later */
void faiss_IndexPreTransform_set_own_fields(FaissIndexPreTransform* obj, int val);

/* v1.7.2 and later */
FaissIndexRefineFlat*faiss_IndexRefineFlat_cast(FaissIndex* index);

/* v1.2.1 and later */
void faiss_IndexRefineFlat_free(FaissIndexRefineFlat* obj);

/* v1.7.1 and later */
float faiss_IndexRefineFlat_k_factor(const FaissIndexRefineFlat* obj);

/* v1.2.1 and later */
int faiss_IndexRefineFlat_new(FaissIndexRefineFlat** p_index, FaissIndex* base_index);

/* v1.7.1 and later */
int faiss_IndexRefineFlat_own_fields(const FaissIndexRefineFlat* obj);

/* v1.7.1 and later */
void faiss_IndexRefineFlat_set_k_factor(FaissIndexRefineFlat* obj, float val);

/* v1.7.1 and later */
void faiss_IndexRefineFlat_set_own_fields(FaissIndexRefineFlat* obj, int val);

/* v1.7.2 and later */
int faiss_IndexReplicas_add_replica(FaissIndexReplicas* index, FaissIndex* replica);

/* v1.7.2 and later */
FaissIndex*faiss_IndexReplicas_at(FaissIndexReplicas* index, int i);

/* v1.7.2 and later */
void faiss_IndexReplicas_free(FaissIndexReplicas* obj);

/* v1.7.2 and later */
int faiss_IndexReplicas_new(FaissIndexReplicas** p_index, idx_t d);

/* v1.7.2 and later */
int faiss_IndexReplicas_new_with_options(FaissIndexReplicas** p_index, idx_t d, int threaded);

/* v1.7.2 to v1.7.3 */
int faiss_IndexReplicas_own_fields(const FaissIndexReplicas* obj);

/* v1.7.4 and later */
int faiss_IndexReplicas_own_indices(const FaissIndexReplicas* obj);

/* v1.7.2 and later */
int faiss_IndexReplicas_remove_replica(FaissIndexReplicas* index, FaissIndex* replica);

/* v1.7.2 to v1.7.3 */
void faiss_IndexReplicas_set_own_fields(FaissIndexReplicas* obj, int val);

/* v1.7.4 and later */
void faiss_IndexReplicas_set_own_indices(FaissIndexReplicas* obj, int val);

/* v1.7.1 and later */
FaissIndexScalarQuantizer*faiss_IndexScalarQuantizer_cast(FaissIndex* index);

/* v1.7.1 and later */
void faiss_IndexScalarQuantizer_free(FaissIndexScalarQuantizer* obj);

/* v1.7.1 and later */
int faiss_IndexScalarQuantizer_new(FaissIndexScalarQuantizer** p_index);

/* v1.7.1 and later */
int faiss_IndexScalarQuantizer_new_with(FaissIndexScalarQuantizer** p_index, idx_t d, FaissQuantizerType qt, FaissMetricType metric);

/* v1.15.0 and later */
FaissScalarQuantizer*faiss_IndexScalarQuantizer_sq(FaissIndexScalarQuantizer* index);

/* v1.3.0 and later */
int faiss_IndexShards_add_shard(FaissIndexShards* index, FaissIndex* shard);

/* v1.3.0 and later */
FaissIndex*faiss_IndexShards_at(FaissIndexShards* index, int i);

/* v1.7.2 and later */
void faiss_IndexShards_free(FaissIndexShards* obj);

/* v1.3.0 and later */
int faiss_IndexShards_new(FaissIndexShards** p_index, idx_t d);

/* v1.3.0 and later */
int faiss_IndexShards_new_with_options(FaissIndexShards** p_index, idx_t d, int threaded, int successive_ids);

/* v1.3.0 to v1.7.3 */
int faiss_IndexShards_own_fields(const FaissIndexShards* obj);

/* v1.14.2 and later */
int faiss_IndexShards_own_indices(const FaissIndexShards* obj);

/* v1.7.2 and later */
int faiss_IndexShards_remove_shard(FaissIndexShards* index, FaissIndex* shard);

/* v1.3.0 to v1.7.3 */
void faiss_IndexShards_set_own_fields(FaissIndexShards* obj, int val);

/* v1.14.2 and later */
void faiss_IndexShards_set_own_indices(FaissIndexShards* obj, int val);

/* v1.3.0 and later */
void faiss_IndexShards_set_successive_ids(FaissIndexShards* obj, int val);

/* v1.3.0 to v1.5.2 */
void faiss_IndexShards_set_threaded(FaissIndexShards* obj, int val);

/* v1.3.0 to v1.5.2 */
void faiss_IndexShards_shard_indexes(FaissIndexShards* index, FaissIndex** p_shard_indexes, size_t* p_size);

/* v1.3.0 and later */
int faiss_IndexShards_successive_ids(const FaissIndexShards* obj);

/* v1.3.0 to v1.6.3 */
int faiss_IndexShards_sync_with_shard_indexes(FaissIndexShards* index);

/* v1.3.0 to v1.5.2 */
int faiss_IndexShards_threaded(const FaissIndexShards* obj);

/* v1.2.1 and later */
int faiss_Index_add(FaissIndex* index, idx_t n, const float* x);

/* v1.2.1 and later */
int faiss_Index_add_with_ids(FaissIndex* index, idx_t n, const float* x, const idx_t* xids);

/* v1.2.1 and later */
int faiss_Index_assign(FaissIndex* index, idx_t n, const float* x, idx_t* labels, idx_t k);

/* v1.2.1 and later */
int faiss_Index_compute_residual(const FaissIndex* index, const float* x, float* residual, idx_t key);

/* v1.6.1 and later */
int faiss_Index_compute_residual_n(const FaissIndex* index, idx_t n, const float* x, float* residuals, const idx_t* keys);

/* v1.2.1 and later */
int faiss_Index_d(const FaissIndex* obj);

/* v1.2.1 to v1.6.0 */
int faiss_Index_display(const FaissIndex* index);

/* v1.2.1 and later */
void faiss_Index_free(FaissIndex* obj);

/* v1.2.1 and later */
int faiss_Index_is_trained(const FaissIndex* obj);

/* v1.2.1 and later */
FaissMetricType faiss_Index_metric_type(const FaissIndex* obj);

/* v1.2.1 and later */
idx_t faiss_Index_ntotal(const FaissIndex* obj);

/* v1.2.1 and later */
int faiss_Index_range_search(const FaissIndex* index, idx_t n, const float* x, float radius, FaissRangeSearchResult* result);

/* v1.2.1 and later */
int faiss_Index_reconstruct(const FaissIndex* index, idx_t key, float* recons);

/* v1.2.1 and later */
int faiss_Index_reconstruct_n(const FaissIndex* index, idx_t i0, idx_t ni, float* recons);

/* v1.2.1 and later */
int faiss_Index_remove_ids(FaissIndex* index, const FaissIDSelector* sel, size_t* n_removed);

/* v1.2.1 and later */
int faiss_Index_reset(FaissIndex* index);

/* v1.7.3 and later */
int faiss_Index_sa_code_size(const FaissIndex* index, size_t* size);

/* v1.7.3 and later */
int faiss_Index_sa_decode(const FaissIndex* index, idx_t n, const uint8_t* bytes, float* x);

/* v1.7.3 and later */
int faiss_Index_sa_encode(const FaissIndex* index, idx_t n, const float* x, uint8_t* bytes);

/* v1.2.1 and later */
int faiss_Index_search(const FaissIndex* index, idx_t n, const float* x, idx_t k, float* distances, idx_t* labels);

/* v1.7.4 and later */
int faiss_Index_search_with_params(const FaissIndex* index, idx_t n, const float* x, idx_t k, const FaissSearchParameters* params, float* distances, idx_t* labels);

/* v1.7.1 and later */
void faiss_Index_set_verbose(FaissIndex* obj, int val);

/* v1.2.1 and later */
int faiss_Index_train(FaissIndex* index, idx_t n, const float* x);

/* v1.7.1 and later */
int faiss_Index_verbose(const FaissIndex* obj);

/* v1.7.1 and later */
void faiss_LinearTransform_free(FaissLinearTransform* obj);

/* v1.7.1 and later */
int faiss_LinearTransform_have_bias(const FaissLinearTransform* obj);

/* v1.7.1 and later */
int faiss_LinearTransform_is_orthonormal(const FaissLinearTransform* obj);

/* v1.7.1 and later */
void faiss_LinearTransform_set_is_orthonormal(FaissLinearTransform* vt);

/* v1.7.1 and later */
void faiss_LinearTransform_transform_transpose(const FaissLinearTransform* vt, idx_t n, const float* y, float* x);

/* v1.7.1 and later */
void faiss_NormalizationTransform_free(FaissNormalizationTransform* obj);

/* v1.7.1 and later */
int faiss_NormalizationTransform_new_with(FaissNormalizationTransform** p_vt, int d, float norm);

/* v1.7.1 and later */
float faiss_NormalizationTransform_norm(const FaissNormalizationTransform* obj);

/* v1.7.1 and later */
void faiss_OPQMatrix_free(FaissOPQMatrix* obj);

/* v1.7.1 and later */
int faiss_OPQMatrix_new_with(FaissOPQMatrix** p_vt, int d, int M, int d2);

/* v1.7.1 and later */
int faiss_OPQMatrix_niter(const FaissOPQMatrix* obj);

/* v1.7.1 and later */
int faiss_OPQMatrix_niter_pq(const FaissOPQMatrix* obj);

/* v1.7.1 and later */
void faiss_OPQMatrix_set_niter(FaissOPQMatrix* obj, int val);

/* v1.7.1 and later */
void faiss_OPQMatrix_set_niter_pq(FaissOPQMatrix* obj, int val);

/* v1.7.1 and later */
void faiss_OPQMatrix_set_verbose(FaissOPQMatrix* obj, int val);

/* v1.7.1 and later */
int faiss_OPQMatrix_verbose(const FaissOPQMatrix* obj);

/* v1.13.0 and later */
int faiss_PCAMatrix_balanced_bins(const FaissPCAMatrix* obj);

/* v1.7.1 and later */
float faiss_PCAMatrix_eigen_power(const FaissPCAMatrix* obj);

/* v1.7.1 and later */
void faiss_PCAMatrix_free(FaissPCAMatrix* obj);

/* v1.7.1 and later */
int faiss_PCAMatrix_new_with(FaissPCAMatrix** p_vt, int d_in, int d_out, float eigen_power, int random_rotation);

/* v1.7.1 and later */
int faiss_PCAMatrix_random_rotation(const FaissPCAMatrix* obj);

/* v1.13.0 and later */
void faiss_PCAMatrix_set_balanced_bins(FaissPCAMatrix* obj, int val);

/* v1.2.1 and later */
const char*faiss_ParameterRange_name(const FaissParameterRange* range);

/* v1.2.1 and later */
void faiss_ParameterRange_values(FaissParameterRange* range, double** p_values, size_t* p_size);

/* v1.2.1 and later */
int faiss_ParameterSpace_add_range(FaissParameterSpace* space, const char* name, FaissParameterRange** p_range);

/* v1.2.1 and later */
int faiss_ParameterSpace_combination_name(const FaissParameterSpace* space, size_t cno, char* char_buffer, size_t size);

/* v1.2.1 and later */
void faiss_ParameterSpace_display(const FaissParameterSpace* space);

/* v1.2.1 and later */
void faiss_ParameterSpace_free(FaissParameterSpace* obj);

/* v1.2.1 and later */
size_t faiss_ParameterSpace_n_combinations(const FaissParameterSpace* space);

/* v1.2.1 and later */
int faiss_ParameterSpace_new(FaissParameterSpace** space);

/* v1.2.1 and later */
int faiss_ParameterSpace_set_index_parameter(const FaissParameterSpace* space, FaissIndex* cindex, const char* name, double value);

/* v1.14.0 and later */
int faiss_ParameterSpace_set_index_parameter_binary(const FaissParameterSpace* space, FaissIndexBinary* cindex, const char* name, double value);

/* v1.2.1 and later */
int faiss_ParameterSpace_set_index_parameters(const FaissParameterSpace* space, FaissIndex* cindex, const char* param_string);

/* v1.14.0 and later */
int faiss_ParameterSpace_set_index_parameters_binary(const FaissParameterSpace* space, FaissIndexBinary* cindex, const char* param_string);

/* v1.2.1 and later */
int faiss_ParameterSpace_set_index_parameters_cno(const FaissParameterSpace* space, FaissIndex* cindex, size_t cno);

/* v1.14.0 and later */
int faiss_ParameterSpace_set_index_parameters_cno_binary(const FaissParameterSpace* space, FaissIndexBinary* cindex, size_t cno);

/* v1.2.1 to v1.5.2 */
int faiss_QueryResult_add(FaissQueryResult* qr, float dis, idx_t id);

/* v1.2.1 to v1.5.2 */
size_t faiss_QueryResult_nres(const FaissQueryResult* obj);

/* v1.2.1 to v1.5.2 */
FaissRangeSearchPartialResult*faiss_QueryResult_pres(const FaissQueryResult* obj);

/* v1.2.1 to v1.5.2 */
idx_t faiss_QueryResult_qno(const FaissQueryResult* obj);

/* v1.7.1 and later */
void faiss_RandomRotationMatrix_free(FaissRandomRotationMatrix* obj);

/* v1.7.1 and later */
int faiss_RandomRotationMatrix_new_with(FaissRandomRotationMatrix** p_vt, int d_in, int d_out);

/* v1.5.3 and later */
int faiss_RangeQueryResult_add(FaissRangeQueryResult* qr, float dis, idx_t id);

/* v1.5.3 and later */
size_t faiss_RangeQueryResult_nres(const FaissRangeQueryResult* obj);

/* v1.5.3 and later */
FaissRangeSearchPartialResult*faiss_RangeQueryResult_pres(const FaissRangeQueryResult* obj);

/* v1.5.3 and later */
idx_t faiss_RangeQueryResult_qno(const FaissRangeQueryResult* obj);

/* v1.2.1 and later */
int faiss_RangeSearchPartialResult_finalize(FaissRangeSearchPartialResult* res);

/* v1.2.1 and later */
int faiss_RangeSearchPartialResult_new(FaissRangeSearchPartialResult** p_res, FaissRangeSearchResult* res_in);

/* v1.2.1 and later */
int faiss_RangeSearchPartialResult_new_result(FaissRangeSearchPartialResult* res, idx_t qno, FaissRangeQueryResult** qr);

/* v1.2.1 and later */
FaissRangeSearchResult*faiss_RangeSearchPartialResult_res(const FaissRangeSearchPartialResult* obj);

/* v1.2.1 and later */
int faiss_RangeSearchPartialResult_set_lims(FaissRangeSearchPartialResult* res);

/* v1.2.1 to v1.5.2 */
int faiss_RangeSearchPartialResult_set_result(FaissRangeSearchPartialResult* res, int incremental);

/* v1.2.1 and later */
size_t faiss_RangeSearchResult_buffer_size(const FaissRangeSearchResult* obj);

/* v1.2.1 and later */
int faiss_RangeSearchResult_do_allocation(FaissRangeSearchResult* rsr);

/* v1.2.1 and later */
void faiss_RangeSearchResult_free(FaissRangeSearchResult* obj);

/* v1.2.1 and later */
void faiss_RangeSearchResult_labels(FaissRangeSearchResult* rsr, idx_t** labels, float** distances);

/* v1.2.1 and later */
void faiss_RangeSearchResult_lims(FaissRangeSearchResult* rsr, size_t** lims);

/* v1.2.1 and later */
int faiss_RangeSearchResult_new(FaissRangeSearchResult** p_rsr, idx_t nq);

/* v1.2.1 and later */
int faiss_RangeSearchResult_new_with(FaissRangeSearchResult** p_rsr, idx_t nq, int alloc_lims);

/* v1.2.1 and later */
size_t faiss_RangeSearchResult_nq(const FaissRangeSearchResult* obj);

/* v1.7.1 and later */
void faiss_RemapDimensionsTransform_free(FaissRemapDimensionsTransform* obj);

/* v1.7.1 and later */
int faiss_RemapDimensionsTransform_new_with(FaissRemapDimensionsTransform** p_vt, int d_in, int d_out, int uniform);

/* v1.15.0 and later */
size_t faiss_ScalarQuantizer_bits(const FaissScalarQuantizer* obj);

/* v1.15.0 and later */
size_t faiss_ScalarQuantizer_code_size(const FaissScalarQuantizer* obj);

/* v1.15.0 and later */
size_t faiss_ScalarQuantizer_d(const FaissScalarQuantizer* obj);

/* v1.15.0 and later */
FaissQuantizerType faiss_ScalarQuantizer_qtype(const FaissScalarQuantizer* obj);

/* v1.15.0 and later */
#ifndef FAISS_INDEX_SCALAR_QUANTIZER_C_H
FaissRangeStat faiss_ScalarQuantizer_rangestat(const FaissScalarQuantizer* obj);
#endif

/* v1.15.0 and later */
float faiss_ScalarQuantizer_rangestat_arg(const FaissScalarQuantizer* obj);

/* v1.15.0 and later */
#ifndef FAISS_INDEX_SCALAR_QUANTIZER_C_H
void faiss_ScalarQuantizer_set_rangestat(FaissScalarQuantizer* obj, FaissRangeStat val);
#endif

/* v1.15.0 and later */
void faiss_ScalarQuantizer_set_rangestat_arg(FaissScalarQuantizer* obj, float val);

/* v1.15.0 and later */
void faiss_ScalarQuantizer_trained(const FaissScalarQuantizer* sq, float* out);

/* v1.15.0 and later */
size_t faiss_ScalarQuantizer_trained_size(const FaissScalarQuantizer* sq);

/* v1.14.0 and later */
int faiss_SearchParametersHNSW_bounded_queue(const FaissSearchParametersHNSW* obj);

/* v1.14.0 and later */
FaissSearchParametersHNSW*faiss_SearchParametersHNSW_cast(FaissSearchParameters* sp);

/* v1.14.0 and later */
int faiss_SearchParametersHNSW_check_relative_distance(const FaissSearchParametersHNSW* obj);

/* v1.14.0 and later */
int faiss_SearchParametersHNSW_efSearch(const FaissSearchParametersHNSW* obj);

/* v1.14.0 and later */
void faiss_SearchParametersHNSW_free(FaissSearchParametersHNSW* obj);

/* v1.14.0 and later */
int faiss_SearchParametersHNSW_new(FaissSearchParametersHNSW** p_sp);

/* v1.14.0 and later */
int faiss_SearchParametersHNSW_new_with(FaissSearchParametersHNSW** p_sp, FaissIDSelector* sel, int efSearch);

/* v1.14.0 and later */
const FaissIDSelector*faiss_SearchParametersHNSW_sel(const FaissSearchParametersHNSW* obj);

/* v1.14.0 and later */
void faiss_SearchParametersHNSW_set_bounded_queue(FaissSearchParametersHNSW* obj, int val);

/* v1.14.0 and later */
void faiss_SearchParametersHNSW_set_check_relative_distance(FaissSearchParametersHNSW* obj, int val);

/* v1.14.0 and later */
void faiss_SearchParametersHNSW_set_efSearch(FaissSearchParametersHNSW* obj, int val);

/* v1.7.4 and later */
FaissSearchParametersIVF*faiss_SearchParametersIVF_cast(FaissSearchParameters* sp);

/* v1.14.2 and later */
int faiss_SearchParametersIVF_ensure_topk_full(const FaissSearchParametersIVF* obj);

/* v1.7.4 and later */
void faiss_SearchParametersIVF_free(FaissSearchParametersIVF* obj);

/* v1.7.4 and later */
size_t faiss_SearchParametersIVF_max_codes(const FaissSearchParametersIVF* obj);

/* v1.14.2 and later */
size_t faiss_SearchParametersIVF_max_empty_result_buckets(const FaissSearchParametersIVF* obj);

/* v1.14.2 and later */
size_t faiss_SearchParametersIVF_max_lists_num(const FaissSearchParametersIVF* obj);

/* v1.7.4 and later */
int faiss_SearchParametersIVF_new(FaissSearchParametersIVF** p_sp);

/* v1.7.4 and later */
int faiss_SearchParametersIVF_new_with(FaissSearchParametersIVF** p_sp, FaissIDSelector* sel, size_t nprobe, size_t max_codes);

/* v1.7.4 and later */
size_t faiss_SearchParametersIVF_nprobe(const FaissSearchParametersIVF* obj);

/* v1.7.4 and later */
const FaissIDSelector*faiss_SearchParametersIVF_sel(const FaissSearchParametersIVF* obj);

/* v1.14.2 and later */
void faiss_SearchParametersIVF_set_ensure_topk_full(FaissSearchParametersIVF* obj, int val);

/* v1.7.4 and later */
void faiss_SearchParametersIVF_set_max_codes(FaissSearchParametersIVF* obj, size_t val);

/* v1.14.2 and later */
void faiss_SearchParametersIVF_set_max_empty_result_buckets(FaissSearchParametersIVF* obj, size_t val);

/* v1.14.2 and later */
void faiss_SearchParametersIVF_set_max_lists_num(FaissSearchParametersIVF* obj, size_t val);

/* v1.7.4 and later */
void faiss_SearchParametersIVF_set_nprobe(FaissSearchParametersIVF* obj, size_t val);

/* v1.7.4 and later */
void faiss_SearchParameters_free(FaissSearchParameters* obj);

/* v1.7.4 and later */
int faiss_SearchParameters_new(FaissSearchParameters** p_sp, FaissIDSelector* sel);

/* v1.2.1 and later, GPU */
void faiss_StandardGpuResources_free(FaissStandardGpuResources* obj);

/* v1.2.1 and later, GPU */
int faiss_StandardGpuResources_new(FaissStandardGpuResources** p_res);

/* v1.2.1 and later, GPU */
int faiss_StandardGpuResources_noTempMemory(FaissStandardGpuResources* res);

/* v1.2.1 and later, GPU */
int faiss_StandardGpuResources_setDefaultNullStreamAllDevices(FaissStandardGpuResources* res);

/* v1.2.1 and later, GPU */
int faiss_StandardGpuResources_setDefaultStream(FaissStandardGpuResources* res, int device, cudaStream_t stream);

/* v1.2.1 and later, GPU */
int faiss_StandardGpuResources_setPinnedMemory(FaissStandardGpuResources* res, size_t size);

/* v1.2.1 and later, GPU */
int faiss_StandardGpuResources_setTempMemory(FaissStandardGpuResources* res, size_t size);

/* v1.2.1 to v1.5.2, GPU */
int faiss_StandardGpuResources_setTempMemoryFraction(FaissStandardGpuResources* res, float fraction);

/* v1.7.1 and later */
float*faiss_VectorTransform_apply(const FaissVectorTransform* vt, idx_t n, const float* x);

/* v1.7.1 and later */
void faiss_VectorTransform_apply_noalloc(const FaissVectorTransform* vt, idx_t n, const float* x, float* xt);

/* v1.7.1 and later */
int faiss_VectorTransform_d_in(const FaissVectorTransform* obj);

/* v1.7.1 and later */
int faiss_VectorTransform_d_out(const FaissVectorTransform* obj);

/* v1.7.1 and later */
void faiss_VectorTransform_free(FaissVectorTransform* obj);

/* v1.7.1 and later */
int faiss_VectorTransform_is_trained(const FaissVectorTransform* obj);

/* v1.7.1 and later */
void faiss_VectorTransform_reverse_transform(const FaissVectorTransform* vt, idx_t n, const float* xt, float* x);

/* v1.7.1 and later */
int faiss_VectorTransform_train(FaissVectorTransform* vt, idx_t n, const float* x);

/* v1.3.0 and later */
int faiss_clone_index(const FaissIndex* idx, FaissIndex** p_out);

/* v1.9.0 and later */
int faiss_clone_index_binary(const FaissIndexBinary* idx, FaissIndexBinary** p_out);

/* v1.7.2 and later */
void faiss_fvec_L2sqr_ny(float* dis, const float* x, const float* y, size_t d, size_t ny);

/* v1.7.2 and later */
void faiss_fvec_inner_products_ny(float* ip, const float* x, const float* y, size_t d, size_t ny);

/* v1.7.2 and later */
float faiss_fvec_norm_L2sqr(const float* x, size_t d);

/* v1.7.2 and later */
void faiss_fvec_norms_L2(float* norms, const float* x, size_t d, size_t nx);

/* v1.7.2 and later */
void faiss_fvec_norms_L2sqr(float* norms, const float* x, size_t d, size_t nx);

/* v1.7.2 and later */
void faiss_fvec_renorm_L2(size_t d, size_t nx, float* x);

/* v1.7.2 and later */
int faiss_get_distance_compute_blas_database_bs(void);

/* v1.7.2 and later */
int faiss_get_distance_compute_blas_query_bs(void);

/* v1.7.2 and later */
int faiss_get_distance_compute_blas_threshold(void);

/* v1.7.2 and later */
int faiss_get_distance_compute_min_k_reservoir(void);

/* v1.7.2 and later */
FaissIndexIVFStats*faiss_get_indexIVF_stats(void);

/* v1.2.1 and later */
const char*faiss_get_last_error(void);

/* v1.7.0 and later, GPU */
int faiss_get_num_gpus(int* p_output);

/* v1.9.0 and later */
const char*faiss_get_version(void);

/* v1.7.0 and later, GPU */
int faiss_gpu_profiler_start(void);

/* v1.7.0 and later, GPU */
int faiss_gpu_profiler_stop(void);

/* v1.7.0 and later, GPU */
int faiss_gpu_sync_all_devices(void);

/* v1.9.0 and later */
int faiss_index_binary_factory(FaissIndexBinary** p_index, int d, const char* description);

/* v1.2.1 and later, GPU */
int faiss_index_cpu_to_gpu(FaissGpuResourcesProvider* provider, int device, const FaissIndex* index, FaissGpuIndex** p_out);

/* v1.5.1 and later, GPU */
int faiss_index_cpu_to_gpu_multiple(FaissGpuResourcesProvider* const* providers_vec, const int* devices, size_t devices_size, const FaissIndex* index, FaissGpuIndex** p_out);

/* v1.5.1 and later, GPU */
int faiss_index_cpu_to_gpu_multiple_with_options(FaissGpuResourcesProvider* const* providers_vec, size_t providers_vec_size, const int* devices, size_t devices_size, const FaissIndex* index, const FaissGpuMultipleClonerOptions* options, FaissGpuIndex** p_out);

/* v1.2.1 and later, GPU */
int faiss_index_cpu_to_gpu_with_options(FaissGpuResourcesProvider* provider, int device, const FaissIndex* index, const FaissGpuClonerOptions* options, FaissGpuIndex** p_out);

/* v1.2.1 and later */
int faiss_index_factory(FaissIndex** p_index, int d, const char* description, FaissMetricType metric);

/* v1.2.1 and later, GPU */
int faiss_index_gpu_to_cpu(const FaissIndex* gpu_index, FaissIndex** p_out);

/* v1.2.1 and later */
int faiss_kmeans_clustering(size_t d, size_t n, size_t k, const float* x, float* centroids, float* q_error);

/* v1.7.2 and later */
void faiss_pairwise_L2sqr(int64_t d, int64_t nq, const float* xq, int64_t nb, const float* xb, float* dis, int64_t ldq, int64_t ldb, int64_t ldd);

/* v1.7.2 and later */
void faiss_pairwise_L2sqr_with_defaults(int64_t d, int64_t nq, const float* xq, int64_t nb, const float* xb, float* dis);

/* v1.10.0 and later */
int faiss_read_VectorTransform_fname(const char* fname, FaissVectorTransform** p_out);

/* v1.3.0 and later */
int faiss_read_index(FILE* f, int io_flags, FaissIndex** p_out);

/* v1.7.3 and later */
int faiss_read_index_binary(FILE* f, int io_flags, FaissIndexBinary** p_out);

/* v1.11.0 and later */
int faiss_read_index_binary_custom(FaissIOReader* io_reader, int io_flags, FaissIndexBinary** p_out);

/* v1.7.3 and later */
int faiss_read_index_binary_fname(const char* fname, int io_flags, FaissIndexBinary** p_out);

/* v1.11.0 and later */
int faiss_read_index_custom(FaissIOReader* io_reader, int io_flags, FaissIndex** p_out);

/* v1.3.0 and later */
int faiss_read_index_fname(const char* fname, int io_flags, FaissIndex** p_out);

/* v1.7.2 and later */
void faiss_set_distance_compute_blas_database_bs(int value);

/* v1.7.2 and later */
void faiss_set_distance_compute_blas_query_bs(int value);

/* v1.7.2 and later */
void faiss_set_distance_compute_blas_threshold(int value);

/* v1.7.2 and later */
void faiss_set_distance_compute_min_k_reservoir(int value);

/* v1.3.0 and later */
int faiss_write_index(const FaissIndex* idx, FILE* f);

/* v1.7.3 and later */
int faiss_write_index_binary(const FaissIndexBinary* idx, FILE* f);

/* v1.11.0 and later */
int faiss_write_index_binary_custom(const FaissIndexBinary* idx, FaissIOWriter* io_writer);

/* v1.7.3 and later */
int faiss_write_index_binary_fname(const FaissIndexBinary* idx, const char* fname);

/* v1.11.0 and later */
int faiss_write_index_custom(const FaissIndex* idx, FaissIOWriter* io_writer, int io_flags);

/* v1.3.0 and later */
int faiss_write_index_fname(const FaissIndex* idx, const char* fname);

/* fork and later */
int faiss_IndexBinaryIVF_get_centroids_and_cardinality(const FaissIndexBinaryIVF* index, uint8_t* centroid_vectors, size_t* cardinalities, idx_t* centroid_ids);

/* fork and later */
int faiss_IndexBinaryIVF_list_vector_count(const FaissIndexBinaryIVF* index, idx_t* list_counts, size_t list_counts_size, const FaissSearchParametersIVF* params);

/* fork and later */
int faiss_IndexBinaryIVF_search_closest_eligible_centroids(const FaissIndexBinaryIVF* index, idx_t n, const uint8_t* x, idx_t k, int32_t* centroid_distances, idx_t* centroid_ids, const FaissSearchParameters* params);

/* fork and later */
int faiss_IndexBinaryIVF_search_preassigned_with_params(const FaissIndexBinaryIVF* index, idx_t n, const uint8_t* xb, idx_t k, const idx_t* assign, const int32_t* centroid_dis, int32_t* distances, idx_t* labels, int store_pairs, const FaissSearchParametersIVF* params);

/* fork and later */
int faiss_IndexBinaryIVF_set_direct_map(FaissIndexBinaryIVF* index, int direct_map_type);

/* fork and later */
#ifndef FAISS_INDEX_BINARY_C_EX_H
size_t faiss_IndexBinary_size(FaissIndexBinary* index);
#endif

/* fork and later */
int faiss_IndexIVF_compute_distance_table(FaissIndexIVF* index, const float* x, float* dist_table);

/* fork and later */
#ifndef FAISS_INDEX_IVF_EX_C_H
int faiss_IndexIVF_compute_distance_to_codes_for_list(FaissIndexIVF* index, idx_t list_no, const float* x, idx_t n, const uint8_t* codes, float* dists, float* dist_table);
#endif

/* fork and later */
int faiss_IndexIVF_get_centroids_and_cardinality(const FaissIndexIVF* index, float* centroid_vectors, size_t* cardinalities, idx_t* centroid_ids);

/* fork and later */
int faiss_IndexIVF_list_vector_count(const FaissIndexIVF* index, idx_t* list_counts, size_t list_counts_size, const FaissSearchParametersIVF* params);

/* fork and later */
int faiss_IndexIVF_search_closest_eligible_centroids(const FaissIndexIVF* index, idx_t n, const float* query, idx_t k, float* centroid_distances, idx_t* centroid_ids, const FaissSearchParameters* params);

/* fork and later */
int faiss_IndexIVF_search_preassigned_with_params(const FaissIndexIVF* index, idx_t n, const float* x, idx_t k, const idx_t* assign, const float* centroid_dis, float* distances, idx_t* labels, int store_pairs, const FaissSearchParametersIVF* params);

/* fork and later */
int faiss_IndexIVF_set_direct_map(FaissIndexIVF* index, int direct_map_type);

/* fork and later */
int faiss_Index_dist_compute(const FaissIndex* index, const float* query, const idx_t* ids, size_t n_ids, float* distances);

/* fork and later */
int faiss_Index_merge_from(FaissIndex* index, FaissIndex* other, idx_t add_id);

/* fork and later */
int faiss_Index_reconstruct_batch(const FaissIndex* index, idx_t n, const idx_t* keys, float* recons);

/* fork and later */
#ifndef FAISS_INDEX_EX_C_H
size_t faiss_Index_size(FaissIndex* index);
#endif

/* fork and later */
int faiss_Set_quantizers(FaissIndex* target, FaissIndex* source);

/* fork and later */
void faiss_free_buf(uint8_t** buf);

/* fork and later */
int faiss_read_index_binary_buf(const uint8_t* buf, size_t limit, int io_flags, FaissIndexBinary** p_out);

/* fork and later */
int faiss_read_index_buf(const uint8_t* buf, size_t limit, int io_flags, FaissIndex** p_out);

/* fork and later */
void faiss_set_omp_threads(unsigned int n);

/* fork and later */
int faiss_write_index_binary_buf(const FaissIndexBinary* idx, size_t* buf_size, uint8_t** buf);

/* fork and later */
int faiss_write_index_buf(const FaissIndex* idx, size_t* buf_size, uint8_t** buf);

/* fork and later, GPU */
int faiss_gpu_free_memory(int device, size_t* p_free_bytes);

/* fork and later */
#ifndef FAISS_INDEX_IVF_EX_C_H
int faiss_Search_closest_eligible_centroids(const FaissIndexIVF* index, idx_t n, const float* query, idx_t k, float* centroid_distances, idx_t* centroid_ids, const FaissSearchParameters* params);
#endif

/* fork and later */
#ifndef FAISS_INDEX_IVF_EX_C_H
int faiss_get_lists_for_keys(FaissIndexIVF* index, idx_t* keys, size_t n_keys, idx_t* lists);
#endif

/* fork and later */
#ifndef FAISS_INDEX_IVF_EX_C_H
int faiss_ivf_list_vector_count(const FaissIndexIVF* index, idx_t* list_counts, size_t list_counts_size, const FaissSearchParametersIVF* params);
#endif

/* fork and later */
int faiss_SearchParametersIVF_new_with_sel(FaissSearchParametersIVF** p_sp, FaissIDSelector* sel);

/* fork and later */
int faiss_SearchParametersRaBitQ_new_with(FaissSearchParametersIVF** p_sp, FaissIDSelector* sel, size_t nprobe, size_t max_codes);

/* fork and later */
int faiss_IndexIVF_has_RaBitQ(FaissIndex* index);

/* fork and later */
int faiss_Set_quantizers_binary(FaissIndexBinary* target, FaissIndexBinary* source);

/* fork and later */
int faiss_IndexBinary_sa_code_size(const FaissIndexBinary* index, size_t* size);

/* fork and later */
void faiss_real_to_binary(size_t n, size_t d, const float* x_in, uint8_t* x_out);

/* fork and later, GPU */
int faiss_probe_gpu(int device, int* p_probe_result);

/* fork and later, GPU */
int faiss_GpuClonerOptions_memorySpace(const FaissGpuClonerOptions* obj);

/* fork and later, GPU */
void faiss_GpuClonerOptions_set_memorySpace(FaissGpuClonerOptions* obj, int val);

/* fork and later, GPU */
int faiss_StandardGpuResources_setTempMemorySpace(FaissStandardGpuResources* res, int space);

/* fork and later, GPU */
int faiss_StandardGpuResources_setTempMemoryOverflowPool(FaissStandardGpuResources* res, FaissGpuMemoryPool* pool);

/* fork and later, GPU */
int faiss_GpuMemoryPool_new(int device, size_t pool_cap, FaissGpuMemoryPool** out);

/* fork and later, GPU */
void faiss_GpuMemoryPool_free(FaissGpuMemoryPool* obj);

/* fork and later, GPU */
int faiss_GpuMemoryEstimate_for_cpu_index(const FaissIndex* index, int device, const FaissGpuClonerOptions* options, size_t* out);

/* fork and later, GPU */
int faiss_GpuIndex_d(const FaissGpuIndex* obj);

/* fork and later, GPU */
int faiss_GpuIndex_train(FaissGpuIndex* index, idx_t n, const float* x);

/* fork and later, GPU */
int faiss_GpuIndex_add(FaissGpuIndex* index, idx_t n, const float* x);

/* fork and later, GPU */
int faiss_GpuIndex_search(const FaissGpuIndex* index, idx_t n, const float* x, idx_t k, float* distances, idx_t* labels);

/* fork and later, GPU */
void faiss_GpuIndex_free(FaissGpuIndex* obj);

/* fork and later, GPU */
FaissGpuIndexIVF*faiss_GpuIndexIVF_cast(FaissGpuIndex* index);

/* fork and later, GPU */
size_t faiss_GpuIndexIVF_nlist(const FaissGpuIndexIVF* obj);

/* fork and later, GPU */
int faiss_GpuIndexIVF_assign(const FaissGpuIndexIVF* index, idx_t n, const float* x, idx_t* labels);

/* fork and later, GPU */
int faiss_GpuIndexIVF_compute_required_memory(FaissGpuIndexIVF* index, size_t n, const idx_t* x, size_t* out);

/* fork and later, GPU */
int faiss_GpuIndexIVF_reserve_assigned_memory(FaissGpuIndexIVF* index, size_t n, const idx_t* x);

#ifdef __cplusplus
}
#endif

/* Everything is declared: FAISS's own headers declare nothing from here on. */
#ifndef FAISS_AUTO_TUNE_C_H
#define FAISS_AUTO_TUNE_C_H
#endif
#ifndef FAISS_AUX_INDEX_STRUCTURES_C_H
#define FAISS_AUX_INDEX_STRUCTURES_C_H
#endif
#ifndef FAISS_CLONE_INDEX_C_H
#define FAISS_CLONE_INDEX_C_H
#endif
#ifndef FAISS_CLUSTERING_C_H
#define FAISS_CLUSTERING_C_H
#endif
#ifndef FAISS_DEVICE_UTILS_C_H
#define FAISS_DEVICE_UTILS_C_H
#endif
#ifndef FAISS_DISTANCES_C_H
#define FAISS_DISTANCES_C_H
#endif
#ifndef FAISS_ERROR_C_H
#define FAISS_ERROR_C_H
#endif
#ifndef FAISS_GPU_AUTO_TUNE_C_H
#define FAISS_GPU_AUTO_TUNE_C_H
#endif
#ifndef FAISS_GPU_CLONER_OPTIONS_C_H
#define FAISS_GPU_CLONER_OPTIONS_C_H
#endif
#ifndef FAISS_GPU_INDEX_C_H
#define FAISS_GPU_INDEX_C_H
#endif
#ifndef FAISS_GPU_INDICES_OPTIONS_C_H
#define FAISS_GPU_INDICES_OPTIONS_C_H
#endif
#ifndef FAISS_GPU_RESOURCES_C_H
#define FAISS_GPU_RESOURCES_C_H
#endif
#ifndef FAISS_INDEX_BINARY_C_H
#define FAISS_INDEX_BINARY_C_H
#endif
#ifndef FAISS_INDEX_BINARY_FLAT_C_H
#define FAISS_INDEX_BINARY_FLAT_C_H
#endif
#ifndef FAISS_INDEX_BINARY_IVF_C_H
#define FAISS_INDEX_BINARY_IVF_C_H
#endif
#ifndef FAISS_INDEX_C_H
#define FAISS_INDEX_C_H
#endif
#ifndef FAISS_INDEX_FACTORY_C_H
#define FAISS_INDEX_FACTORY_C_H
#endif
#ifndef FAISS_INDEX_FLAT_C_H
#define FAISS_INDEX_FLAT_C_H
#endif
#ifndef FAISS_INDEX_HNSW_C_H
#define FAISS_INDEX_HNSW_C_H
#endif
#ifndef FAISS_INDEX_IO_C_H
#define FAISS_INDEX_IO_C_H
#endif
#ifndef FAISS_INDEX_IVF_C_H
#define FAISS_INDEX_IVF_C_H
#endif
#ifndef FAISS_INDEX_IVF_FLAT_C_H
#define FAISS_INDEX_IVF_FLAT_C_H
#endif
#ifndef FAISS_INDEX_PRETRANSFORM_C_H
#define FAISS_INDEX_PRETRANSFORM_C_H
#endif
#ifndef FAISS_INDEX_SCALAR_QUANTIZER_C_H
#define FAISS_INDEX_SCALAR_QUANTIZER_C_H
#endif
#ifndef FAISS_IO_C_H
#define FAISS_IO_C_H
#endif
#ifndef FAISS_STANDARD_GPURESOURCES_C_H
#define FAISS_STANDARD_GPURESOURCES_C_H
#endif
#ifndef FAISS_UTILS_C_H
#define FAISS_UTILS_C_H
#endif
#ifndef FAISS_VECTOR_TRANSFORM_C_H
#define FAISS_VECTOR_TRANSFORM_C_H
#endif
#ifndef INDEXREPLICAS_C_H
#define INDEXREPLICAS_C_H
#endif
#ifndef INDEXSHARDS_C_H
#define INDEXSHARDS_C_H
#endif
#ifndef INDEX_LSH_C_H
#define INDEX_LSH_C_H
#endif
#ifndef METAINDEXES_C_H
#define METAINDEXES_C_H
#endif
#ifndef FAISS_INDEX_EX_C_H
#define FAISS_INDEX_EX_C_H
#endif
#ifndef FAISS_INDEX_IO_C_EX_H
#define FAISS_INDEX_IO_C_EX_H
#endif
#ifndef FAISS_INDEX_IVF_EX_C_H
#define FAISS_INDEX_IVF_EX_C_H
#endif
#ifndef FAISS_INDEX_BINARY_C_EX_H
#define FAISS_INDEX_BINARY_C_EX_H
#endif
#ifndef FAISS_INDEX_BINARY_IVF_C_EX_H
#define FAISS_INDEX_BINARY_IVF_C_EX_H
#endif
#ifndef FAISS_GPU_INDEX_C_EX_H
#define FAISS_GPU_INDEX_C_EX_H
#endif
#ifndef FAISS_GPU_INDEX_IVF_C_H
#define FAISS_GPU_INDEX_IVF_C_H
#endif
#ifndef FAISS_GPU_INDEX_IVF_C_EX_H
#define FAISS_GPU_INDEX_IVF_C_EX_H
#endif
#ifndef FAISS_GPU_MEMORY_ESTIMATE_C_H
#define FAISS_GPU_MEMORY_ESTIMATE_C_H
#endif
#ifndef FAISS_GPU_MEMORY_POOL_C_H
#define FAISS_GPU_MEMORY_POOL_C_H
#endif

#endif
