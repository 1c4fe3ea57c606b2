/* SPDX-License-Identifier: Apache-2.0 */
/* Remote mode: the stubs of all functions, and those that are written by hand, which are
 * called through fx_remote_call and only when the call belongs to the server. */
#ifndef FX_REMOTE_TABLE_H
#define FX_REMOTE_TABLE_H

#include "proto/api.h"

#define FX_REMOTE_DECLARATIONS
#include "remote.h"
#undef FX_REMOTE_DECLARATIONS

extern const struct fx_api fx_remote_table;
extern const struct fx_api fx_custom_table;

#endif
