/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of numbers in msgpack.
 *
 * Clients of the FAISSx dialect send vectors as lists of lists of numbers, mostly doubles of nine
 * bytes each.  msgpack-c would make an object of 24 bytes of each; these functions read them
 * straight into arrays that FAISS takes.  Memory is at most four times (ids: eight times) what has
 * arrived, whatever counts a message claims.
 *
 * Functions that read: `*at` is where the value begins, and moves behind it; `end` is the end of
 * the message; `what` names the value in errors.  They return 0, or -1 with a text in `why`; then
 * *at stays.
 */
#ifndef FX_NUMBERS_H
#define FX_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <msgpack.h>

enum { FX_NUMBERS_WHY = 160 };

struct fx_rows {
    float *x; /* n rows of d; the caller frees it */
    size_t n, d;
    bool flat; /* it was a list of numbers, not of lists: one row */
};

/* Reads a list of numbers, or of lists of numbers that are equally long.  Integers and booleans are
 * numbers.  A number that float32 cannot have becomes the nearest one that it can, or infinity. */
int fx_rows_read(const uint8_t **at, const uint8_t *end, const char *what, struct fx_rows *rows,
                 char why[FX_NUMBERS_WHY]);

/* Reads a list of integers; fractions are cut off.  The caller frees *ids. */
int fx_ids_read(const uint8_t **at, const uint8_t *end, const char *what, int64_t **ids, size_t *n,
                char why[FX_NUMBERS_WHY]);

/* Append a list of n numbers.  They return 0, or -1 if there is no memory. */
int fx_floats_write(msgpack_sbuffer *to, const float *x, size_t n);
int fx_ids_write(msgpack_sbuffer *to, const int64_t *ids, size_t n);

#endif
