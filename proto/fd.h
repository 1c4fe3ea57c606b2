/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that a library opens in somebody else's process.
 *
 * A program that runs with its standard files closed prints into whatever has their numbers, so
 * what is opened here must never be 0, 1 or 2.
 */
#ifndef FX_FD_H
#define FX_FD_H

/* Move `fd` to a number above 2 if it is not there already.  Takes it, and returns the
 * descriptor to use, close-on-exec where it had to be moved; -1 and errno when `fd` is -1 or there
 * is no other number. */
int fx_fd_high(int fd);

#endif
