/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client notes of each of its operations, in a file of its own that survives its death: what
 * it is going to do, and afterwards what it was told.  The driver compares these with what the
 * server has.
 */
#ifndef TORTURE_JOURNAL_H
#define TORTURE_JOURNAL_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    CLIENTS_MAX = 32,
    SHARED_INDEXES = 3, /* shared-0, shared-1, ... */
    NAME_SIZE = 24,
    TEXT_SIZE = 228,
    IDS_MAX = 4096,    /* of one entry */
    COUNTER_BITS = 26, /* an id is the number of its client, and a counter of that client */
};

enum entry_kind {
    BEGIN = 1, /* `ids`: to add or to remove; none for what concerns the whole index */
    END,       /* of the operation with the same number */
    SEEN,      /* `ids`: a read that began at `began_ns` has shown these */
    MISSED     /* `ids`: a read has asked for these, and they were not there */
};

enum operation { ADD = 1, REMOVE, RESET, TRAIN, PUBLISH, UNPUBLISH };

enum outcome {
    UNKNOWN, /* also: no END */
    MADE,    /* acknowledged */
    REFUSED  /* the change was certainly not made */
};

struct entry {
    uint32_t size; /* of the whole entry, with the ids */
    uint32_t kind, operation, outcome;
    uint64_t number;         /* of the operation, 1, 2, 3, ... within a client */
    int64_t at_ns, began_ns; /* monotonic */
    int64_t value;           /* what a removal has returned; -1: not known */
    uint32_t n;              /* ids */
    char index[NAME_SIZE];
    char text[TEXT_SIZE]; /* of an error */
    uint32_t ids[];
};
_Static_assert(sizeof(struct entry) == offsetof(struct entry, ids), "the ids follow at once");

static inline int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Writes an entry at once.  Ends the process if it cannot: nothing may be done that is not noted.
 */
void journal_write(int fd, const struct entry *head, const uint32_t *ids);

/* Opens a client's journal to append to it, and cuts off an entry that is not complete. */
int journal_open(const char *dir, int client);

/* Calls f for each complete entry from *offset on, and advances *offset.  Returns -1 if there is no
 * such file. */
int journal_read(const char *dir, int client, size_t *offset,
                 void (*f)(void *ctx, const struct entry *e), void *ctx);

#endif
