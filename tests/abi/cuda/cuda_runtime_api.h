/* SPDX-License-Identifier: Apache-2.0 */
/* What FAISS's C headers use of CUDA, for machines without it. */
#ifndef FX_TEST_CUDA_RUNTIME_API_H
#define FX_TEST_CUDA_RUNTIME_API_H
#include <stddef.h>
typedef struct CUstream_st *cudaStream_t;
#endif
