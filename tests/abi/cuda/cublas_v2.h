/* SPDX-License-Identifier: Apache-2.0 */
/* What FAISS's C headers use of cuBLAS, for machines without it. */
#ifndef FX_TEST_CUBLAS_V2_H
#define FX_TEST_CUBLAS_V2_H
typedef struct cublasContext *cublasHandle_t;
#endif
