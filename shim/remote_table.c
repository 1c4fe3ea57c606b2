/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/remote_table.h"

#include "shim/calls/call.h"

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
