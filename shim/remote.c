/* SPDX-License-Identifier: Apache-2.0 */
/* The table of remote mode: generated stubs, all of which end in fx_remote_call, and the
 * functions whose remote form is written by hand. */
#include "shim/remote_table.h"
#include "shim/shim.h"

#define FX_STUB_STORAGE static
#define FX_STUB(name) stub_##name
#define FX_STUB_CALL fx_remote_call
#include "stubs.h"

const struct fx_api fx_remote_table = {
#define FX_FN(name) .name = stub_##name,
#include "names.h"
#undef FX_FN
};

const struct fx_api fx_custom_table = {
#include "remote.h"
};
