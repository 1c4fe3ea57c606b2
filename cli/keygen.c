/* SPDX-License-Identifier: Apache-2.0 */
/* faissx keygen: makes a pair of CURVE keys. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "proto/curve_keys.h"

/* Writes a new file, which is on disk when this returns.  Returns 0, or -1 after a message. */
static int write_new(const char *path, mode_t mode, const char *text)
{
    size_t n = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        fprintf(stderr, "faissx keygen: cannot create '%s': %s\n", path,
                errno == EEXIST ? "it exists; a key is never overwritten" : strerror(errno));
        return -1;
    }
    int rc = fchmod(fd, mode) == 0 && write(fd, text, n) == (ssize_t)n && fsync(fd) == 0 ? 0 : -1;
    if (rc != 0) {
        fprintf(stderr, "faissx keygen: cannot write '%s': %s\n", path, strerror(errno));
        unlink(path);
    }
    close(fd);
    return rc;
}

static int keygen(const struct cli_server *s, char **operands)
{
    struct fx_curve_keys keys;
    char key[FX_CURVE_TEXT + 1], text[256], why[300], *public_file = NULL;
    int status = CLI_FAILED;
    if (!s->curve) {
        fputs("faissx keygen: say what kind of key: --curve\n", stderr);
        return CLI_USAGE;
    }
    if (fx_curve_keys_load(&keys, NULL, why, sizeof why) != 0) {
        fprintf(stderr, "faissx keygen: %s\n", why);
        return CLI_FAILED;
    }
    if (asprintf(&public_file, "%s.pub", operands[0]) < 0) {
        fputs("faissx keygen: out of memory\n", stderr);
        fx_curve_forget(&keys, sizeof keys);
        return CLI_FAILED;
    }
    fx_curve_key_text(keys.own_secret, key);
    snprintf(text, sizeof text, "# CURVE secret key: keep it to yourself.\n%s\n", key);
    int rc = write_new(operands[0], 0600, text);
    fx_curve_forget(text, sizeof text);
    fx_curve_key_text(keys.own_public, key);
    snprintf(text, sizeof text, "%s\n", key);
    if (rc == 0 && write_new(public_file, 0644, text) == 0) {
        puts(key);
        status = CLI_OK;
    } else if (rc == 0) {
        unlink(operands[0]); /* no pair without its public key */
    }
    fx_curve_forget(&keys, sizeof keys);
    free(public_file);
    return status;
}

const struct cli_command cli_keygen = {
    "keygen",
    "FILE",
    1,
    1,
    "make a pair of keys",
    "Makes a pair of CURVE keys, for a server's --curve-secret-file or for a client. Writes\n"
    "the secret key to FILE, which only its owner can read, and the public key to FILE.pub,\n"
    "and prints the public key. Files that exist are not overwritten.\n",
    keygen};
