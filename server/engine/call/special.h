/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of the C API that return FAISS's own memory in ways the table cannot describe.
 * proto/faiss.api flags them `server`; a client calls each as an operation of the same name.
 */
#ifndef FXE_SPECIAL_H
#define FXE_SPECIAL_H

/* Returns the handler of the function with this operation number, or NULL. */
const struct fxe_operation *fxe_special(int op);

#endif
