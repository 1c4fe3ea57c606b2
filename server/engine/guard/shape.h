/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an index is made of, as a text: one word for each index that FAISS would write into
 * its file, outermost first.  A word is FAISS's own four letters for the class, the metric,
 * and the type of a scalar or additive quantizer:
 *
 *     IVF8,SQ8 with L1 behind an IDMap       IxMp:2 IwSq:2:0 IxFl:2
 *
 * The C API tells only some classes, and nothing of what is within a refined index or a
 * graph.  So the index is written to a stream that keeps nothing but these words; vectors
 * pass by as pointers, and are not copied.  What FAISS cannot write is named by its C++
 * class, without its parts: shards and replicas, for one.
 */
#ifndef FXE_SHAPE_H
#define FXE_SHAPE_H

#include <stddef.h>

#include "proto/api.h"

enum { FXE_SHAPE_MAX = 480 };

/* The shape of `index`, an Index or (binary) an IndexBinary.  Nobody may change the index
 * meanwhile. */
void fxe_shape_text(const struct fx_api *api, void *index, int binary, char text[FXE_SHAPE_MAX]);

#endif
