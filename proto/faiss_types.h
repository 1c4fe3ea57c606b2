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
