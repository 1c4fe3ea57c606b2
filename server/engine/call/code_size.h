/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before v1.12.0 faiss_Index_sa_code_size() forgets to write its result, on which the
 * sizes of the arrays of sa_encode and sa_decode depend.  Here is one that asks the index.
 */
#ifndef FXE_CODE_SIZE_H
#define FXE_CODE_SIZE_H

#include "proto/library.h"

/* Put it in place of the library's, if that needs it. */
void fxe_code_size_repair(struct fx_library *lib);

#endif
