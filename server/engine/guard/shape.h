/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The structure of an index as text: one word for each index that FAISS would write to the
 * file, outermost first.  A word is FAISS's four letters for the class, the metric, and the
 * type of a scalar or additive quantizer:
 *
 *     IVF8,SQ8 with L1 behind an IDMap       IxMp:2 IwSq:2:0 IxFl:2
 *
 * A refined index with fewer vectors than the index in it has FXE_SHAPE_UNEVEN after its letters.
 *
 * The C API identifies only some classes and does not show what is inside a refined index or
 * a graph.  So the index is written to a stream that keeps only these words; vectors reach it
 * as pointers and are not copied.  An index that FAISS cannot write, such as shards or
 * replicas, is named by its C++ class, without its parts.
 */
#ifndef FXE_SHAPE_H
#define FXE_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/api.h"

enum { FXE_SHAPE_MAX = 480 };
#define FXE_SHAPE_UNEVEN "!"

/* Writes the shape of `index`, a FaissIndex or, if `binary`, a FaissIndexBinary, to `text`.  The
 * index must not change meanwhile. */
void fxe_shape_text(const struct fx_api *api, void *index, int binary, char text[FXE_SHAPE_MAX]);

/* Returns whether the shape has no other classes than the n words. */
bool fxe_shape_consists_of(const char *shape, const char *const words[], size_t n);

#endif
