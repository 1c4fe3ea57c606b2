/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/sodium.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static struct fx_sodium table;
static const struct fx_sodium *loaded;
static char why[300];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const struct {
        const char *name;
        size_t at;
    } functions[] = {
        {"randombytes_buf", offsetof(struct fx_sodium, random)},
        {"crypto_box_keypair", offsetof(struct fx_sodium, keypair)},
        {"crypto_scalarmult_base", offsetof(struct fx_sodium, public_of)},
        {"crypto_box_beforenm", offsetof(struct fx_sodium, shared)},
        {"crypto_box_easy_afternm", offsetof(struct fx_sodium, box)},
        {"crypto_box_open_easy_afternm", offsetof(struct fx_sodium, unbox)},
        {"crypto_core_hsalsa20", offsetof(struct fx_sodium, subkey)},
        {"crypto_stream_salsa20_xor_ic", offsetof(struct fx_sodium, stream)},
        {"crypto_onetimeauth_poly1305_init", offsetof(struct fx_sodium, mac_init)},
        {"crypto_onetimeauth_poly1305_update", offsetof(struct fx_sodium, mac_update)},
        {"crypto_onetimeauth_poly1305_final", offsetof(struct fx_sodium, mac_final)},
    };
    /* Names of the library since 1.0.4; 26 is that of 1.0.19 and later. */
    static const char *const names[] = {"libsodium.so.23", "libsodium.so.26"};
    void *library = NULL;
    int (*init)(void);
    for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(why, sizeof why, "CURVE needs libsodium (Debian's package libsodium23): %.200s",
                 dlerror());
        return;
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *f = dlsym(library, functions[i].name);
        if (!f) {
            snprintf(why, sizeof why, "CURVE needs libsodium: it lacks %s", functions[i].name);
            return;
        }
        *(void **)((char *)&table + functions[i].at) = f;
    }
    *(void **)&init = dlsym(library, "sodium_init");
    if (!init || init() < 0) {
        snprintf(why, sizeof why, "CURVE needs libsodium: sodium_init() has failed");
        return;
    }
    loaded = &table;
}

const struct fx_sodium *fx_sodium(void)
{
    pthread_once(&once, load);
    return loaded;
}

const char *fx_sodium_why(void)
{
    return why;
}
