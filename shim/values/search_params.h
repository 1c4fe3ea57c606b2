/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SearchParameters as arguments of calls.  See values.h for ownership and threads.
 */
#ifndef FX_SEARCH_PARAMS_H
#define FX_SEARCH_PARAMS_H

#include <msgpack.h>

struct fx_payload;

/* cls: what the function takes.  Returns 0, or -1 with the error set. */
int fx_search_params_pack(msgpack_packer *pk, struct fx_payload *payload, const void *handle,
                          int cls, const char *function);

#endif
