# SPDX-License-Identifier: Apache-2.0
"""Functions of arrays: neighbours, distances, norms."""
import ctypes
import os

import numpy as np

from . import _format, _io
from ._api import api, call, is_remote, library, make
from ._arrays import address, f32, i64, pointer, rev_swig_ptr, swig_ptr
from ._around import IndexPreTransform
from ._classes import METRIC_INNER_PRODUCT, METRIC_L2, IndexFlat
from ._ivf import IndexIVF
from ._binary import IndexBinaryFlat


def _flat(d, metric, metric_arg):
    index = IndexFlat(d, metric)
    if metric_arg and metric > 1:
        data = _io.serialize_index(index)
        field = _format.parse(data).fields["metric_arg"]
        index = _io.deserialize_index(np.frombuffer(_format.put(data, field, metric_arg), "uint8"))
    return index


def knn(xq, xb, k, metric=METRIC_L2, metric_arg=0.0):
    """Returns the distances and numbers of the k rows of xb that are nearest to each row of xq."""
    xq, xb = f32(xq), f32(xb)
    nq, d = xq.shape
    nb, d2 = xb.shape
    assert d == d2
    index = _flat(d, metric, metric_arg)
    index.add(xb)
    return index.search(xq, k)


def knn_hamming(xq, xb, k, variant="hc"):
    """As knn, for binary vectors."""
    if variant not in ("hc", "mc"):
        raise NotImplementedError(variant)
    index = IndexBinaryFlat(8 * xb.shape[1])
    assert xq.shape[1] == xb.shape[1]
    index.add(xb)
    return index.search(xq, k)


def pairwise_distances(xq, xb, metric=METRIC_L2, metric_arg=0):
    """Returns the distances of all rows of xq to all rows of xb."""
    xq, xb = f32(xq), f32(xb)
    nq, d = xq.shape
    nb, d2 = xb.shape
    assert d == d2
    out = np.empty((nq, nb), "float32")
    if metric == METRIC_L2:
        api.pairwise_L2sqr_with_defaults(d, nq, address(xq), nb, address(xb), address(out))
    elif metric == METRIC_INNER_PRODUCT:
        out[:] = xq @ xb.T
    else:
        index = _flat(d, metric, metric_arg)
        index.add(xb)
        D, I = index.search(xq, nb)
        out[:] = np.nan  # a distance that is not a number is not found
        rows, columns = np.nonzero(I >= 0)
        out[rows, I[rows, columns]] = D[rows, columns]
    return out


def search_with_parameters(index, x, k, params=None, output_stats=False):
    """A search in the IVF index that is in an index, with parameters."""
    if output_stats:
        raise NotImplementedError("faiss.search_with_parameters: output_stats: FAISS's C API has "
                                  "no statistics of one search")
    x = f32(x)
    assert x.shape[1] == index.d
    # As FAISS does: in an IDMap the labels would be other numbers, and a Refine would not refine.
    if isinstance(index, IndexPreTransform):
        for transform in index.chain:
            x = transform.apply(x)
        index = index.index
    if not isinstance(index, IndexIVF):
        raise RuntimeError("Error: 'index_ivf' failed: faiss.search_with_parameters: expected an "
                           f"IVF index, or one in an IndexPreTransform, got {type(index).__name__}")
    return index.search(x, k, params=params)


def normalize_L2(x):
    """Divides each row of x by its length, in place."""
    fvec_renorm_L2(x.shape[1], x.shape[0], swig_ptr(x))


def _floats(what, *given):
    """The addresses of float32 numbers, for faiss.`what`; given: each and its least size."""
    return [pointer(p, "float32", f"faiss.{what}", size) for p, size in given]


def fvec_renorm_L2(d, nx, x):
    call("fvec_renorm_L2", d, nx, *_floats("fvec_renorm_L2", (x, nx * d)))


def fvec_norms_L2(norms, x, d, nx):
    call("fvec_norms_L2", *_floats("fvec_norms_L2", (norms, nx), (x, nx * d)), d, nx)


def fvec_norms_L2sqr(norms, x, d, nx):
    call("fvec_norms_L2sqr", *_floats("fvec_norms_L2sqr", (norms, nx), (x, nx * d)), d, nx)


def fvec_norm_L2sqr(x, d):
    return call("fvec_norm_L2sqr", *_floats("fvec_norm_L2sqr", (x, d)), d)


def fvec_L2sqr_ny(dis, x, y, d, ny):
    call("fvec_L2sqr_ny", *_floats("fvec_L2sqr_ny", (dis, ny), (x, d), (y, ny * d)), d, ny)


def fvec_inner_products_ny(ip, x, y, d, ny):
    at = _floats("fvec_inner_products_ny", (ip, ny), (x, d), (y, ny * d))
    call("fvec_inner_products_ny", *at, d, ny)


def pairwise_L2sqr(d, nq, xq, nb, xb, dis, ldq=-1, ldb=-1, ldd=-1):
    q, b, out = _floats("pairwise_L2sqr", (xq, nq * d), (xb, nb * d), (dis, nq * nb))
    call("pairwise_L2sqr", d, nq, q, nb, b, out, ldq, ldb, ldd)


def eval_intersection(I1, I2):
    """Returns how many numbers the rows of two tables have in common."""
    I1, I2 = i64(I1), i64(I2)
    assert len(I1) == len(I2)
    return sum(_common(a, b) for a, b in zip(I1, I2))


def _common(a, b):
    """How many numbers two lists have in common, but for negative ones, which are no labels."""
    found = np.intersect1d(a, b)
    return int((found >= 0).sum())


def ranklist_intersection_size(k1, v1, k2, v2):
    """Returns how many numbers two lists have in common; pointers."""
    a, b = rev_swig_ptr(v1, k1), rev_swig_ptr(v2, k2)
    return _common(a, b)


def merge_knn_results(Dall, Iall, keep_max=False):
    """Merges the sorted results of several parts of a data set: (nshard, nq, k) to (nq, k)."""
    assert Iall.shape == Dall.shape
    nshard, n, k = Dall.shape
    D = np.moveaxis(Dall, 0, 1).reshape(n, -1)
    I = np.moveaxis(Iall, 0, 1).reshape(n, -1)
    worst = -np.inf if keep_max else np.inf
    key = np.where(I < 0, worst, D)
    order = np.argsort(-key if keep_max else key, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(D, order, 1), np.take_along_axis(I, order, 1)


def kmin(array, k):
    """Returns the k smallest numbers of each row, and where they are."""
    array = f32(array)
    I = np.argsort(array, axis=1, kind="stable")[:, :k].astype("int64")
    return np.take_along_axis(array, I, 1), I


def kmax(array, k):
    """Returns the k largest numbers of each row, and where they are."""
    D, I = kmin(-f32(array), k)
    return -D, I


class ResultHeap:
    """Collects the results of searches in the parts of a data set: the best are in D and I."""

    def __init__(self, nq, k, keep_max=False):
        self.nq, self.k, self._max = nq, k, keep_max
        self.D = np.full((nq, k), -np.inf if keep_max else np.inf, "float32")
        self.D[:] = np.finfo("float32").min if keep_max else np.finfo("float32").max
        self.I = np.full((nq, k), -1, "int64")

    def add_result(self, D, I):
        """Adds results for all queries."""
        assert D.shape == I.shape and len(D) == self.nq
        self.add_result_subset(np.arange(self.nq), D, I)

    def add_result_subset(self, subset, D, I):
        """Adds results for some queries; I may be one row for all."""
        assert len(D) == len(subset)
        I = np.broadcast_to(I, D.shape)
        allD = np.concatenate([self.D[subset], f32(D)], 1)
        allI = np.concatenate([self.I[subset], i64(I)], 1)
        order = np.argsort(-allD if self._max else allD, axis=1, kind="stable")[:, :self.k]
        self.D[subset] = np.take_along_axis(allD, order, 1)
        self.I[subset] = np.take_along_axis(allI, order, 1)

    def finalize(self):
        """Nothing is left to do: D and I are sorted."""


# --- threads ---


def _openmp():
    try:
        return ctypes.CDLL("libgomp.so.1")
    except OSError:
        return None


def _remote():
    """Whether objects are created on a server."""
    h = make("IndexFlat_new")
    try:
        return is_remote(h)
    finally:
        api.Index_free(h)


_threads = [None]


def omp_set_num_threads(n):
    """Chooses how many threads a call may use."""
    _threads[0] = n
    if _remote():
        call("set_omp_threads", n)
    elif _openmp():
        _openmp().omp_set_num_threads(n)


def omp_get_max_threads():
    """Returns how many threads a call may use, as far as this program knows: of a server, the
    number that it set last, or this host's cores."""
    if not _remote() and _openmp():
        return _openmp().omp_get_max_threads()
    return _threads[0] or os.cpu_count()


def omp_get_num_threads():
    return 1


assert library
