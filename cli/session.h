/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of a session, with arrays, for the commands that move whole indexes. */
#ifndef FX_CLI_SESSION_H
#define FX_CLI_SESSION_H

#include "cli.h"

struct cli_session;

/* Connects and begins a session.  Returns NULL after a message. */
struct cli_session *cli_session_open(const struct cli_server *s);
/* Says bye and closes; NULL is ignored. */
void cli_session_close(struct cli_session *c);

/* A request.  cli_begin packs the keys that all have, and leaves room for n more, which the caller
 * packs; then cli_call sends it with a payload frame (data NULL: none). */
msgpack_packer cli_begin(struct cli_session *c, const char *operation, uint32_t n);
/* Returns 0; 1 if the server refused, with its text in cli_error; or -1 if the connection failed.
 * The reply is c's until the next call. */
int cli_call(struct cli_session *c, const void *data, size_t size);
const char *cli_error(const struct cli_session *c);
const struct fx_header *cli_reply(const struct cli_session *c);
/* The reply's payload frame. */
const void *cli_payload(const struct cli_session *c, size_t *size);

#endif
