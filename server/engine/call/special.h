/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of the C API that return FAISS's own memory in ways the table cannot say: those that
 * proto/faiss.api flags `server`.  A client calls them as operations of their own names.
 */
#ifndef FXE_SPECIAL_H
#define FXE_SPECIAL_H

/* The handler of a function by its operation number, or NULL. */
const struct fxe_operation *fxe_special(int op);

#endif
