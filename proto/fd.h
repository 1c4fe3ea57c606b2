/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that a library opens in another's process.
 *
 * A program that runs with its standard files closed prints into whatever gets their numbers, so
 * nothing that is opened here may be 0, 1 or 2.  No state; any thread.
 */
#ifndef FX_FD_H
#define FX_FD_H

/* Move `fd` to a number above 2, unless it has one.  Returns the descriptor to use instead of `fd`,
 * close-on-exec if it was moved; -1 and errno when `fd` is -1 or no number is free. */
int fx_fd_high(int fd);

#endif
