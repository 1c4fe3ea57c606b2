# SPDX-License-Identifier: Apache-2.0
"""A program that knows nothing of servers: it makes a few indexes and prints what they find."""
import numpy

import faiss

DIMENSIONS = 24
generator = numpy.random.RandomState(99)
stored = generator.standard_normal((1500, DIMENSIONS)).astype(numpy.float32)
asked = stored[::300] + numpy.float32(0.01)


def lists(kind, *more):
    return kind(faiss.IndexFlatL2(DIMENSIONS), DIMENSIONS, 12, *more)


for index in (faiss.IndexFlatL2(DIMENSIONS), lists(faiss.IndexIVFFlat),
              lists(faiss.IndexIVFPQ, 6, 4), faiss.index_factory(DIMENSIONS, "HNSW8")):
    name = type(index).__name__
    print(name, "needs training" if not index.is_trained else "is ready")
    if not index.is_trained:
        index.train(stored)
    index.add(stored)
    if hasattr(index, "nprobe"):
        index.nprobe = 5
    distances, labels = index.search(asked, 3)
    print(name, index.ntotal, labels.tolist(), distances.tolist())
