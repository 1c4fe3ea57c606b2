# SPDX-License-Identifier: Apache-2.0
"""The classes of indexes with inverted lists."""
import weakref

import numpy as np

from . import _fields, _format, _io
from ._api import api, call, error, make
from ._arrays import address, assigned, pointer, table
from ._classes import (METRIC_INNER_PRODUCT, METRIC_L2, _FromDescription, _eden, _search_type,
                       register)
from ._index import Index, _one_for_each, found_arrays
from ._objects import changes, handle, take_part


class DirectMap:
    """Types of direct maps."""

    NoMap, Array, Hashtable = range(3)


class _Map:
    """The type of an index's direct map."""

    def __init__(self, index):
        self._index = index

    NoMap, Array, Hashtable = range(3)

    @property
    def type(self):
        return self._index._map_type()

    @property
    def array(self):
        return self._index._from_file("direct_map").array

    def no(self):
        return self.type == 0


@register
class IndexIVF(Index):
    """An index with inverted lists."""

    @property
    def quantizer(self):
        h = api.IndexIVF_quantizer(self._h)
        if not h:
            return None
        given = self.__dict__.get("_quantizer")
        if given is not None and given._h == h:
            return given
        return _io.wrap_part(self, h)

    def _replaced(self):
        """The index has another object in C, and so has its quantizer's Python object."""
        quantizer = self.__dict__.pop("_quantizer", None) or \
            self.__dict__.get("_taken", lambda: None)()
        if quantizer is not None:
            if quantizer in self.__dict__.get("referenced_objects", ()):
                self.referenced_objects.remove(quantizer)
            self._take_quantizer(quantizer)
        self._trains_itself()

    def _trains_itself(self):
        """To be called if this index comes from a file, which does not say how to train it."""
        if not self.is_trained and not self.quantizer_trains_alone:
            assert self.cp

    def _adopt_quantizer(self, quantizer):
        """Keeps the quantizer that was given to the constructor."""
        self._use(quantizer)
        self.__dict__["_quantizer"] = quantizer

    def _take_quantizer(self, quantizer):
        """Lets the Python object of a quantizer stand for the one that this index has."""
        take_part(self, quantizer, api.IndexIVF_quantizer(self._h))
        quantizer._resized()
        self.__dict__["_taken"] = weakref.ref(quantizer)

    @property
    def cp(self):
        """How the quantizer is trained.  FAISS's C API has no access to it: if it is asked for,
        train() trains the quantizer by itself."""
        cp = self.__dict__.get("_cp")
        if cp is None:
            from ._clustering import ClusteringParameters
            cp = self.__dict__["_cp"] = ClusteringParameters()
            cp.niter = 10
            cp.spherical = self.metric_type == METRIC_INNER_PRODUCT
        return cp

    @changes
    def train(self, x, *, numeric_type=0, xq_train=None):
        cp = self.__dict__.get("_cp")
        if cp is not None and not self.is_trained and not self.quantizer_trains_alone:
            from ._clustering import Clustering
            assert x.shape[1] == self.d
            quantizer = self.quantizer
            if not quantizer.is_trained or quantizer.ntotal != self.nlist:
                quantizer.reset()
                Clustering(self.d, self.nlist, cp).train(x, quantizer)
        Index.train(self, x, numeric_type=numeric_type, xq_train=xq_train)

    def _map_type(self):
        kept = self.__dict__.get("_direct_map")
        return kept if kept is not None else self._from_file("direct_map").type

    def _from_file(self, name):
        return _fields.get_field(self, name)

    @property
    def direct_map(self):
        return _Map(self)

    @changes
    def make_direct_map(self, new_maintain_direct_map=True):
        """Makes it possible to get vectors by their ids."""
        call("IndexIVF_make_direct_map", self._h, int(new_maintain_direct_map))

    @changes
    def set_direct_map_type(self, kind):
        """Chooses how ids are found: DirectMap.NoMap, Array or Hashtable."""
        try:
            call("IndexIVF_set_direct_map", self._h, int(kind))
        except NotImplementedError:
            if kind == DirectMap.Hashtable:
                raise
            call("IndexIVF_make_direct_map", self._h, int(kind))

    @changes
    def merge_from(self, other, add_id=0):
        call("IndexIVF_merge_from", self._h, handle(other, Index, "merge_from"), add_id)

    def copy_subset_to(self, other, subset_type, a1, a2):
        """Copies a part of the vectors to another index."""
        call("IndexIVF_copy_subset_to", self._h, handle(other, Index, "copy_subset_to"),
             subset_type, a1, a2)

    def get_list_size(self, i):
        return call("IndexIVF_get_list_size", self._h, i)

    def imbalance_factor(self):
        return api.IndexIVF_imbalance_factor(self._h)

    def print_stats(self):
        api.IndexIVF_print_stats(self._h)

    def get_invlist_ids(self, i):
        """Returns the ids of an inverted list."""
        # The C API does not say how many ids it writes.  Others may add to a published index in
        # between, but not to a copy on the server.
        index = _io.clone_index(self) if self.__dict__.get("_published") else self
        ids = np.empty(index.get_list_size(i), "int64")
        call("IndexIVF_invlists_get_ids", index._h, i, address(ids))
        return ids

    def train_encoder(self, n, x, assign):
        what = "faiss.IndexIVF.train_encoder"
        call("IndexIVF_train_encoder", self._h, n, pointer(x, "float32", what, n * self.d),
             None if assign is None else pointer(assign, "int64", what, n))

    def search_preassigned(self, x, k, Iq, Dq, *, params=None, D=None, I=None):
        """As search(), with the inverted lists to be searched for each row of x, and the distances
        to their centroids."""
        if params is not None:
            raise NotImplementedError("faiss.IndexIVF.search_preassigned: params: FAISS's C API "
                                      "cannot pass them")
        x, n = table(x, self.d)
        D, I = found_arrays(n, k, D, I)
        Iq, Dq = assigned(Iq, Dq, (n, self.nprobe), "float32")
        if api.IndexIVF_search_preassigned(self._h, n, address(x), k, address(Iq), address(Dq),
                                           address(D), address(I), 0):
            raise error("IndexIVF_search_preassigned")
        return D, I

    def _vectors(self, keys):
        if self._map_type() != DirectMap.NoMap:
            return self.reconstruct_batch(keys)
        # The C API finds a vector by its id only through a direct map.  Without one, its code is
        # looked up in the index's file.
        try:
            lists = self._from_file("invlists")
        except AttributeError:
            copy = _io.deserialize_index(_io.serialize_index(self))
            copy.make_direct_map(True)
            return copy.reconstruct_batch(keys)
        return self.sa_decode(lists.standalone_codes(keys))


@register
class IndexIVFFlat(IndexIVF):
    """Inverted lists of vectors."""

    def __init__(self, quantizer=None, d=None, nlist=None, metric=METRIC_L2, own_invlists=True):
        if quantizer is None:
            self._adopt(make("IndexIVFFlat_new"))
            return
        h = handle(quantizer, Index, "faiss.IndexIVFFlat")
        self._adopt(make("IndexIVFFlat_new_with_metric", h, d, nlist, metric))
        self._adopt_quantizer(quantizer)

    @changes
    def update_vectors(self, keys, x):
        """Replaces the vectors with these ids."""
        x, n = table(x, self.d)
        keys = _one_for_each(keys, n)
        call("IndexIVFFlat_update_vectors", self._h, n, address(keys), address(x))


@register
class IndexIVFScalarQuantizer(IndexIVF):
    """Inverted lists of scalar quantizer codes."""

    def __init__(self, quantizer, d, nlist, qtype, metric=METRIC_L2, by_residual=True,
                 own_invlists=True):
        h = handle(quantizer, Index, "faiss.IndexIVFScalarQuantizer")
        self._adopt(make("IndexIVFScalarQuantizer_new_with_metric", h, d, nlist, qtype, metric,
                         by_residual))
        self._adopt_quantizer(quantizer)


class _Lists(_FromDescription):
    """An IVF index without a constructor in the C API: made from a description, and given the
    quantizer through its file."""

    def _lists(self, quantizer, d, nlist, description, metric):
        handle(quantizer, Index, f"faiss.{type(self).__name__}")
        if quantizer.d != d:
            raise RuntimeError(f"Error: 'quantizer->d == d' failed: the quantizer has "
                               f"{quantizer.d} dimensions, the index {d}")
        self._describe(d, f"IVF{nlist},{description}", metric)
        flat = type(quantizer).__name__ in ("IndexFlatL2", "IndexFlatIP") and \
            quantizer.metric_type == metric and not quantizer.ntotal
        if not flat:
            data = _io._serialize(self._h)
            node = _format.parse(data)
            part = node.fields.get("quantizer") if node else None
            if part is None or part.end is None or _fields.is_lossy(self):
                raise NotImplementedError(
                    f"faiss.{type(self).__name__}: FAISS's C API has no constructor for it with a "
                    f"{type(quantizer).__name__} as quantizer")
            inner = _io._serialize(quantizer._h)
            self._steal(_io.deserialize_index(
                np.concatenate([data[:part.start], inner, data[part.end:]])))
            self._trains_itself()
        self._take_quantizer(quantizer)


@register
class IndexIVFPQ(_Lists, IndexIVF):
    """Inverted lists of product quantizer codes."""

    def __init__(self, quantizer, d, nlist, M, nbits_per_idx, metric=METRIC_L2, own_invlists=True):
        self._lists(quantizer, d, nlist, f"PQ{M}x{nbits_per_idx}np", metric)


@register
class IndexIVFPQR(IndexIVFPQ):
    """IndexIVFPQ with a second code for each vector."""

    def __init__(self, quantizer, d, nlist, M, nbits_per_idx, M_refine, nbits_per_idx_refine,
                 own_invlists=True):
        if (nbits_per_idx, nbits_per_idx_refine) != (8, 8):
            raise NotImplementedError("faiss.IndexIVFPQR: codes of other than 8 bits: FAISS's C "
                                      "API has no constructor for it")
        self._lists(quantizer, d, nlist, f"PQ{M}+{M_refine}", METRIC_L2)


@register
class IndexIVFPQFastScan(_Lists, IndexIVF):
    """IndexIVFPQ with codes of 4 bits, searched with SIMD instructions."""

    def __init__(self, quantizer, d, nlist, M, nbits=4, metric=METRIC_L2, bbs=32,
                 own_invlists=True):
        self._lists(quantizer, d, nlist, f"PQ{M}x{nbits}fs" + (f"_{bbs}" if bbs != 32 else ""),
                    metric)


@register
class IndexIVFRaBitQ(_Lists, IndexIVF):
    """Inverted lists of RaBitQ codes."""

    def __init__(self, quantizer, d, nlist, metric=METRIC_L2, own_invlists=True, nb_bits=1):
        self._lists(quantizer, d, nlist, "RaBitQ" + (str(nb_bits) if nb_bits != 1 else ""), metric)


@register
class IndexIVFRaBitQFastScan(_Lists, IndexIVF):
    """IndexIVFRaBitQ, searched with SIMD instructions."""

    def __init__(self, quantizer, d, nlist, metric=METRIC_L2, bbs=32, own_invlists=True,
                 nb_bits=1):
        self._lists(quantizer, d, nlist, "RaBitQfs" + (str(nb_bits) if nb_bits != 1 else "") +
                    (f"_{bbs}" if bbs != 32 else ""), metric)


@register
class IndexIVFFlatPanorama(_Lists, IndexIVFFlat):
    """IndexIVFFlat that compares vectors in several steps."""

    def __init__(self, quantizer, d, nlist, n_levels, metric=METRIC_L2, own_invlists=True,
                 batch_size=None):
        size = f"_{batch_size}" if batch_size is not None else ""
        self._lists(quantizer, d, nlist, f"FlatPanorama{n_levels}{size}", metric)


@register
class IndexIVFEDEN(_Lists, IndexIVF):
    """Inverted lists of EDEN codes."""

    def __init__(self, quantizer, d, nlist, metric=METRIC_L2, own_invlists=True, nb_bits=1,
                 scale_type=1):
        self._lists(quantizer, d, nlist, _eden(nb_bits, scale_type), metric)


@register
class IndexIVFResidualQuantizer(_Lists, IndexIVF):
    """Inverted lists of residual quantizer codes."""

    def __init__(self, quantizer, d, nlist, M, nbits, metric=METRIC_L2, search_type=None,
                 own_invlists=True):
        self._lists(quantizer, d, nlist, f"RQ{M}x{nbits}{_search_type(search_type, metric)}",
                    metric)


@register
class IndexIVFLocalSearchQuantizer(_Lists, IndexIVF):
    """Inverted lists of local search quantizer codes."""

    def __init__(self, quantizer, d, nlist, M, nbits, metric=METRIC_L2, search_type=None,
                 own_invlists=True):
        self._lists(quantizer, d, nlist, f"LSQ{M}x{nbits}{_search_type(search_type, metric)}",
                    metric)
