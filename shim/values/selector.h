/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IDSelectors as arguments of calls.  See values.h for ownership and threads.
 */
#ifndef FX_SELECTOR_H
#define FX_SELECTOR_H

#include <msgpack.h>

struct fx_payload;

/* Pack a selector, or NULL; `depth` is how deep in other values it is.  Returns 0, or -1 with the
 * error set. */
int fx_selector_pack(msgpack_packer *pk, struct fx_payload *payload, const void *handle,
                     const char *function, int depth);

#endif
