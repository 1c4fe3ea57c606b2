/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of faissx.  Each is a struct cli_command, listed in faissx.c.  The program has one
 * thread.
 */
#ifndef FX_CLI_H
#define FX_CLI_H

#include "proto/client/conn.h"
#include "proto/wire.h"

#define FX_DEFAULT_SERVER "tcp://127.0.0.1:45678"

/* Exit statuses.  `faissx run` exits with the program's own, or with 126 or 127 as a shell does. */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1, /* the server does not answer or refuses; a message says why */
    CLI_USAGE = 2,  /* the command line is wrong; a message says what */
    CLI_CANNOT_RUN = 126,
    CLI_NOT_FOUND = 127
};

/* How long to wait for a server, and for a call that may take as long as an index needs. */
enum { CLI_CONNECT_MS = 5000, CLI_CALL_MS = 3600 * 1000 };

/* The server and the credentials, from the options or else the environment. */
struct cli_server {
    const char *server, *key, *tenant;     /* key, tenant: NULL if not given */
    int verbose;                           /* of `faissx run` */
    int table, json;                       /* of `faissx list` */
    const char *curve_server, *curve_file; /* the server's public key, and the file of the own
                                              secret key; NULL if not given */
    int curve;                             /* of `faissx keygen` */
};

struct cli_command {
    const char *name;
    const char *operands; /* as the help writes them: "NAME..."; "" if there are none */
    int min, max;         /* number of operands; max < 0: no upper limit */
    const char *summary;  /* one line */
    const char *help;     /* what the command does, for its --help */
    /* Returns the exit status; `operands` ends with NULL. */
    int (*run)(const struct cli_server *s, char **operands);
};

extern const struct cli_command cli_run, cli_stats, cli_health, cli_list, cli_rm, cli_export,
    cli_import, cli_keygen;

/*
 * Parse the options of `command`, whose name is argv[0], into *s.  Returns the index in argv of the
 * first operand.  Exits after --help, or after an error message.
 */
int cli_options(const struct cli_command *command, int argc, char **argv, struct cli_server *s);

/* Connect to the server, under CURVE if its key is given.  Returns NULL after a message on stderr.
 */
struct fx_conn *cli_connect(const struct cli_server *s, int64_t deadline);

/*
 * Make a request that needs no session; `name` may be NULL.  Returns 0 and the reply's header,
 * whose strings point into *buf (the caller frees both), or -1 after a message on stderr.
 */
int cli_ask(const struct cli_server *s, const char *operation, const char *name, uint64_t from,
            struct fx_header *reply, char **buf);

#endif
