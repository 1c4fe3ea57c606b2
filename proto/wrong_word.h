/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FX_WRONG_WORD_H
#define FX_WRONG_WORD_H

#include <getopt.h>

/*
 * Returns the word of the command line about which getopt_long() has just returned an error.
 * `before` is optind from before that call.  It is usually the word before optind; but getopt does
 * not go past a word of short options, such as -port, before it has read the last of them, and
 * what is before optind is then an earlier option, or an operand that getopt has skipped.
 */
static inline const char *fx_wrong_word(char *const *argv, int before)
{
    const char *word = argv[optind - 1];
    return optind > before && word[0] == '-' && word[1] ? word : argv[optind];
}

#endif
