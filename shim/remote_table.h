/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of remote mode.
 *
 * fx_remote_table holds a generated stub for every function; all of them call fx_remote_call().
 * For the functions that the table cannot describe ("custom" in proto/faiss.api), fx_remote_call()
 * goes on to fx_custom_table, whose functions fx_remote_NAME are written by hand in calls/, values/
 * and files/.  They are called only when the call belongs to the server.
 *
 * Both tables are constant; any thread.
 */
#ifndef FX_REMOTE_TABLE_H
#define FX_REMOTE_TABLE_H

#include "proto/api.h"

#define FX_REMOTE_DECLARATIONS
#include "remote.h"
#undef FX_REMOTE_DECLARATIONS

extern const struct fx_api fx_remote_table;
extern const struct fx_api fx_custom_table;

#endif
