/* SPDX-License-Identifier: Apache-2.0 */
/* What an index holds, as `client dump` writes it: a struct dump for each name, and its ids. */
#ifndef TORTURE_DUMP_H
#define TORTURE_DUMP_H

#include "journal.h"

enum { THERE, ABSENT, UNREADABLE };

struct dump {
    char index[NAME_SIZE];
    uint32_t state;   /* THERE, ... */
    uint32_t trained; /* faiss_Index_is_trained */
    int64_t ntotal;
    uint32_t wrong; /* results of searches and reconstructed vectors that are not what was added */
    uint32_t n;     /* ids, as often as the index has them */
    char text[TEXT_SIZE];
};

#endif
