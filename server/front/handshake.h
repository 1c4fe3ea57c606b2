/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's ZMTP handshake: from the greeting to READY, or under CURVE to INITIATE.
 *
 * Used by the front's only thread.
 */
#ifndef FXS_HANDSHAKE_H
#define FXS_HANDSHAKE_H

#include "proto/zmtp.h"
#include "server/front/state.h"

/* Sends what can be sent before the client has sent anything. */
void fxs_handshake_begin(const struct fxs_front *f, const struct fxs_guest *g);
/* The client's greeting, as far as it has come.  Returns false if more is needed, or the guest was
 * refused. */
bool fxs_handshake_greeting(struct fxs_front *f, struct fxs_guest *g);
/* A command of the handshake with CURVE, which is in the buffer and is consumed.  Returns false if
 * the guest was closed or refused. */
bool fxs_handshake_curve(struct fxs_front *f, struct fxs_guest *g, const struct fx_zmtp_head *h);
/* A client's READY, or the metadata that it sent under CURVE.  Returns false if it was refused. */
bool fxs_handshake_metadata(struct fxs_front *f, struct fxs_guest *g, const uint8_t *p, size_t n);
/* Refuses with a ZMTP ERROR command, because no message can be answered yet. */
void fxs_handshake_refuse(struct fxs_front *f, struct fxs_guest *g, const char *why);

#endif
