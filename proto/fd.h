/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that a library opens in somebody else's process.
 *
 * If a program runs with its standard files closed, the next descriptors opened get their numbers,
 * and the program would print into them.  So none that is opened here may be 0, 1 or 2.  No state;
 * any thread.
 */
#ifndef FX_FD_H
#define FX_FD_H

/* Move `fd` to a number above 2, unless it is above 2 already.  Returns the descriptor to use
 * instead of `fd` (close-on-exec if it was moved), or -1 with errno if `fd` is -1 or no number is
 * free. */
int fx_fd_high(int fd);

#endif
