/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/settings.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/client/conn.h"
#include "proto/curve_keys.h"
#include "shim/calls/join.h"
#include "shim/error.h"
#include "shim/faissx.h"
#include "shim/files/named.h"

/* A number with up to `decimals` digits after the point; further ones are ignored.  Values are in
 * units of the last digit: with 3 decimals, "1.5" is 1500. */
struct setting {
    const char *name;
    const char *expected;
    int decimals;
    int64_t preset, min, max;
};

enum { TIMEOUT, CONNECT, RETRIES, SPIN, JOIN, VERBOSE, SETTINGS };

static const struct setting settings[SETTINGS] = {
    [TIMEOUT] = {"FAISSX_TIMEOUT", "a number of seconds from 0.001 to 1000000000", 3, 3600000, 1,
                 1000000000000},
    [CONNECT] = {"FAISSX_CONNECT_TIMEOUT", "a number of seconds from 0.001 to 1000000000", 3, 5000,
                 1, 1000000000000},
    [RETRIES] = {"FAISSX_RETRIES", "a number from 0 to 1000000", 0, 10, 0, 1000000},
    [SPIN] = {"FAISSX_SPIN", "a number of microseconds from 0 to 1000000", 0, 300, 0, 1000000},
    [JOIN] = {"FAISSX_JOIN", "a number of bytes from 0 to 1073741824", 0, 65536, 0, 1 << 30},
    [VERBOSE] = {"FAISSX_VERBOSE", "0 or 1", 0, 0, 0, 1},
};

static struct {
    pthread_mutex_t lock;
    int64_t timeout_ms; /* atomic */
    int64_t connect_ms; /* atomic */
    int retries;        /* atomic */
    int verbose;        /* atomic */
    int curve; /* 1: CURVE is asked for, with `keys`; -1: with bad settings; 0: it is not */
    struct fx_curve_keys keys;
    int bad;       /* atomic */
    char why[400]; /* about the first one that is bad */
} current = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .timeout_ms = 3600000, .connect_ms = 5000, .retries = 10};

/* Not strtod(), whose decimal point depends on the program's locale. */
static int parse_number(const struct setting *s, const char *text, int64_t *value)
{
    int decimals = -1; /* read so far; -1: before the point */
    const char *p = text;
    *value = 0;
    if (!*p || *p == '.')
        return -1;
    for (; *p; p++) {
        if (*p == '.' && decimals < 0 && s->decimals && p[1]) {
            decimals = 0;
        } else if (*p < '0' || *p > '9' || *value > s->max) {
            return -1;
        } else if (decimals < s->decimals) {
            *value = 10 * *value + (*p - '0');
            decimals += decimals >= 0;
        }
    }
    for (decimals = decimals < 0 ? 0 : decimals; decimals < s->decimals; decimals++)
        *value *= 10;
    return *value < s->min || *value > s->max ? -1 : 0;
}

/* With current.lock. */
static int64_t read_setting(const struct setting *s)
{
    const char *text = secure_getenv(s->name);
    int64_t value;
    if (!text || !*text)
        return s->preset;
    if (parse_number(s, text, &value) == 0)
        return value;
    if (!current.why[0])
        snprintf(current.why, sizeof current.why, "%s is '%.60s', but must be %s", s->name, text,
                 s->expected);
    return s->preset;
}

/* With current.lock.  legacy.c uses the setting: a wrong one would leave the structures too large
 * for the program. */
static void check_abi(void)
{
    const char *abi = secure_getenv("FAISSX_ABI");
    if (abi && *abi && strcmp(abi, "legacy") != 0 && !current.why[0])
        snprintf(current.why, sizeof current.why, "FAISSX_ABI is '%.60s', but must be legacy", abi);
}

/* With current.lock. */
static int read_curve(void)
{
    char why[sizeof current.why];
    fx_curve_forget(&current.keys, sizeof current.keys);
    int rc = fx_curve_keys_configure(&current.keys, secure_getenv("FAISSX_CURVE_SERVER_KEY"),
                                     secure_getenv("FAISSX_CURVE_KEY_FILE"), why, sizeof why);
    if (rc < 0 && !current.why[0])
        memcpy(current.why, why, sizeof why);
    return rc;
}

void fx_settings_read(void)
{
    pthread_mutex_lock(&current.lock);
    current.why[0] = '\0';
    __atomic_store_n(&current.timeout_ms, read_setting(&settings[TIMEOUT]), __ATOMIC_RELAXED);
    __atomic_store_n(&current.connect_ms, read_setting(&settings[CONNECT]), __ATOMIC_RELAXED);
    __atomic_store_n(&current.retries, (int)read_setting(&settings[RETRIES]), __ATOMIC_RELAXED);
    __atomic_store_n(&current.verbose, (int)read_setting(&settings[VERBOSE]), __ATOMIC_RELAXED);
    fx_conn_spin_ns = read_setting(&settings[SPIN]) * 1000;
    fx_join_configure((size_t)read_setting(&settings[JOIN]));
    check_abi();
    if (!current.why[0])
        fx_named_check_map(current.why, sizeof current.why);
    current.curve = read_curve();
    __atomic_store_n(&current.bad, current.why[0] != '\0', __ATOMIC_RELEASE);
    pthread_mutex_unlock(&current.lock);
}

int fx_settings_check(void)
{
    char why[sizeof current.why];
    if (!__atomic_load_n(&current.bad, __ATOMIC_ACQUIRE))
        return 0;
    pthread_mutex_lock(&current.lock);
    memcpy(why, current.why, sizeof why);
    pthread_mutex_unlock(&current.lock);
    return fx_fail(FAISSX_E_CONFIG, "%s", why);
}

int fx_settings_curve(struct fx_curve_keys *keys)
{
    pthread_mutex_lock(&current.lock);
    int asked = current.curve;
    if (asked > 0)
        *keys = current.keys;
    pthread_mutex_unlock(&current.lock);
    return asked;
}

void fx_settings_after_fork(void)
{
    pthread_mutex_init(&current.lock, NULL);
}

int64_t fx_settings_timeout_ms(void)
{
    return __atomic_load_n(&current.timeout_ms, __ATOMIC_RELAXED);
}

int64_t fx_settings_connect_ms(void)
{
    return __atomic_load_n(&current.connect_ms, __ATOMIC_RELAXED);
}

int fx_settings_retries(void)
{
    return __atomic_load_n(&current.retries, __ATOMIC_RELAXED);
}

int fx_settings_verbose(void)
{
    return __atomic_load_n(&current.verbose, __ATOMIC_RELAXED);
}
