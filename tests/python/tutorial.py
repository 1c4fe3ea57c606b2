# SPDX-License-Identifier: Apache-2.0
"""A program as FAISS's tutorials have them, unchanged: it knows nothing of servers."""
import numpy as np

d, nb, nq = 32, 2000, 5
np.random.seed(1234)
xb = np.random.random((nb, d)).astype('float32')
xb[:, 0] += np.arange(nb) / 1000.
xq = np.random.random((nq, d)).astype('float32')

import faiss                   # noqa: E402
index = faiss.IndexFlatL2(d)
print(index.is_trained)
index.add(xb)
print(index.ntotal)
D, I = index.search(xb[:5], 4)
print(I)
print(D)

quantizer = faiss.IndexFlatL2(d)
index = faiss.IndexIVFFlat(quantizer, d, 20, faiss.METRIC_L2)
assert not index.is_trained
index.train(xb)
assert index.is_trained
index.add(xb)
index.nprobe = 10
D, I = index.search(xq, 4)
print(I[-5:])

index = faiss.IndexIVFPQ(faiss.IndexFlatL2(d), d, 20, 8, 4)
index.train(xb)
index.add(xb)
index.nprobe = 10
print(index.search(xq, 4)[1])
