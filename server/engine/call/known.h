/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes whose bytes the engine has had before, so that a client need not send them (shared.h). */
#ifndef FXE_KNOWN_H
#define FXE_KNOWN_H

struct fxe_operation;
extern const struct fxe_operation fxe_load_known_operation, fxe_remember_operation;

#endif
