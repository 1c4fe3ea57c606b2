/* SPDX-License-Identifier: Apache-2.0 */
/* What old releases of FAISS's C API get wrong, put right where that is possible. */
#ifndef FXE_OLD_LIBRARY_H
#define FXE_OLD_LIBRARY_H

struct fx_library;

/* Replace functions of the library that was just loaded. */
void fxe_old_library(struct fx_library *lib);

#endif
