/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that are gone without a word while a reply is on its way to them.  (The kernel notices it
 * of others, by keepalive.)  One that lives and does not read keeps its connection, for as long as
 * it likes: its kernel answers.
 */
#ifndef FXE_PEERS_H
#define FXE_PEERS_H

#include <stdint.h>

struct fxe_conn;

/* Bytes of a reply have been given to the kernel.  Any thread. */
void fxe_peer_owes(struct fxe_conn *c);
/* The connection is about to end. */
void fxe_peer_forget(struct fxe_conn *c);

/* Ends the connections of clients that have acknowledged nothing for FX_TCP_DEAD_S.  Returns when
 * to look again, or INT64_MAX.  The caller holds no lock. */
int64_t fxe_peers_check(int64_t now);

#endif
