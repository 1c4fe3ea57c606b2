# SPDX-License-Identifier: Apache-2.0
"""Clustering."""
import ctypes

import numpy as np

from . import _gpu
from ._api import api, error, lent, make
from ._arrays import address, pointer, table, take, vector, vector_to_array
from ._classes import IndexFlatIP, IndexFlatL2
from ._objects import Object, handle
from ._index import Index

ClusteringInitMethod_RANDOM = 0
ClusteringInitMethod_KMEANS_PLUS_PLUS = 1
ClusteringInitMethod_AFK_MC2 = 2


class _Native(ctypes.Structure):
    """struct FaissClusteringParameters."""

    _fields_ = [(name, ctypes.c_int) for name in (
        "niter", "nredo", "verbose", "spherical", "int_centroids", "update_index",
        "frozen_centroids", "min_points_per_centroid", "max_points_per_centroid", "seed")] + \
        [("decode_block_size", ctypes.c_size_t)]


_NAMES = [name for name, _ in _Native._fields_]
_BOOLS = ("verbose", "spherical", "int_centroids", "update_index", "frozen_centroids")

# Fields of FAISS's class that the C API's structure lacks, with their defaults.
_LACKING = {"init_method": ClusteringInitMethod_RANDOM, "afkmc2_chain_length": 50,
            "early_stop_threshold": 0.0, "check_input_data_for_NaNs": True,
            "use_faster_subsampling": False}


class ClusteringParameters:
    """Parameters of a clustering."""

    def __init__(self):
        native = _Native()
        api.ClusteringParameters_init(ctypes.addressof(native))
        for name in _NAMES:
            value = getattr(native, name)
            self.__dict__[name] = bool(value) if name in _BOOLS else value
        self.__dict__.update(_LACKING)

    def _make(self):
        native = _Native()
        for name in _NAMES:
            setattr(native, name, int(getattr(self, name)))
        for name, default in _LACKING.items():
            if getattr(self, name) != default:
                raise NotImplementedError(
                    f"faiss.ClusteringParameters.{name}: FAISS's C API cannot pass it")
        return native


class _Stats:
    def __init__(self, **fields):
        self.__dict__.update(fields)


class _StatsList(list):
    def size(self):
        return len(self)

    def at(self, i):
        return self[i]


class Clustering(ClusteringParameters, Object):
    """k-means clustering.  Its fields are those of ClusteringParameters, and may be set until it is
    trained."""

    _free = "Clustering_free"

    def __init__(self, d, k, cp=None):
        ClusteringParameters.__init__(self)
        if cp is not None:
            self.__dict__.update({n: getattr(cp, n) for n in _NAMES + list(_LACKING)})
        self.__dict__.update(d=d, k=k)

    def train(self, x, index, weights=None):
        """Clusters the rows of x; `index` assigns them to centroids."""
        x, n = table(x, self.d)
        if weights is not None:
            raise NotImplementedError("faiss.Clustering.train: weights: FAISS's C API cannot pass "
                                      "them")
        native = self._make()
        h = make("Clustering_new_with_params", self.d, self.k, ctypes.addressof(native))
        self._drop()
        self._adopt(h)
        if api.Clustering_train(self._h, n, address(x), handle(index, Index, "Clustering.train")):
            raise error("Clustering_train")

    def __setattr__(self, name, value):
        if name[:1] != "_" and name not in self.__dict__:
            raise NotImplementedError(f"faiss.Clustering.{name}: FAISS's C API cannot set it")
        object.__setattr__(self, name, value)

    def _drop(self):
        if self.thisown and self._h:
            api.Clustering_free(self._h)

    @property
    def centroids(self):
        if not self._h:
            v = vector(np.empty(0, "float32"))
            return v._lock("faiss.Clustering.centroids: FAISS's C API cannot set them")
        first, n = lent("Clustering_centroids", self._h, ctypes.c_float)
        return vector(take(first, n, "float32"))._lock(
            "faiss.Clustering.centroids: FAISS's C API cannot set them")

    @property
    def iteration_stats(self):
        """A list of objects with obj, time, time_search, imbalance_factor, nsplit."""
        if not self._h:
            return _StatsList()
        first, n = ctypes.c_void_p(), ctypes.c_size_t()
        api.Clustering_iteration_stats(self._h, ctypes.addressof(first), ctypes.addressof(n))
        return _StatsList(_stats(first.value, i) for i in range(n.value))


class _Iteration(ctypes.Structure):
    """faiss::ClusteringIterationStats; the C API gives its first and has no way to the next."""

    _fields_ = [("obj", ctypes.c_float), ("time", ctypes.c_double),
                ("time_search", ctypes.c_double), ("imbalance_factor", ctypes.c_double),
                ("nsplit", ctypes.c_int)]


def _stats(first, i):
    h = first + i * ctypes.sizeof(_Iteration)
    return _Stats(**{name: getattr(api, "ClusteringIterationStats_" + name)(h)
                     for name, _ in _Iteration._fields_})


class Kmeans:
    """k-means clustering with what belongs to it: parameters, an index, the result.

    d, k     dimensions, number of centroids
    gpu      True or -1: all GPUs; a number: that many
    others   fields of ClusteringParameters (niter, nredo, verbose, spherical, seed ...)
    """

    def __init__(self, d, k, gpu=False, progressive_dim_steps=None, **parameters):
        if progressive_dim_steps is not None:
            raise NotImplementedError("faiss.Kmeans: progressive_dim_steps: FAISS's C API has no "
                                      "ProgressiveDimClustering")
        every = gpu is True or gpu == -1
        self.d, self.gpu = d, _gpu.get_num_gpus() if every else gpu
        self.cp = ClusteringParameters()
        for name in parameters:
            if not hasattr(self.cp, name):
                raise AttributeError(f"'ClusteringParameters' object has no attribute '{name}'")
        vars(self.cp).update(parameters)
        self.reset(k)
        self.set_index()

    def set_index(self):
        """Makes the index that assigns vectors to centroids."""
        kind = IndexFlatIP if self.cp.spherical else IndexFlatL2
        made = kind(self.d)
        self.index = _gpu.index_cpu_to_all_gpus(made, ngpu=self.gpu) if self.gpu else made

    def reset(self, k=None):
        """Forgets the result; k: another number of centroids."""
        vars(self).update(centroids=None, obj=None, iteration_stats=None)
        if k is not None:
            self.k = int(k)

    def train(self, x, weights=None, init_centroids=None):
        """Clusters the rows of x.  Sets centroids, obj and iteration_stats; returns the last
        value of the objective."""
        if init_centroids is not None:
            raise NotImplementedError("faiss.Kmeans.train: init_centroids: FAISS's C API cannot "
                                      "set them")
        c = Clustering(self.d, self.k, self.cp)
        c.train(x, self.index, weights)
        self.centroids = vector_to_array(c.centroids).reshape(self.k, self.d)
        self.iteration_stats = [dict(vars(s)) for s in c.iteration_stats]
        self.obj = np.array([s["obj"] for s in self.iteration_stats])
        return self.obj[-1] if len(self.obj) else 0.0

    def assign(self, x):
        """Returns the distances to the nearest centroids, and their numbers."""
        if self.centroids is None:
            raise AssertionError("faiss.Kmeans.assign: there are no centroids before train()")
        index = self.index
        if index.ntotal:
            index.reset()
        index.add(self.centroids)
        found = index.search(x, 1)
        return tuple(a[:, 0] for a in found)


def kmeans_clustering(d, n, k, x, centroids):
    """Writes k centroids of n vectors; pointers.  Returns the quantization error."""
    q = ctypes.c_float()
    at = [pointer(p, "float32", "faiss.kmeans_clustering", size)
          for p, size in ((x, n * d), (centroids, k * d))]
    if api.kmeans_clustering(d, n, k, *at, ctypes.addressof(q)):
        raise error("kmeans_clustering")
    return q.value
