/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replacement for faiss_Index_sa_code_size(), which does not write its result before FAISS
 * v1.12.0.  The sizes of the arrays of sa_encode and sa_decode depend on it.
 */
#ifndef FXE_CODE_SIZE_H
#define FXE_CODE_SIZE_H

#include "proto/library.h"

/* Installs the replacement if the library needs it. */
void fxe_code_size_repair(struct fx_library *lib);

#endif
