/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of libsodium that CURVE needs, looked up when it is first used.
 *
 * libfaissx_c.so is not linked with libsodium: a program that does not use CURVE runs without it,
 * and gets no further library.  The server and the command line are linked with it, so there it is
 * always found.
 *
 * Any thread.  The table is written once and never changed.
 */
#ifndef FX_SODIUM_H
#define FX_SODIUM_H

#include <stddef.h>
#include <stdint.h>

struct fx_sodium {
    void (*random)(void *to, size_t n);
    int (*keypair)(uint8_t *public_key, uint8_t *secret_key);
    int (*public_of)(uint8_t *public_key, const uint8_t *secret_key);
    int (*shared)(uint8_t *key, const uint8_t *public_key, const uint8_t *secret_key);
    int (*box)(uint8_t *to, const uint8_t *data, unsigned long long n, const uint8_t *nonce,
               const uint8_t *key);
    int (*unbox)(uint8_t *to, const uint8_t *box, unsigned long long n, const uint8_t *nonce,
                 const uint8_t *key);
    int (*subkey)(uint8_t *to, const uint8_t *nonce, const uint8_t *key, const uint8_t *constant);
    int (*stream)(uint8_t *to, const uint8_t *data, unsigned long long n, const uint8_t *nonce,
                  uint64_t block, const uint8_t *key);
    int (*mac_init)(void *state, const uint8_t *key);
    int (*mac_update)(void *state, const uint8_t *data, unsigned long long n);
    int (*mac_final)(void *state, uint8_t *mac);
};

/* Returns the table, or NULL if libsodium cannot be loaded; then fx_sodium_why() says why. */
const struct fx_sodium *fx_sodium(void);
const char *fx_sodium_why(void);

#endif
