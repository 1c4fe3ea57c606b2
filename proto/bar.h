/* SPDX-License-Identifier: Apache-2.0 */
/* A progress bar on stderr, if that is a terminal; otherwise nothing is printed.  For the command
 * lines; one at a time, one thread. */
#ifndef FX_BAR_H
#define FX_BAR_H

#include <stdint.h>

/* Begins a bar; `what` has to stay.  total 0: not known, so only the bytes are shown. */
void fx_bar_begin(const char *what, uint64_t total);
/* So many bytes more. */
void fx_bar_add(uint64_t bytes);
/* Removes the bar. */
void fx_bar_end(void);

/* Writes bytes as "1.5 MiB".  Returns `text`, which has 32 bytes. */
const char *fx_bar_size(uint64_t bytes, char *text);

#endif
