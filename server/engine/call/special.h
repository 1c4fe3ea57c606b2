/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of the C API that return FAISS's own memory in ways the table cannot say. */
#ifndef FXE_SPECIAL_H
#define FXE_SPECIAL_H

struct fxe_operation;
extern const struct fxe_operation fxe_ivf_stats_operation, fxe_ivf_stats_reset_operation,
    fxe_iteration_stats_operation;

#endif
