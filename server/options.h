/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `faissx-server run`, and what it means.
 *
 * Filled once by main, read-only then.  Strings point into argv and the environment.
 */
#ifndef FX_OPTIONS_H
#define FX_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "front/auth.h"
#include "log.h"

#ifndef FAISSX_VERSION
#define FAISSX_VERSION "0.1.0"
#endif

enum { FXS_BINDS_MAX = 16 };

struct fxs_options {
    const char *binds[FXS_BINDS_MAX];
    int nbinds;
    char default_bind[64]; /* what binds[0] points to without --bind */
    int threads;           /* workers of each engine */
    enum fxs_level level;
    struct fxs_auth *auth;   /* NULL: no authentication */
    const char *coalesce;    /* exact, fast or off */
    int64_t lease;           /* milliseconds */
    long call_limit;         /* seconds; 0: none */
    long total_memory;       /* MiB of all engines */
    long memory;             /* MiB of each; 0: what the others leave */
    long max_pending;        /* MiB of a tenant's requests and replies on their way */
    int max_unauthenticated; /* connections without a key */
    const char *wanted;      /* --library */
    char library[4096];      /* the libfaiss_c that was found; filled by main */
};

enum fxs_parsed { FXS_RUN, FXS_HELP, FXS_WRONG };

/* Parse argv[1..] of `run`.  FXS_WRONG: why has been printed to stderr. */
enum fxs_parsed fxs_options_parse(struct fxs_options *o, int argc, char **argv);
void fxs_options_free(struct fxs_options *o);

/* The text of --help. */
const char *fxs_options_help(void);

#endif
