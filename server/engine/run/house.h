/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The housekeeper: the main thread of an engine, which never runs FAISS.  It takes connections from
 * the front and ends sessions whose lease is over.  While requests are under way it also looks
 * after connections every TICK_MS, because all workers may be busy with FAISS.
 */
#ifndef FXE_HOUSE_H
#define FXE_HOUSE_H

/* Serves until the front is gone, or until it has asked for a stop and all requests are answered.
 * `link`: the socket to the front. */
void fxe_house_run(int link);

/* Wakes the housekeeper: it starts to tick, and looks again for when the next lease ends.  Any
 * thread, with or without engine.lock. */
void fxe_house_wake(void);

#endif
