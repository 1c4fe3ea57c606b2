/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transforms at the beginning of an IndexPreTransform's file, read while it is written:
 *
 *     "IxPT", the index's header, the number of transforms, the transforms, the index behind them
 *
 * A file may come from anybody, and some releases of FAISS use what they read as it is.  So the
 * transforms must fit together, and their vectors must have as many elements as are used.
 */
#ifndef FXE_CATALOGUE_TRANSFORMS_H
#define FXE_CATALOGUE_TRANSFORMS_H

#include <stdbool.h>
#include <stddef.h>

enum { FXE_CHAIN_MAX = 32, FXE_TRANSFORM_D_MAX = 1 << 20, FXE_TRANSFORMS_WHY = 200 };

struct fxe_chain_part {
    const char *type; /* FAISS's class */
    int d_in, d_out;
    bool trained;
    float power; /* of a PCAMatrix: of the eigenvalues; -0.5 is whitening */
};

struct fxe_transforms {
    int d, n; /* the index's d; how many there are */
    struct fxe_chain_part part[FXE_CHAIN_MAX];
    size_t begin, end; /* of the bytes */
    char why[FXE_TRANSFORMS_WHY];
};

enum fxe_transforms_state {
    FXE_TRANSFORMS_MORE, /* more bytes are needed */
    FXE_TRANSFORMS_COMPLETE,
    FXE_TRANSFORMS_WRONG /* `why` says what is wrong */
};

/* Reads the beginning of a file, of which there are so many bytes. */
enum fxe_transforms_state fxe_transforms_read(const unsigned char *data, size_t size,
                                              struct fxe_transforms *t);

#endif
