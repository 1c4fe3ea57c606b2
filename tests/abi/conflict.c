/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles when faiss_c_compat.h and the headers of a FAISS release agree: two
 * declarations of one function that differ are an error.  faiss_headers.h is made
 * by headers.t and includes all of the release's C headers.
 *
 * FAISS's headers have to come first, as here: they cannot know that their types
 * are there already, while faiss_c_compat.h leaves out what it finds.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "faiss_headers.h"

#include "faiss_c_compat.h"

#ifdef __cplusplus
#define CHECK(what) static_assert(what, #what)
#else
#define CHECK(what) _Static_assert(what, #what)
#endif

CHECK(sizeof(idx_t) == 8);
CHECK(sizeof(FaissMetricType) == sizeof(int));
CHECK(sizeof(FaissQuantizerType) == sizeof(int));
CHECK(sizeof(FaissClusteringParameters) == 48);
CHECK(sizeof(FaissIndexIVFStats) == 48);
CHECK(METRIC_L2 == 1 && METRIC_JensenShannon == 22);
CHECK(QT_6bit == 6);
CHECK(INDICES_64_BIT == 3);
CHECK(FAISS_EXCEPT == -2 && STD_EXCEPT == -4);
