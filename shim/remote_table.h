/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of remote mode: those written by hand, fx_remote_NAME, and the table of
 * all.  A function that names an object of the real library is passed on to it. */
#ifndef FX_REMOTE_TABLE_H
#define FX_REMOTE_TABLE_H

#include "api.h"

#define FX_REMOTE_DECLARATIONS
#include "remote.h"
#undef FX_REMOTE_DECLARATIONS

extern const struct fx_api fx_remote_table;

#endif
