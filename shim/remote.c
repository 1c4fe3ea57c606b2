/* SPDX-License-Identifier: Apache-2.0 */
/* The table of remote mode: generated stubs that end in fx_remote_call, and the
 * functions written by hand. */
#include "remote_table.h"
#include "shim.h"

#define FX_STUB_NO_CUSTOM
#define FX_STUB_STORAGE static
#define FX_STUB(name) stub_##name
#define FX_STUB_CALL fx_remote_call
#include "stubs.h"

const struct fx_api fx_remote_table = {
#include "remote.h"
};
