# SPDX-License-Identifier: Apache-2.0
"""Functions of FAISS's C API that return no error code: a lost server is an error all the same.

    lost.py PID     kills the server, and goes on when it has read a line, with another server at
                    the same place
"""
import os
import signal
import sys
import time

import faiss
import numpy as np

x = np.random.RandomState(1).rand(200, 8).astype("float32")
flat = faiss.IndexFlatL2(8)
flat.add(x)
ivf = faiss.index_factory(8, "IVF4,Flat")
ivf.train(x)
ivf.add(x)
ivf.nprobe = 3
pq = faiss.IndexPQ(8, 2, 4)
pca = faiss.PCAMatrix(8, 4)
pca.train(x)
empty = faiss.IndexFlatL2(8)
# 0 is not an error.
assert (flat.ntotal, ivf.nprobe, empty.ntotal, pca.apply(x).shape) == (200, 3, 0, (200, 4))


def fails(f):
    try:
        got = f()
    except RuntimeError as e:
        assert str(e).startswith("faissx: "), e
        return
    raise AssertionError(f"no error, but {got}")


def all_fail():
    fails(lambda: flat.ntotal)
    fails(lambda: ivf.ntotal)
    fails(lambda: ivf.nprobe)
    fails(lambda: setattr(ivf, "nprobe", 2))
    fails(lambda: ivf.is_trained)
    fails(lambda: ivf.imbalance_factor())
    fails(lambda: ivf.invlists)
    fails(lambda: hasattr(pq, "pq"))
    fails(lambda: setattr(pq, "polysemous_ht", 3))
    fails(lambda: setattr(pq, "search_type", 1))
    fails(lambda: pca.apply(x))
    fails(lambda: pca.reverse_transform(x[:, :4]))


os.kill(int(sys.argv[1]), signal.SIGKILL)
try:  # the engine ends a moment after the front, and answers until then
    for _ in range(600):
        assert flat.ntotal == 200
        time.sleep(0.1)
except RuntimeError:
    pass
all_fail()
fails(lambda: faiss.normalize_L2(x))
fails(lambda: faiss.pairwise_distances(x, x))
print("lost", flush=True)
sys.stdin.readline()
all_fail()
# What does not need the lost objects works, also after an error.
flat = faiss.IndexFlatL2(8)
fails(lambda: ivf.ntotal)
assert flat.ntotal == 0
faiss.normalize_L2(x)
assert np.allclose((x * x).sum(1), 1)
print("all calls have told")
