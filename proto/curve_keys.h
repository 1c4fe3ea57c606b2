/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long-term CURVE keys as text (Z85, https://rfc.zeromq.org/spec/32/, 40 characters) and in files.
 *
 * The file of a secret key has the key in its first line that is neither empty nor a comment ("#
 * "). It is refused if other users can read it.  No state; any thread.
 */
#ifndef FX_CURVE_KEYS_H
#define FX_CURVE_KEYS_H

#include "proto/curve_shake.h"

enum { FX_CURVE_TEXT = 40 }; /* characters of a key as text, without NUL */

void fx_curve_key_text(const uint8_t key[FX_CURVE_KEY], char text[FX_CURVE_TEXT + 1]);
/* The key that n characters are the text of.  Returns 0, or -1 if they are not a key. */
int fx_curve_key_parse(const char *text, size_t n, uint8_t key[FX_CURVE_KEY]);

/* Load libsodium, and the own keys of *k from the file of a secret key.  `path` NULL: make new
 * ones. Returns 0, or -1 and the reason. */
int fx_curve_keys_load(struct fx_curve_keys *k, const char *path, char *why, size_t len);

/* The keys of a client from its settings FAISSX_CURVE_SERVER_KEY and FAISSX_CURVE_KEY_FILE, each
 * NULL or "" if it is not set.  Returns 1; 0 if CURVE is not asked for; or -1 and the reason, which
 * names the setting. */
int fx_curve_keys_configure(struct fx_curve_keys *k, const char *server_key, const char *key_file,
                            char *why, size_t len);

#endif
