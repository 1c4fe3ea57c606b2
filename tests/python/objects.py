# SPDX-License-Identifier: Apache-2.0
"""Objects that depend on others: who frees what, what is a copy, what cannot be shared; and that
numbers of the wrong type are not taken for others."""
import copy
import gc
import io
import os
import pickle
import time

import faiss
import numpy as np

import server


def raises(kind, f, *args):
    try:
        f(*args)
    except kind:
        return
    raise AssertionError(f"line {f.__code__.co_firstlineno}: no {kind.__name__}")


d = 8
x = faiss.rand((600, d), 1)

# An object that is no index has one owner.
sel = faiss.IDSelectorRange(0, 9)
for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
    for o in (sel, faiss.ParameterSpace(), faiss.PCAMatrix(d, 4), faiss.Clustering(d, 2),
              faiss.swig_ptr(x)):
        raises(TypeError, lambda: duplicate(o))
raises(TypeError, lambda: copy.deepcopy(faiss.SearchParametersIVF(sel=sel)))
assert sel.is_member(3)

# A quantizer lives as long as an index that has it.
q = faiss.IndexFlatL2(d)
a = faiss.IndexIVFFlat(q, d, 4)
raises(NotImplementedError, lambda: faiss.IndexIVFPQ(q, d, 4, 2, 4))  # each would train its own
a.train(x)
b = faiss.IndexIVFPQ(q, d, 4, 2, 4)
c = faiss.IndexIVFPQ(q, d, 4, 4, 4)
del b
a.add(x)
before = a.search(x[:5], 3)[1]
fill = [faiss.IndexFlatL2(d) for _ in range(50)]  # takes memory that was freed
c.train(x)
assert (a.search(x[:5], 3)[1] == before).all() and q.ntotal == 4
del a, c
assert q.ntotal == 4

# Two binary indexes that were given one quantizer have one each.
try:
    q = faiss.IndexBinaryFlat(64)
    q.add(np.arange(32, dtype="uint8").reshape(4, 8))
    a, b = (faiss.IndexBinaryIVF(q, 64, 4) for _ in range(2))
    assert b.quantizer is q and a.quantizer is a.quantizer and a.quantizer._h != q._h
    assert a.quantizer.ntotal == 4
    del a, b
except NotImplementedError:  # they can be made since 1.12.0
    assert tuple(int(v) for v in faiss.__version__.split(".")) < (1, 12, 0)

# Numbers of another type are refused.
for wrong in (x.astype("float16"), x.astype("float64"), (x * 9).astype("uint8"), x[:, :4],
              x.tolist(), None):
    raises((TypeError, AttributeError, ValueError), lambda: faiss.normalize_L2(wrong))
    raises(TypeError, lambda: faiss.fvec_norm_L2sqr(wrong, 4))
raises(TypeError, lambda: faiss.IDSelectorBatch(3, faiss.swig_ptr(np.arange(3, dtype="int32"))))
raises(TypeError, lambda: faiss.IDSelectorBatch(3, np.arange(2)))
for wrong in (np.ones(16, bool), np.arange(2), [3]):
    raises(TypeError, lambda: faiss.IDSelectorBitmap(wrong))
try:
    bitmap = faiss.IDSelectorBitmap(np.array([2], "uint8"))
    assert [bitmap.is_member(i) for i in range(3)] == [False, True, False]
except NotImplementedError:  # it came with 1.11.0
    pass
ids = np.arange(3)
assert faiss.IDSelectorBatch(3, faiss.swig_ptr(ids)).is_member(2)
flat = faiss.IndexFlatL2(d)
flat.add(x)
raises(TypeError, lambda: flat.compute_residual(x[0]))
raises(TypeError, lambda: flat.compute_residual(x[0], np.zeros(d), 0))
residual = np.ones(d, "float32")
flat.compute_residual(x[0], residual, 0)
assert (residual == 0).all()

# Search types of additive quantizers are FAISS's numbers.
for number in (3, 4, 5):
    assert faiss.IndexResidualQuantizer(d, 2, 4, faiss.METRIC_L2, number).rq.search_type == number
raises(NotImplementedError, lambda: faiss.IndexResidualQuantizer(d, 2, 4, faiss.METRIC_L2, 2))
raises(NotImplementedError,
       lambda: faiss.IndexResidualQuantizer(d, 2, 4, faiss.METRIC_INNER_PRODUCT, 0))
raises(NotImplementedError,
       lambda: faiss.IndexIVFPQR(faiss.IndexFlatL2(d), d, 4, 2, 4, 2, 8))

# Centroids that are given stay.
q = faiss.IndexFlatL2(d)
q.add(x[:4])
ivf = faiss.IndexIVFFlat(q, d, 4)
ivf.cp.niter = 3
ivf.train(x)
assert (ivf.quantizer.reconstruct_n(0, 4) == x[:4]).all()

# Distances that are no numbers.
bad = x[:3].copy()
bad[1] = np.nan
D = faiss.pairwise_distances(x[:2], bad, faiss.METRIC_L1)
assert np.isnan(D[:, 1]).all() and not np.isnan(D[:, [0, 2]]).any(), D

# A transform is added once.
pre = faiss.IndexPreTransform(faiss.NormalizationTransform(d), faiss.IndexFlatL2(d))
pre = faiss.deserialize_index(faiss.serialize_index(pre))
for size in (2, 3):
    pre.prepend_transform(faiss.RemapDimensionsTransform(d, d, False))
    try:
        assert pre.chain.size() == size, pre.chain
    except NotImplementedError:  # transforms are read since 1.10.0
        assert tuple(int(v) for v in faiss.__version__.split(".")) < (1, 10, 0)

# Parts that are copies say so if they are written to.
refine = faiss.deserialize_index(faiss.serialize_index(
    faiss.IndexRefineFlat(faiss.index_factory(d, "IVF4,Flat"))))
part = refine.base_index
raises(NotImplementedError, lambda: setattr(part, "nprobe", 3))
raises(NotImplementedError, lambda: faiss.ParameterSpace().set_index_parameter(part, "nprobe", 3))
raises(NotImplementedError, lambda: setattr(faiss.extract_index_ivf(refine), "nprobe", 3))
raises(NotImplementedError, lambda: part.train(x))
raises(NotImplementedError, lambda: part.add(x))
raises(NotImplementedError, lambda: part.quantizer.add(x))
raises(NotImplementedError, lambda: part.reset())
raises(NotImplementedError, lambda: flat.xb.push_back(1.0))
raises(NotImplementedError, lambda: flat.codes.resize(1))
raises(NotImplementedError, lambda: faiss.memcpy(flat.get_xb(), x, 4))
raises(ValueError, lambda: faiss.rev_swig_ptr(flat.get_xb(), 4).fill(0))

# An index that others use is not exchanged for another one.
pq = faiss.IndexIVFPQ(faiss.IndexFlatL2(d), d, 4, 2, 4)
ids = faiss.IndexIDMap(pq)
raises(NotImplementedError, lambda: setattr(pq, "by_residual", False))
shards, parts = faiss.IndexShards(d), [faiss.IndexFlatL2(d) for _ in range(2)]
shards.add_shard(parts[0])
parts[1].add(x)
raises(NotImplementedError, lambda: parts[0].merge_from(parts[1]))
q = faiss.IndexFlatL2(d)
pq = faiss.IndexIVFPQ(q, d, 4, 2, 4)
pq.by_residual = False
assert not pq.by_residual
pq.train(x)
assert q.ntotal == 4 and pq.cp.niter == 10
# What an index was before is freed, unless the program has a part of it.
gc.collect()
held = server.stat("objects")
for description in ("Flat", "PQ4x4np", "SQ8", "LSH"):
    whole, other = (faiss.index_factory(d, description) for _ in range(2))
    for i in (whole, other):
        i.train(x)
    before = server.stat("objects")
    for _ in range(10):
        other.add(x)
        whole.merge_from(other)
    assert whole.ntotal == 6000 and server.stat("objects") == before, description
    assert not whole.__dict__.get("referenced_objects"), description
whole, other = faiss.index_factory(d, "IVF4,PQ2x4np"), None
whole.train(x)
whole.add(x)
inner = whole.quantizer
before = server.stat("objects")
for by_residual in (False, True) * 5:
    whole.by_residual = by_residual
assert server.stat("objects") == before and not whole.__dict__.get("referenced_objects")
assert inner is whole.quantizer and inner.ntotal == 4
del whole, other, inner, i
gc.collect()
assert server.stat("objects") == held

# What a file does not say about the training is not lost.
hnsw = faiss.index_factory(d, "IVF4_HNSW8,PQ2x4np")
raises(NotImplementedError, lambda: setattr(hnsw, "by_residual", False))

# Fields of other objects are not set in Python only.
for o, name in ((faiss.OPQMatrix(d, 2), "max_train_points"), (faiss.ITQMatrix(d), "max_iter"),
                (sel, "imax"), (faiss.Clustering(d, 2), "nonsense")):
    raises(NotImplementedError, lambda: setattr(o, name, 5))
pca = faiss.PCAMatrix(d, 4)
pca.train(x)
raises(NotImplementedError,
       lambda: faiss.copy_array_to_vector(np.zeros(4 * d, "float32"), pca.A))

# A reader is asked for what an index takes, and no more.
file = io.BytesIO(faiss.serialize_index(flat).tobytes() * 2 + b"rest")
read = [faiss.read_index(faiss.PyCallbackIOReader(file.read)) for _ in range(2)]
assert [i.ntotal for i in read] == [600, 600] and file.read() == b"rest"
raises(ZeroDivisionError, lambda: faiss.read_index(faiss.PyCallbackIOReader(lambda n: 1 // 0)))
# One that cannot be set back is asked for no byte too many: it may never come.
pipe, end = os.pipe()
os.write(end, faiss.serialize_index(faiss.IndexFlatL2(8)).tobytes())
with os.fdopen(pipe, "rb", buffering=0) as file:
    assert faiss.read_index(faiss.PyCallbackIOReader(file.read)).d == 8
os.close(end)


class CountedFile(io.BytesIO):
    """Counts the calls of read."""

    calls = 0

    def read(self, n=-1):
        self.calls += 1
        return super().read(n)


# Not byte by byte.
large = faiss.IndexFlatL2(256)
large.add(np.zeros((10000, 256), "float32"))
for made in (lambda f: faiss.PyCallbackIOReader(f.read),
             lambda f: faiss.BufferedIOReader(faiss.PyCallbackIOReader(lambda n: f.read(n)))):
    file = CountedFile(faiss.serialize_index(large).tobytes() * 2)
    reader = made(file)
    assert [faiss.read_index(reader).ntotal for _ in range(2)] == [10000, 10000]
    assert file.calls < 50, file.calls

# A writer of small pieces does not copy all that is left for each.
pieces = []
writer = faiss.BufferedIOWriter(faiss.PyCallbackIOWriter(pieces.append), 512)
began = time.process_time()
faiss.write_index(large, writer)
del writer
took = time.process_time() - began
assert b"".join(pieces) == faiss.serialize_index(large).tobytes() and took < 4, took

# Vectors are not removed by ids where the C API cannot.
hashed = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, 4)
hashed.train(x)
try:
    hashed.set_direct_map_type(faiss.DirectMap.Hashtable)
except RuntimeError as e:  # older releases, and servers with them, lack the type
    assert "set_direct_map" in str(e), e
else:
    hashed.add(x)
    raises(NotImplementedError, lambda: hashed.remove_ids(np.arange(3)))
server.assert_nothing_left(globals())
print("all objects are as they should be")
