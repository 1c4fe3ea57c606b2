/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/curve_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/sodium.h"

enum { FILE_MAX = 4096 };

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             ".-:+=^!/*?&<>()[]{}@%$#";

void fx_curve_key_text(const uint8_t key[FX_CURVE_KEY], char text[FX_CURVE_TEXT + 1])
{
    for (int i = 0; i < FX_CURVE_KEY / 4; i++) {
        const uint8_t *p = key + 4 * i;
        uint32_t v = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        for (int j = 4; j >= 0; j--, v /= 85)
            text[5 * i + j] = digits[v % 85];
    }
    text[FX_CURVE_TEXT] = '\0';
}

int fx_curve_key_parse(const char *text, size_t n, uint8_t key[FX_CURVE_KEY])
{
    if (n != FX_CURVE_TEXT)
        return -1;
    for (int i = 0; i < FX_CURVE_KEY / 4; i++) {
        uint64_t v = 0;
        for (int j = 0; j < 5; j++) {
            const char *at = text[5 * i + j] ? strchr(digits, text[5 * i + j]) : NULL;
            if (!at)
                return -1;
            v = 85 * v + (uint64_t)(at - digits);
        }
        if (v > UINT32_MAX)
            return -1;
        for (int j = 0; j < 4; j++)
            key[4 * i + j] = (uint8_t)(v >> (24 - 8 * j));
    }
    return 0;
}

/* Reads the file if only its owner, and perhaps a group, can read it.  Returns its size, or -1 and
 * the reason. */
static ssize_t read_secret(const char *path, char text[FILE_MAX], char *why, size_t len)
{
    struct stat st;
    size_t size = 0;
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(why, len, "cannot open it: %s", strerror(errno));
    } else if (S_ISREG(st.st_mode) && st.st_mode & (S_IRWXO | S_IWGRP)) {
        snprintf(why, len,
                 "other users may read or change it (mode %03o); make that impossible: chmod 600",
                 (unsigned)st.st_mode & 0777);
    } else if (st.st_uid != 0 && st.st_uid != geteuid()) {
        snprintf(why, len, "it belongs to another user (%u)", (unsigned)st.st_uid);
    } else {
        while (size < FILE_MAX && (n = read(fd, text + size, FILE_MAX - size)) > 0)
            size += (size_t)n;
        if (n < 0)
            snprintf(why, len, "cannot read it: %s", strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    return n < 0 ? -1 : (ssize_t)size;
}

int fx_curve_keys_load(struct fx_curve_keys *k, const char *path, char *why, size_t len)
{
    char text[FILE_MAX];
    int found = -1;
    if (!fx_sodium()) {
        snprintf(why, len, "%s", fx_sodium_why());
        return -1;
    }
    if (!path) {
        fx_sodium()->keypair(k->own_public, k->own_secret);
        return 0;
    }
    ssize_t size = read_secret(path, text, why, len);
    if (size < 0)
        return -1;
    for (const char *p = text, *end = text + size; p < end;) {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((line ? line : end) - p);
        while (n && (p[n - 1] == '\r' || p[n - 1] == ' '))
            n--;
        if (n && !(p[0] == '#' && (n == 1 || p[1] == ' '))) {
            found = fx_curve_key_parse(p, n, k->own_secret);
            break;
        }
        p = line ? line + 1 : end;
    }
    fx_curve_forget(text, sizeof text);
    if (found == 0)
        found = fx_sodium()->public_of(k->own_public, k->own_secret);
    if (found != 0)
        snprintf(why, len,
                 "it does not have a secret key of %d characters, as `faissx keygen "
                 "--curve` writes",
                 FX_CURVE_TEXT);
    return found;
}

int fx_curve_keys_configure(struct fx_curve_keys *k, const char *server_key, const char *key_file,
                            char *why, size_t len)
{
    char reason[300];
    if (key_file && !*key_file)
        key_file = NULL;
    if (!server_key || !*server_key) {
        if (!key_file)
            return 0;
        snprintf(why, len,
                 "FAISSX_CURVE_KEY_FILE is set, but FAISSX_CURVE_SERVER_KEY is not: without the "
                 "server's public key nothing can be encrypted");
        return -1;
    }
    if (fx_curve_key_parse(server_key, strlen(server_key), k->server) != 0) {
        snprintf(
            why, len,
            "FAISSX_CURVE_SERVER_KEY (%zu characters) must be a public CURVE key, which has %d "
            "characters and is in the file FILE.pub that faissx keygen has made",
            strlen(server_key), FX_CURVE_TEXT); /* it could be the secret key */
        return -1;
    }
    if (fx_curve_keys_load(k, key_file, reason, sizeof reason) == 0)
        return 1;
    if (key_file)
        snprintf(why, len, "FAISSX_CURVE_KEY_FILE is '%.80s': %s", key_file, reason);
    else
        snprintf(why, len, "FAISSX_CURVE_SERVER_KEY is set, but %s", reason);
    return -1;
}
