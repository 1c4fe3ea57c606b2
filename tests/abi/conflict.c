/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles when faiss_c_compat.h and the headers of a FAISS release agree: two
 * declarations of one function that differ are an error.  faiss_headers.h is made
 * by headers.t and includes all of the release's C headers.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef OURS_FIRST
#include "faiss_c_compat.h"

#include "faiss_headers.h"
#else
#include "faiss_headers.h"

#include "faiss_c_compat.h"
#endif

#ifdef __cplusplus
#define CHECK(what) static_assert(what, #what)
#else
#define CHECK(what) _Static_assert(what, #what)
#endif

CHECK(sizeof(idx_t) == 8);
CHECK(sizeof(FaissMetricType) == sizeof(int));
CHECK(sizeof(FaissQuantizerType) == sizeof(int));
#ifdef OURS_FIRST
CHECK(sizeof(FaissClusteringParameters) == 48);
CHECK(sizeof(FaissIndexIVFStats) == 48);
CHECK(QT_8bit_eden == 26 && RS_optim == 3);
#else /* those of v1.7.1 are shorter */
CHECK(sizeof(FaissClusteringParameters) == 48 || sizeof(FaissClusteringParameters) == 36);
CHECK(sizeof(FaissIndexIVFStats) == 48 || sizeof(FaissIndexIVFStats) == 24);
#endif
CHECK(sizeof(FaissBuffer) == 2 * sizeof(void *));
CHECK(METRIC_L2 == 1 && METRIC_JensenShannon == 22);
CHECK(QT_6bit == 6);
CHECK(INDICES_64_BIT == 3);
CHECK(FAISS_EXCEPT == -2 && STD_EXCEPT == -4);
CHECK(FAISS_IO_FLAG_MMAP == 1 && FAISS_IO_FLAG_READ_ONLY == 2);
CHECK(FAISS_IO_FLAG_SKIP_PREFETCH == 32 && FAISS_IO_FLAG_READ_MMAP == 64);
CHECK(FAISS_IO_FLAG_ONDISK_IVF == 0x646f0000);

/* From every release's headers and from ours, in either order. */
int use(FaissIndex *index, FaissIndexIDMap2 *map, FaissClusteringParameters *p);
int use(FaissIndex *index, FaissIndexIDMap2 *map, FaissClusteringParameters *p)
{
    faiss_ClusteringParameters_init(p);
    return faiss_Index_d(index) + faiss_IndexIDMap2_construct_rev_map(map);
}
