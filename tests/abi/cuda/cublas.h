/* SPDX-License-Identifier: Apache-2.0 */
/* The older name that some FAISS headers include. */
#include "cublas_v2.h"
