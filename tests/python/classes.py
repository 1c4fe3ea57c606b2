# SPDX-License-Identifier: Apache-2.0
"""Makes an index of each class, uses it, and prints the bits of what it found: the same lines in
process and on a server.  What this release of FAISS lacks is left out in both."""
import os
import pickle
import sys
import tempfile
import zlib

import faiss
import numpy as np

import server

release = tuple(int(v) for v in faiss.__version__.split("."))
d, n = 16, 700
xb, xq = faiss.rand((n, d), 1), faiss.rand((20, d), 2)
bb = faiss.randint((n, 8), 3, 256).astype("uint8")
bq = faiss.randint((20, 8), 4, 256).astype("uint8")


def bits(*arrays):
    return " ".join(f"{zlib.crc32(np.ascontiguousarray(a).tobytes()):08x}" for a in arrays)


def line(name, make):
    try:
        print(name, make())
    except NotImplementedError as e:
        if release >= (1, 12, 0):
            raise
        print(name, "is not in this release", file=sys.stderr)
        assert str(e)


def used(index):
    """Trains, fills and searches an index."""
    index.train(xb)
    index.add(xb)
    D, I = index.search(xq, 5)
    assert index.ntotal == n and index.is_trained
    return bits(D, I)


quantizer = lambda: faiss.IndexFlatL2(d)  # noqa: E731

CLASSES = {
    "IndexFlat": lambda: faiss.IndexFlat(d, faiss.METRIC_L1),
    "IndexFlatL2": lambda: faiss.IndexFlatL2(d),
    "IndexFlatIP": lambda: faiss.IndexFlatIP(d),
    "IndexLSH": lambda: faiss.IndexLSH(d, 32),
    "IndexScalarQuantizer": lambda: faiss.IndexScalarQuantizer(d, faiss.ScalarQuantizer.QT_8bit),
    "IndexPQ": lambda: faiss.IndexPQ(d, 4, 4),
    "IndexIVFFlat": lambda: faiss.IndexIVFFlat(quantizer(), d, 8),
    "IndexIVFFlat IP": lambda: faiss.IndexIVFFlat(faiss.IndexFlatIP(d), d, 8,
                                                  faiss.METRIC_INNER_PRODUCT),
    "IndexIVFScalarQuantizer": lambda: faiss.IndexIVFScalarQuantizer(
        quantizer(), d, 8, faiss.ScalarQuantizer.QT_8bit),
    "IndexIVFPQ": lambda: faiss.IndexIVFPQ(quantizer(), d, 8, 4, 4),
    "IndexHNSWFlat": lambda: faiss.IndexHNSWFlat(d, 8),
    "IndexRefineFlat": lambda: faiss.IndexRefineFlat(faiss.IndexPQ(d, 4, 4)),
    "IndexPreTransform": lambda: faiss.IndexPreTransform(faiss.PCAMatrix(d, 8),
                                                         faiss.IndexFlatL2(8)),
}
for name, make in CLASSES.items():
    line(name, lambda: used(make()))
for description in ("Flat", "PQ4x4np", "IVF8,Flat", "IVF8,SQ8", "IVF8,PQ4x4np", "PCA8,Flat",
                    "HNSW8", "SQ4", "OPQ4_8,PQ4x4np", "PQ4x4fs", "RQ2x4"):
    line(description, lambda: used(faiss.index_factory(d, description)))

# --- what an index can do ---

flat = faiss.IndexFlatL2(d)
flat.add(xb)
ivf = faiss.IndexIVFFlat(quantizer(), d, 8)
ivf.train(xb)
ivf.add_with_ids(xb, np.arange(n) + 1000)
ivf.nprobe = 4
print("properties", flat.d, flat.ntotal, flat.is_trained, flat.metric_type, ivf.nlist, ivf.nprobe,
      ivf.quantizer.ntotal, type(ivf.quantizer).__name__)
print("range_search", bits(*flat.range_search(xq, 1.0)), bits(*ivf.range_search(xq, 1.0)))
print("assign", bits(flat.assign(xq, 3)))
print("reconstruct", bits(flat.reconstruct(7), flat.reconstruct_n(5, 9),
                          flat.reconstruct_batch([4, 2])))
print("search_and_reconstruct", bits(*flat.search_and_reconstruct(xq, 3)),
      bits(*ivf.search_and_reconstruct(xq, 3)))
line("sa_encode", lambda: bits(ivf.sa_encode(xq), ivf.sa_decode(ivf.sa_encode(xq))))
D, I = np.empty((20, 4), "float32"), np.empty((20, 4), "int64")
assert flat.search(xq, 4, D=D, I=I)[0] is D
print("given arrays", bits(D, I))
Dq, Iq = ivf.quantizer.search(xq, ivf.nprobe)
print("search_preassigned", bits(*ivf.search_preassigned(xq, 4, Iq, Dq)))
print("lists", [ivf.get_list_size(i) for i in range(8)], ivf.invlists.list_size(3),
      bits(faiss.rev_swig_ptr(ivf.invlists.get_ids(3), ivf.invlists.list_size(3))))

idmap = faiss.IndexIDMap2(faiss.IndexFlatL2(d))
idmap.add_with_ids(xb, np.arange(n) * 3)
print("IDMap2", bits(*idmap.search(xq, 3)), bits(idmap.reconstruct(9)),
      idmap.index.ntotal, bits(faiss.vector_to_array(idmap.id_map)))
print("remove_ids", idmap.remove_ids(np.array([3, 6, 7])), idmap.remove_ids(
    faiss.IDSelectorRange(30, 60)), bits(*idmap.search(xq, 3)))
other = faiss.IndexIVFFlat(ivf.quantizer, d, 8)
other.add(xb)
other.merge_from(ivf, 0)
print("merge_from", other.ntotal, ivf.ntotal, bits(*other.search(xq, 4)))
shards = faiss.IndexShards(d)
parts = [faiss.IndexFlatL2(d) for _ in range(2)]
for part in parts:
    shards.add_shard(part)
shards.add(xb)
print("IndexShards", shards.count(), shards.ntotal, bits(*shards.search(xq, 3)))

selectors = {
    "range": lambda: faiss.IDSelectorRange(10, 90),
    "batch": lambda: faiss.IDSelectorBatch([4, 5, 60]),
    "not": lambda: faiss.IDSelectorNot(faiss.IDSelectorRange(10, 500)),
    "and": lambda: faiss.IDSelectorAnd(faiss.IDSelectorRange(10, 90),
                                       faiss.IDSelectorRange(40, 99)),
    "or": lambda: faiss.IDSelectorOr(faiss.IDSelectorRange(1, 9), faiss.IDSelectorRange(40, 99)),
}
for name, make in selectors.items():
    line(f"selector {name}", lambda: bits(*flat.search(
        xq, 3, params=faiss.SearchParameters(sel=make()))))
line("SearchParametersIVF", lambda: bits(*other.search(xq, 3, params=faiss.SearchParametersIVF(
    nprobe=2, sel=faiss.IDSelectorRange(10, 400)))))

space = faiss.ParameterSpace()
space.set_index_parameter(other, "nprobe", 3)
space.set_index_parameters(other, "nprobe=5")
print("ParameterSpace", other.nprobe)

# --- copies and files ---

copies = [faiss.clone_index(other), faiss.deserialize_index(faiss.serialize_index(other)),
          pickle.loads(pickle.dumps(other))]
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "index")
    faiss.write_index(other, path)
    copies.append(faiss.read_index(path))
    print("file", zlib.crc32(open(path, "rb").read()), os.path.getsize(path))
print("copies", {type(c).__name__ for c in copies}, {bits(*c.search(xq, 4)) for c in copies})
writer = faiss.VectorIOWriter()
faiss.write_index(flat, writer)
reader = faiss.VectorIOReader()
faiss.copy_array_to_vector(faiss.vector_to_array(writer.data), reader.data)
print("streams", bits(*faiss.read_index(reader).search(xq, 2)))
print("parts", faiss.index_factory(d, "PQ4x4np").pq.M, bits(faiss.vector_to_array(flat.codes)),
      other.direct_map.type)

# --- binary indexes ---

for name, make in {"IndexBinaryFlat": lambda: faiss.IndexBinaryFlat(64),
                   "IndexBinaryIVF": lambda: faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(64), 64, 4),
                   "IndexBinaryHNSW": lambda: faiss.IndexBinaryHNSW(64, 8)}.items():
    def binary():
        index = make()
        index.train(bb)
        index.add(bb)
        copy = faiss.deserialize_index_binary(faiss.serialize_index_binary(index))
        assert type(copy) is type(index)
        return (f"{index.d} {index.code_size} {bits(*index.search(bq, 5))} "
                f"{bits(*copy.search(bq, 5))}")
    try:
        print(name, binary())
    except NotImplementedError:
        assert release < (1, 12, 0)

# --- transforms, clustering, functions ---

for t in (faiss.RandomRotationMatrix(d, d), faiss.PCAMatrix(d, 8), faiss.NormalizationTransform(d),
          faiss.OPQMatrix(d, 4), faiss.CenteringTransform(d)):
    t.train(xb)
    y = t.apply(xq)
    print(type(t).__name__, t.d_in, t.d_out, t.is_trained, y.shape,
          np.round(np.abs(y).sum(), 1) if isinstance(t, faiss.OPQMatrix) else bits(y))
kmeans = faiss.Kmeans(d, 6, niter=4, seed=5)
kmeans.train(xb)
print("Kmeans", bits(kmeans.centroids, kmeans.obj, *kmeans.assign(xq)), len(kmeans.iteration_stats))
print("knn", bits(*faiss.knn(xq, xb, 4)), bits(*faiss.knn(xq, xb, 4, faiss.METRIC_INNER_PRODUCT)))
print("pairwise_distances", bits(faiss.pairwise_distances(xq, xb)))
y = xq.copy()
faiss.normalize_L2(y)
print("normalize_L2", bits(y))
print("gpus", faiss.get_num_gpus() >= 0)
server.assert_nothing_left(globals())
