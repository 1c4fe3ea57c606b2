/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings from the environment: FAISSX_TIMEOUT, FAISSX_CONNECT_TIMEOUT, FAISSX_RETRIES,
 * FAISSX_SPIN, FAISSX_JOIN and FAISSX_VERBOSE, and for CURVE FAISSX_CURVE_SERVER_KEY and
 * FAISSX_CURVE_KEY_FILE.  FAISSX_PATH_MAP is checked here and used by files/named.c.
 *
 * When one of them has a bad value, a library must not print, end the program, or guess what was
 * meant.  So every call that needs the server fails, with a text that names the variable.
 *
 * The values belong to this module; any thread may call any of these functions.
 */
#ifndef FX_SETTINGS_H
#define FX_SETTINGS_H

#include <stdint.h>

/* Read the environment; again each time a server is configured. */
void fx_settings_read(void);

/* In the child of a fork, which may have happened while another thread was reading them. */
void fx_settings_after_fork(void);

/* Returns 0, or -1 with the error set when one of them has a bad value. */
int fx_settings_check(void);

/* Is the connection to the server to be encrypted?  Returns 1 and a copy of the keys, which the
 * caller wipes; 0 if not; or -1 if it is, but its settings are bad. */
struct fx_curve_keys;
int fx_settings_curve(struct fx_curve_keys *keys);

/* How many milliseconds a call may take. */
int64_t fx_settings_timeout_ms(void);

/* How many milliseconds one attempt to connect may take, with the handshake and hello. */
int64_t fx_settings_connect_ms(void);

/* How often one call may reconnect. */
int fx_settings_retries(void);

/* Should what FAISS prints on the server appear on this process's stderr? */
int fx_settings_verbose(void);

#endif
