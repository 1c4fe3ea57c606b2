/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens the socket for a ZeroMQ endpoint.  The caller owns the descriptor.  No state; any thread.
 */
#ifndef FX_CONNECT_H
#define FX_CONNECT_H

#include <stddef.h>
#include <stdint.h>

/* Wait until fd has one of the poll() events or an error, or the deadline passes.  Returns 1, 0 if
 * the deadline passed, or -1 with errno. */
int fx_wait_fd(int fd, short events, int64_t deadline);

/* Connect to tcp://HOST:PORT or ipc://PATH.  Returns a non-blocking, close-on-exec
 * descriptor, or -1 and a text that names the endpoint in err. */
int fx_connect(const char *endpoint, int64_t deadline, char *err, size_t errlen);

#endif
