/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table through which every exported function jumps.
 *
 *     build/gen/entry.c   faiss_*: jumps through fx_entry, which holds one of these tables:
 *
 *     lazy      when the process starts: initialise, then call again     init.c
 *     local     the real library's own functions                         init.c
 *     remote    the stubs that the generator makes, see remote_table.h   remote_table.c
 *
 * fx_entry is read and written atomically, one pointer at a time: any thread may call an exported
 * function while another calls faissx_configure().
 *
 * Locks of the shim, in the order in which they are taken: that of an index's kept adds,
 * joins.lock, the session's, that of the lost session (session.c), threads.lock, objects.lock. None
 * is held while waiting for the network, with two exceptions: the session's, while a thread
 * connects and says hello, and that of an index's kept adds, while they are sent.
 */
#ifndef FX_INIT_H
#define FX_INIT_H

#include "proto/api.h"

extern struct fx_api fx_entry;

#endif
