/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command line options.
 *
 * The table in options.c describes each option once: its name, its value, its help, its environment
 * variable, and whether engines get it, too.  The front passes those options to the engines that it
 * starts, and an engine parses them with the same code.  To add an option, add an entry there and a
 * member here.
 *
 * main fills struct fxs_options once; it is read-only afterwards.  Its strings point into argv and
 * the environment.
 */
#ifndef FXS_OPTIONS_H
#define FXS_OPTIONS_H

#include <stdio.h>

#include "proto/limits.h"
#include "server/log.h"

enum { FXS_BINDS_MAX = 16, FXS_OPTIONS_MAX = 40, FXS_LIBRARY_MAX = 4096 };

/* In the order of the words of --coalesce. */
enum fxs_coalesce { FXS_COALESCE_EXACT, FXS_COALESCE_FAST, FXS_COALESCE_OFF };

/* In the order of the words of --keep. */
enum fxs_keep { FXS_KEEP_NAMED, FXS_KEEP_SESSIONS };

/* See --durability. */
enum fxs_durability_mode { FXS_ALWAYS, FXS_INTERVAL, FXS_SNAPSHOT };

struct fxs_options {
    const char *binds[FXS_BINDS_MAX];
    int nbinds;
    char default_bind[280]; /* binds[0] points here if there is no --bind */
    const char *bind_address;
    int port;
    int threads;         /* workers of each engine */
    const char *library; /* the real libfaiss_c; NULL: search for one */
    int coalesce;        /* enum fxs_coalesce */
    int lease;           /* seconds to keep a session without a connection */
    int idle;            /* seconds after which an engine that has nothing to lose ends; 0: never */
    int call_limit;      /* seconds after which a call's caller gets an error; 0: never */
    int max_pending;     /* MiB of a tenant's unanswered requests and unsent replies */
    int total_memory;    /* MiB for all engines together */
    int memory;          /* MiB for each engine; 0: what the others leave */
    int max_unauthenticated;
    struct {
        int k, d, vectors, message, reply; /* the last two: MiB */
    } faissx;                              /* limits for clients of FAISSx in Python */
    const char *data_dir;                  /* NULL: nothing is kept */
    int keep;                              /* enum fxs_keep */
    const char *durability_text;
    struct {
        enum fxs_durability_mode mode;
        int interval_ms;
    } durability;
    int snapshot_interval; /* seconds; 0: snapshots by size only */
    int log_level;         /* enum fxs_level */
    const char *auth_file, *auth_keys;
    int enable_auth;
    const char *curve_secret_file, *curve_clients;
    int require_encryption;
    int insecure; /* do not warn of what is not encrypted */
    int help;

    /* Internal options, from the front to an engine. */
    int link; /* descriptor of the socket to the front */
    const char *tenant;
    const char *near;      /* the front's Unix socket for clients on this host, or "" */
    const char *store_dir; /* where the tenant's indexes are kept, or "" */
    const char *previous;  /* how the engine before this one ended, or "" */
};

/* Parse argv[1..] of `faissx-server run` or of an engine.  Return 0; or print what is wrong to
 * stderr and return -1. */
int fxs_options_run(struct fxs_options *o, int argc, char **argv);
int fxs_options_engine(struct fxs_options *o, int argc, char **argv);

/* Fills argv for an engine with these options, ended by NULL.  It points into `text` and `o`. */
struct fxs_arguments {
    const char *argv[2 * FXS_OPTIONS_MAX + 3];
    char text[FXS_OPTIONS_MAX][48];
};
void fxs_options_argv(const struct fxs_options *o, struct fxs_arguments *a);

void fxs_options_help(FILE *f);

#endif
