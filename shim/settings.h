/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers that the environment sets: FAISSX_TIMEOUT, FAISSX_SPIN, FAISSX_JOIN and
 * FAISSX_VERBOSE.
 *
 * A library must not print or end its program because of a bad setting, nor guess what was meant:
 * every call that needs the server then fails, with a text that names the variable.
 *
 * Any thread may call any of these.
 */
#ifndef FX_SETTINGS_H
#define FX_SETTINGS_H

#include <stdint.h>

/* Read them (again): when a server is configured. */
void fx_settings_read(void);

/* 0, or -4 and the error set when one of them makes no sense. */
int fx_settings_check(void);

/* Milliseconds that a call may take. */
int64_t fx_settings_timeout_ms(void);

/* Is what FAISS prints on the server to appear on this process's stderr? */
int fx_settings_verbose(void);

#endif
