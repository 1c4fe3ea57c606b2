/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of faissx, each its own main(), and what they share. */
#ifndef FX_CLI_H
#define FX_CLI_H

#include "proto/wire.h"

#define FX_DEFAULT_SERVER "tcp://127.0.0.1:45678"

int cli_run(int argc, char **argv);
int cli_stats(int argc, char **argv);
int cli_health(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_rm(int argc, char **argv);

/* --server, --api-key and --tenant, with FAISSX_SERVER, FAISSX_API_KEY and
 * FAISSX_TENANT_ID as defaults. */
struct cli_server {
    const char *server, *key, *tenant;
    int verbose; /* for `faissx run` */
};

/* Read the common options.  Returns the index of the first other argument, or -1 after a
 * message; on --help prints `help` and ends the program. */
int cli_options(int argc, char **argv, struct cli_server *s, const char *help);

/* One operation without a session; `name` may be NULL.  Returns 0 and the reply's header (`buf`
 * holds its bytes; free both), or -1 after a message. */
int cli_ask(const struct cli_server *s, const char *operation, const char *name, uint64_t from,
            struct fx_header *reply, char **buf);

#define CLI_OPTIONS                                                                           \
    "  --server ADDRESS  tcp://HOST:PORT or ipc://PATH (FAISSX_SERVER, or " FX_DEFAULT_SERVER \
    ")\n"                                                                                     \
    "  --api-key KEY     (FAISSX_API_KEY)\n"                                                  \
    "  --tenant NAME     (FAISSX_TENANT_ID)\n"

#endif
