/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main thread of an engine, which never runs FAISS: it takes connections from the front, ends
 * sessions whose lease is over, and looks after connections while the workers cannot: every
 * TICK_MS, as long as requests are under way.
 */
#ifndef FXE_HOUSE_H
#define FXE_HOUSE_H

/* Serve until the front is gone or a stop has been asked for and all is answered.  `link`: the
 * descriptor of the front's socket. */
void fxe_house_run(int link);

/* There is something new to wait for.  Any thread. */
void fxe_house_wake(void);

#endif
