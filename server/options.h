/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server is told on its command line.
 *
 * options.c has one table, which describes each option once: its name, its value, its help, the
 * environment variable that stands in for it, and whether the engines are told it too.  The front
 * starts an engine with the same options, and the engine reads them with the same code.  One more
 * option is one more line there, and one more member here.
 *
 * Filled once by main, read-only then.  Strings point into argv and the environment.
 */
#ifndef FXS_OPTIONS_H
#define FXS_OPTIONS_H

#include <stdio.h>

#include "proto/limits.h"
#include "server/log.h"

enum { FXS_BINDS_MAX = 16, FXS_OPTIONS_MAX = 32, FXS_LIBRARY_MAX = 4096 };

/* In the order in which --coalesce names them. */
enum fxs_coalesce { FXS_COALESCE_EXACT, FXS_COALESCE_FAST, FXS_COALESCE_OFF };

struct fxs_options {
    const char *binds[FXS_BINDS_MAX];
    int nbinds;
    char default_bind[64]; /* what binds[0] points to without --bind */
    int port;
    int threads;         /* workers of each engine */
    const char *library; /* the real libfaiss_c, or NULL: look for one */
    int coalesce;        /* enum fxs_coalesce */
    int lease;           /* seconds that a session lives without a connection */
    int call_limit;      /* seconds after which a call's caller gets an error; 0: never */
    int max_pending;     /* MiB of a tenant's requests and replies on their way */
    int total_memory;    /* MiB of all engines */
    int memory;          /* MiB of each; 0: what the others leave */
    int max_unauthenticated;
    int log_level; /* enum fxs_level */
    const char *auth_file, *auth_keys;
    int enable_auth;
    int help;

    /* What the front tells an engine besides. */
    int link; /* descriptor of the socket to the front */
    const char *tenant;
    const char *near;     /* the front's endpoint for clients of this host, or "" */
    const char *previous; /* how the engine before this one ended, or "" */
};

/* Read argv[1..] of `faissx-server run`, or of an engine.  Returns 0, or -1 after printing to
 * stderr what is wrong. */
int fxs_options_run(struct fxs_options *o, int argc, char **argv);
int fxs_options_engine(struct fxs_options *o, int argc, char **argv);

/* argv for an engine with these options, ended by NULL; it points into `text` and `o`. */
struct fxs_arguments {
    const char *argv[2 * FXS_OPTIONS_MAX + 3];
    char text[FXS_OPTIONS_MAX][48];
};
void fxs_options_argv(const struct fxs_options *o, struct fxs_arguments *a);

void fxs_options_help(FILE *f);

#endif
