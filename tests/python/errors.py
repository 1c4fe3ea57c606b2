# SPDX-License-Identifier: Apache-2.0
"""The errors of the module: their types, and that they name what is wrong."""
import faiss
import numpy as np

import server


def fails(kind, text, f):
    try:
        f()
    except kind as e:
        assert text in str(e), f"'{e}' does not contain '{text}'"
        return
    raise AssertionError(f"no {kind.__name__}")


index = faiss.IndexFlatL2(8)
x = np.zeros((3, 8), "float32")
fails(AssertionError, "", lambda: index.add(np.zeros((3, 9), "float32")))
fails(AssertionError, "", lambda: index.search(x, 0))
fails(ValueError, "", lambda: index.add(np.zeros(8, "float32")))
fails(AttributeError, "shape", lambda: index.add([[1.0] * 8]))
fails(AssertionError, "not same nb", lambda: index.add_with_ids(x, np.arange(2)))
fails(RuntimeError, "add_with_ids", lambda: index.add_with_ids(x, np.arange(3)))
fails(TypeError, "expected a faiss.Index", lambda: faiss.IndexIVFFlat("q", 8, 4))
fails(TypeError, "uint8", lambda: faiss.IndexBinaryFlat(64).add(x))
fails(RuntimeError, "", lambda: faiss.index_factory(8, "Nonsense"))
fails(RuntimeError, "/nonexistent", lambda: faiss.read_index("/nonexistent/index"))
fails(RuntimeError, "", lambda: faiss.IndexIVFFlat(faiss.IndexFlatL2(8), 8, 4).add(x))
fails(AttributeError, "'nonsense'", lambda: setattr(index, "nonsense", 1))
fails(AttributeError, "'nonsense'", lambda: index.nonsense)
fails(AttributeError, "no attribute 'nonsense'", lambda: faiss.nonsense)
# Indexes that do not fit together are left as they are.
for description, others in (("PQ4x8np", "PQ4x4np"), ("SQ8", "SQ4"), ("LSH16", "LSH32"),
                            ("IVF2,Flat", "IVF4,Flat"), ("IVF2,SQ8", "IVF2,SQ4")):
    many = np.random.RandomState(1).rand(300, 8).astype("float32")
    one, another = (faiss.IndexLSH(8, int(s[3:])) if s[:3] == "LSH" else
                    faiss.index_factory(8, s) for s in (description, others))
    for i in (one, another):
        i.train(many)
        i.add(many[:20])
    fails(RuntimeError, "", lambda: one.check_compatible_for_merge(another))
    fails(RuntimeError, "", lambda: one.merge_from(another))
    assert (one.ntotal, another.ntotal) == (20, 20)
    another.reset()
    fails(RuntimeError, "", lambda: one.merge_from(another))
# What FAISS refuses in functions without an error code does not end the process.
untrained, whitening = faiss.PCAMatrix(8, 4), faiss.PCAMatrix(8, 4, -0.5)
itq = faiss.ITQTransform(8, 4, True)
for t in (whitening, itq):
    t.train(many)
    fails(RuntimeError, "reverse transform not implemented",
          lambda: t.reverse_transform(np.zeros((3, 4), "float32")))
fails(RuntimeError, "trained", lambda: untrained.apply_noalloc(
    3, faiss.swig_ptr(x), faiss.swig_ptr(np.zeros((3, 4), "float32"))))
fails(RuntimeError, "trained", lambda: untrained.transform_transpose(
    3, faiss.swig_ptr(np.zeros((3, 4), "float32")), faiss.swig_ptr(x)))
fails(RuntimeError, "not implemented", lambda: faiss.NormalizationTransform(8, 1.0).apply(x))
white = faiss.index_factory(8, "PCAW4,Flat")
white.train(many)
white.add(many)
try:  # FAISS 1.15 takes such a transform for orthonormal when it has been read, as a copy is
    reversible = white.chain.at(0).is_orthonormal
except NotImplementedError:
    reversible = False
if not reversible:
    fails(RuntimeError, "", lambda: white.search_and_reconstruct(many[:2], 2))
# The labels of an index in an IDMap are not those of the IDMap.
ivf = faiss.index_factory(8, "IVF2,Flat")
ivf.train(many)
for around in (faiss.IndexIDMap2(ivf), faiss.IndexRefineFlat(ivf), faiss.IndexFlatL2(8)):
    fails(RuntimeError, "expected an IVF index",
          lambda: faiss.search_with_parameters(around, many[:2], 1))
# Integers are not cut off.
ivf.add(many)
for wrong in (-1, 2**64):
    fails(OverflowError, "must be from 0 to", lambda: setattr(ivf, "nprobe", wrong))
fails(TypeError, "", lambda: setattr(ivf, "nprobe", 1.5))
assert ivf.nprobe == 1
fails(OverflowError, "d is", lambda: faiss.index_factory(2**32 + 16, "Flat"))
fails(OverflowError, "imax", lambda: faiss.IDSelectorRange(0, 2**63))
fails(OverflowError, "key", lambda: ivf.reconstruct(2**64))
fails(OverflowError, "must be from", lambda: ivf.get_list_size(2**64 + 1))
fails((OverflowError, NotImplementedError), "", lambda: ivf.search(  # they came with 1.7.4
    many[:1], 1, params=faiss.SearchParametersIVF(nprobe=-1)))
# What the C API lacks is named.
fails(NotImplementedError, "faiss.SuperKMeans", lambda: faiss.SuperKMeans)
assert not hasattr(faiss, "SuperKMeans")
fails(NotImplementedError, "init_centroids", lambda: faiss.Kmeans(8, 2).train(
    np.random.rand(100, 8), init_centroids=x[:2]))
fails(NotImplementedError, "weights", lambda: faiss.Kmeans(8, 2).train(
    np.random.rand(100, 8), weights=np.ones(100)))
fails(NotImplementedError, "numeric_type", lambda: index.search(x, 1, numeric_type=faiss.Float16))
# A value that cannot be set is refused, not kept in Python only.
fails(NotImplementedError, "PCAMatrix.epsilon", lambda: setattr(faiss.PCAMatrix(8, 4), "epsilon", 1))
fails(NotImplementedError, "train_iters", lambda: setattr(
    faiss.LocalSearchQuantizer(8, 2, 4), "train_iters", 1))
# The index is as it was.
index.add(x)
assert index.ntotal == 3
# Other types of numbers are converted, and other orders.
index.add(np.asfortranarray(np.arange(24).reshape(3, 8)))
assert (index.reconstruct(4) == np.arange(8, 16)).all()
# An index lives as long as what was made around it.
ivf = faiss.IndexIVFFlat(faiss.IndexFlatL2(8), 8, 2)
ivf.train(np.random.rand(100, 8))
part = faiss.IndexIDMap(faiss.IndexFlatL2(8)).index
part.add(x)
assert part.ntotal == 3 and ivf.quantizer.ntotal == 2
server.assert_nothing_left(globals())
print("all errors are as they should be")
