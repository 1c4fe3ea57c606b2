# SPDX-License-Identifier: Apache-2.0
"""The classes of indexes of float vectors.

Where the C API has no constructor, faiss_index_factory makes an index of the class.
"""
import ctypes
import weakref

import numpy as np

from . import _format, _io
from ._api import api, call, error, make
from ._arrays import (VECTORS, address, assigned, codes, pointer, swig_ptr, table,
                      vector)
from ._index import Index, _one_for_each, found_arrays, lent_vector
from ._objects import Object, add_properties, changes, handle, take_part
from ._selectors import c_params, range_result
from ._transforms import VectorTransform

METRIC_INNER_PRODUCT, METRIC_L2 = 0, 1


def index_factory(d, description, metric=METRIC_L2, own_invlists=True):
    """Makes an index from its description."""
    h = make("index_factory", int(d), description.encode(), metric)
    return _io.wrap(h)


def register(cls):
    """Makes a class known by its name; it gets the properties that the C API has for it."""
    add_properties(cls, cls.__name__)
    _io.INDEX_CLASSES[cls.__name__] = cls
    return cls


Index._binary = False
register(Index)


@register
class IndexFlatCodes(Index):
    """An index that keeps a code for each vector."""


@register
class IndexFlat(IndexFlatCodes):
    """An index that keeps the vectors and compares with all of them."""

    def __init__(self, d=None, metric=METRIC_L2):
        if d is None:
            self._adopt(make("IndexFlat_new"))
        else:
            self._adopt(make("IndexFlat_new_with", d, metric))

    def get_xb(self):
        """The address of a copy of the vectors."""
        return swig_ptr(self._xb())

    def _xb(self):
        v = lent_vector("IndexFlat_xb", self._h, ctypes.c_float, "float32")
        return v._a

    @property
    def codes(self):
        v = VECTORS["MaybeOwnedVectorUInt8"]._of(self._xb().view("uint8"))
        return v._lock("faiss.IndexFlat.codes: this is a copy")

    @property
    def xb(self):
        return vector(self._xb())._lock("faiss.IndexFlat.xb: this is a copy")

    @property
    def code_size(self):
        return 4 * self.d

    def compute_distance_subset(self, n, x, k, distances, labels):
        """Writes the distances of n vectors to the vectors with given labels; pointers."""
        at = [pointer(p, t, "faiss.IndexFlat.compute_distance_subset", size) for p, t, size in
              ((x, "float32", n * self.d), (distances, "float32", n * k), (labels, "int64", n * k))]
        call("IndexFlat_compute_distance_subset", self._h, n, at[0], k, at[1], at[2])


@register
class IndexFlatL2(IndexFlat):
    """IndexFlat with the squared Euclidean distance."""

    def __init__(self, d=None):
        self._adopt(make("IndexFlatL2_new_with", d) if d is not None else make("IndexFlatL2_new"))


@register
class IndexFlatIP(IndexFlat):
    """IndexFlat with the inner product."""

    def __init__(self, d=None):
        self._adopt(make("IndexFlatIP_new_with", d) if d is not None else make("IndexFlatIP_new"))


@register
class IndexFlat1D(IndexFlatL2):
    """IndexFlatL2 for numbers."""

    def __init__(self, continuous_update=True):
        self._adopt(make("IndexFlat1D_new_with", continuous_update))

    def update_permutation(self):
        call("IndexFlat1D_update_permutation", self._h)


@register
class IndexLSH(IndexFlatCodes):
    """Locality-sensitive hashing."""

    def __init__(self, d, nbits, rotate_data=True, train_thresholds=False):
        self._adopt(make("IndexLSH_new_with_options", d, nbits, rotate_data, train_thresholds))


@register
class IndexScalarQuantizer(IndexFlatCodes):
    """An index that keeps each component in a few bits."""

    def __init__(self, d=None, qtype=0, metric=METRIC_L2):
        self._adopt(make("IndexScalarQuantizer_new_with", d, qtype, metric) if d is not None
                    else make("IndexScalarQuantizer_new"))


# --- made from a description ---


class _FromDescription:
    """An index without a constructor in the C API."""

    def _describe(self, d, description, metric=METRIC_L2):
        made = index_factory(d, description, metric)
        if type(made).__name__ != type(self).__name__ and \
                type(self).__name__ in _io.INDEX_CLASSES:
            raise NotImplementedError(
                f"faiss.{type(self).__name__}: FAISS's C API has no constructor for it, and makes "
                f"a {type(made).__name__} from '{description}'")
        self._steal(made)


def _sq_name(qtype):
    names = {0: "SQ8", 1: "SQ4", 4: "SQfp16", 5: "SQ8_direct", 6: "SQ6", 7: "SQbf16",
             8: "SQ8_direct_signed"}
    if qtype not in names:
        raise NotImplementedError(
            f"faiss: no description makes an index of scalar quantizer type {qtype}, and FAISS's C "
            "API has no constructor for it")
    return names[qtype]


@register
class IndexPQ(_FromDescription, IndexFlatCodes):
    """An index that keeps product quantizer codes."""

    ST_PQ, ST_HE, ST_generalized_HE, ST_SDC, ST_polysemous, ST_polysemous_generalize = range(6)

    def __init__(self, d, M, nbits, metric=METRIC_L2):
        self._describe(d, f"PQ{M}x{nbits}np", metric)


@register
class IndexResidualQuantizer(_FromDescription, IndexFlatCodes):
    """An index that keeps residual quantizer codes."""

    def __init__(self, d, M, nbits, metric=METRIC_L2, search_type=None):
        if not isinstance(M, int):
            raise NotImplementedError("faiss.IndexResidualQuantizer: several numbers of bits: "
                                      "FAISS's C API has no constructor for it")
        self._describe(d, f"RQ{M}x{nbits}{_search_type(search_type, metric)}", metric)


_SEARCH_TYPES = {None: "", 0: "", 1: "_Nnone", 3: "_Nfloat", 4: "_Nqint8", 5: "_Nqint4",
                 6: "_Ncqint8", 7: "_Ncqint4", 8: "_Nlsq2x4", 9: "_Nrq2x4"}


def _search_type(search_type, metric):
    # For the inner product, a description that names none makes ST_LUT_nonorm, which is 1.
    if search_type not in _SEARCH_TYPES or search_type == 0 and metric == METRIC_INNER_PRODUCT:
        raise NotImplementedError(f"faiss: search type {search_type}: FAISS's C API has no "
                                  "constructor for it")
    return _SEARCH_TYPES[search_type]


@register
class IndexLocalSearchQuantizer(_FromDescription, IndexFlatCodes):
    """An index that keeps local search quantizer codes."""

    def __init__(self, d, M, nbits, metric=METRIC_L2, search_type=None):
        self._describe(d, f"LSQ{M}x{nbits}{_search_type(search_type, metric)}", metric)


@register
class IndexPQFastScan(_FromDescription, IndexFlatCodes):
    """IndexPQ with codes of 4 bits, searched with SIMD instructions."""

    def __init__(self, d, M, nbits=4, metric=METRIC_L2, bbs=32):
        if isinstance(d, Index):
            raise NotImplementedError("faiss.IndexPQFastScan: from an IndexPQ: FAISS's C API has "
                                      "no constructor for it")
        self._describe(d, f"PQ{M}x{nbits}fs" + (f"_{bbs}" if bbs != 32 else ""), metric)


class _Graph(_FromDescription):
    """What graph indexes share."""


@register
class IndexHNSW(_Graph, Index):
    """A graph of several layers."""

    def __init__(self, *args):
        raise NotImplementedError("faiss.IndexHNSW: FAISS's C API has no constructor for it")


@register
class IndexHNSWFlat(IndexHNSW):
    """A graph over vectors."""

    def __init__(self, d, M=32, metric=METRIC_L2):
        self._describe(d, f"HNSW{M},Flat", metric)


@register
class IndexHNSWPQ(IndexHNSW):
    """A graph over product quantizer codes."""

    def __init__(self, d, pq_m, M, pq_nbits=8, metric=METRIC_L2):
        self._describe(d, f"HNSW{M}_PQ{pq_m}" + (f"x{pq_nbits}" if pq_nbits != 8 else "") + "np",
                       metric)


@register
class IndexHNSWSQ(IndexHNSW):
    """A graph over scalar quantizer codes."""

    def __init__(self, d, qtype, M, metric=METRIC_L2):
        self._describe(d, f"HNSW{M}_{_sq_name(qtype)}", metric)


@register
class IndexNSGFlat(_Graph, Index):
    """A navigating spreading-out graph over vectors."""

    def __init__(self, d, R, metric=METRIC_L2):
        self._describe(d, f"NSG{R},Flat", metric)


@register
class IndexHNSWFlatPanorama(IndexHNSWFlat):
    """IndexHNSWFlat that compares vectors in several steps."""

    def __init__(self, d, M, num_panorama_levels, metric=METRIC_L2):
        self._describe(d, f"HNSW{M},FlatPanorama{num_panorama_levels}", metric)


@register
class IndexFlatPanorama(_FromDescription, IndexFlat):
    """IndexFlat that compares vectors in several steps."""

    def __init__(self, d, metric, n_levels, batch_size=None):
        kind = "IP" if metric == METRIC_INNER_PRODUCT else "L2"
        self.__class__ = _io.INDEX_CLASSES[f"IndexFlat{kind}Panorama"]
        self.__init__(d, n_levels, batch_size)


def _flat_panorama(name, kind, metric):
    def __init__(self, d, n_levels, batch_size=None):
        size = f"_{batch_size}" if batch_size is not None else ""
        self._describe(d, f"{kind}Panorama{n_levels}{size}", metric)

    return register(type(name, (IndexFlatPanorama,), {
        "__init__": __init__, "__doc__": f"IndexFlatPanorama with the metric of Index{kind}."}))


IndexFlatL2Panorama = _flat_panorama("IndexFlatL2Panorama", "FlatL2", METRIC_L2)
IndexFlatIPPanorama = _flat_panorama("IndexFlatIPPanorama", "FlatIP", METRIC_INNER_PRODUCT)


@register
class IndexRaBitQ(_FromDescription, IndexFlatCodes):
    """An index that keeps RaBitQ codes."""

    def __init__(self, d, metric=METRIC_L2, nb_bits=1):
        self._describe(d, "RaBitQ" + (str(nb_bits) if nb_bits != 1 else ""), metric)


@register
class IndexRaBitQFastScan(_FromDescription, IndexFlatCodes):
    """IndexRaBitQ, searched with SIMD instructions."""

    def __init__(self, d, metric=METRIC_L2, bbs=32, nb_bits=1):
        self._describe(d, "RaBitQfs" + (str(nb_bits) if nb_bits != 1 else "") +
                       (f"_{bbs}" if bbs != 32 else ""), metric)


def _eden(nb_bits, scale_type):
    return "EDEN" + (str(nb_bits) if nb_bits != 1 else "") + ("BIASED" if scale_type == 2 else "")


@register
class IndexEDEN(_FromDescription, IndexFlatCodes):
    """An index that keeps EDEN codes."""

    def __init__(self, d, metric=METRIC_L2, nb_bits=1, scale_type=1):
        self._describe(d, _eden(nb_bits, scale_type), metric)


# --- IVF ---


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
        taken = self.__dict__.get("_taken", lambda: None)()
        if taken is not None and taken._h == h:
            return taken
        made = _io.wrap(h, self)
        self.__dict__["_taken"] = weakref.ref(made)
        return made

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
        from . import _fields
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
        return api.IndexIVF_get_list_size(self._h, i)

    def imbalance_factor(self):
        return api.IndexIVF_imbalance_factor(self._h)

    def print_stats(self):
        api.IndexIVF_print_stats(self._h)

    def get_invlist_ids(self, i):
        """Returns the ids of an inverted list."""
        ids = np.empty(self.get_list_size(i), "int64")
        api.IndexIVF_invlists_get_ids(self._h, i, address(ids))
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
            from . import _fields
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
        self._lists(quantizer, d, nlist, f"RQ{M}x{nbits}{_search_type(search_type, metric)}", metric)


@register
class IndexIVFLocalSearchQuantizer(_Lists, IndexIVF):
    """Inverted lists of local search quantizer codes."""

    def __init__(self, quantizer, d, nlist, M, nbits, metric=METRIC_L2, search_type=None,
                 own_invlists=True):
        self._lists(quantizer, d, nlist, f"LSQ{M}x{nbits}{_search_type(search_type, metric)}", metric)


# --- indexes of indexes ---


class _Around(Index):
    """An index around another one."""

    def _around(self, function, index, *more):
        h = handle(index, Index, f"faiss.{type(self).__name__}")
        self._adopt(make(function, h, *more))
        self._use(index)
        self.__dict__["_index"] = index

    def _inner(self, function):
        given = self.__dict__.get("_index")
        h = getattr(api, function)(self._h)
        if given is not None and given._h == h:
            return given
        return _io.wrap(h, self) if h else None


@register
class IndexIDMap(_Around):
    """Gives the vectors of another index ids."""

    def __init__(self, index):
        self._around("IndexIDMap_new", index)

    @property
    def index(self):
        return self._inner("IndexIDMap_sub_index")

    @property
    def id_map(self):
        return lent_vector("IndexIDMap_id_map", self._h, ctypes.c_int64, "int64")

    def _vectors(self, keys):
        where = {int(v): i for i, v in enumerate(self.id_map._a)}
        inner = self.index
        return inner._vectors(np.array([where[int(k)] for k in keys], "int64"))

    @changes
    def merge_from(self, other, add_id=0):
        call("Index_merge_from", self._h, other._h, add_id)


@register
class IndexIDMap2(IndexIDMap):
    """IndexIDMap that finds the vector of an id."""

    def __init__(self, index):
        self._around("IndexIDMap2_new", index)

    def construct_rev_map(self):
        call("IndexIDMap2_construct_rev_map", self._h)


@register
class IndexPreTransform(_Around):
    """Transforms vectors before another index gets them."""

    def __init__(self, *args):
        if not args:
            self._adopt(make("IndexPreTransform_new"))
            self.__dict__["_transforms"] = []
        elif len(args) == 1:
            self._around("IndexPreTransform_new_with", args[0])
            self.__dict__["_transforms"] = []
        else:
            transform, index = args
            t = handle(transform, VectorTransform, "faiss.IndexPreTransform")
            h = handle(index, Index, "faiss.IndexPreTransform")
            self._adopt(make("IndexPreTransform_new_with_transform", t, h))
            self._use(transform, index)
            self.__dict__["_index"] = index
            self.__dict__["_transforms"] = [transform]

    @property
    def index(self):
        return self._inner("IndexPreTransform_index")

    @property
    def chain(self):
        """The transforms: those that Python added, or else copies."""
        given = self.__dict__.get("_transforms")
        return Chain(given if given is not None else _transforms_of(self))

    def _vectors(self, keys):
        x = self.index._vectors(keys)
        for transform in reversed(self.chain):
            x = transform.reverse_transform(x)
        return x

    @changes
    def prepend_transform(self, transform):
        """Adds a transform before the others."""
        h = handle(transform, VectorTransform, "faiss.IndexPreTransform.prepend_transform")
        call("IndexPreTransform_prepend_transform", self._h, h)
        self._use(transform)
        known = self.__dict__.get("_transforms")
        if known is not None:  # else the file has the chain, with this one in it
            self.__dict__["_transforms"] = [transform] + known
        self._resized()


class Chain(list):
    """The transforms of an IndexPreTransform."""

    def size(self):
        return len(self)

    def at(self, i):
        return self[i]


def _transforms_of(index):
    from . import _transforms
    data = _io._serialize(index._h)
    node = _format.parse(data)
    return [_transforms.from_bytes(data[t.start:t.end], t.name) for t in node.chain]


@register
class IndexRefine(_Around):
    """Searches again, among the results of one index, in another."""

    def __init__(self, *args):
        raise NotImplementedError("faiss.IndexRefine: FAISS's C API has no constructor for it")


@register
class IndexRefineFlat(IndexRefine):
    """IndexRefine whose second index keeps the vectors."""

    def __init__(self, base_index, xb=None):
        if xb is not None:
            from ._compose import _refine_flat
            data = np.frombuffer(_refine_flat(base_index, xb), "uint8")
            self._steal(_io.deserialize_index(data))
            return
        self._around("IndexRefineFlat_new", base_index)

    @property
    def base_index(self):
        given = self.__dict__.get("_index")
        if given is not None:
            return given
        from . import _fields
        return _fields.get_field(self, "base_index")


class _Several(Index):
    """An index of several."""

    def _one(self, h):
        for o in self.__dict__.get("referenced_objects", ()):
            if o._h == h:
                return o
        return _io.wrap(h, self)

    @property
    def own_indices(self):
        return self._own()

    @own_indices.setter
    def own_indices(self, value):
        self._set_own(value)

    own_fields = own_indices

    def _own(self):
        name = type(self).__name__
        try:
            return bool(call(f"{name}_own_indices", self._h))
        except NotImplementedError:
            return bool(call(f"{name}_own_fields", self._h))

    def _set_own(self, value):
        name = type(self).__name__
        try:
            call(f"{name}_set_own_indices", self._h, bool(value))
        except (NotImplementedError, AttributeError):
            call(f"{name}_set_own_fields", self._h, bool(value))


@register
class IndexShards(_Several):
    """Indexes that have a part of the vectors each."""

    def __init__(self, d=None, threaded=False, successive_ids=True):
        if isinstance(d, bool):
            d, threaded, successive_ids = None, d, threaded
        self._adopt(make("IndexShards_new_with_options", d or 0, threaded, successive_ids))

    def add_shard(self, index):
        call("IndexShards_add_shard", self._h, handle(index, Index, "faiss.IndexShards.add_shard"))
        self._use(index)
        self.__dict__["_count"] = self.__dict__.get("_count", 0) + 1
        self._resized()

    addIndex = add_shard

    def remove_shard(self, index):
        call("IndexShards_remove_shard", self._h, index._h)
        self.__dict__["_count"] -= 1
        self._resized()

    removeIndex = remove_shard

    def at(self, i):
        return self._one(api.IndexShards_at(self._h, i))

    def count(self):
        return self.__dict__.get("_count", 0)


@register
class IndexReplicas(_Several):
    """Indexes that have the same vectors."""

    def __init__(self, d=None, threaded=True):
        if isinstance(d, bool):
            d, threaded = None, d
        self._adopt(make("IndexReplicas_new_with_options", d or 0, threaded))

    def add_replica(self, index):
        call("IndexReplicas_add_replica", self._h,
             handle(index, Index, "faiss.IndexReplicas.add_replica"))
        self._use(index)
        self.__dict__["_count"] = self.__dict__.get("_count", 0) + 1
        self._resized()

    addIndex = add_replica

    def remove_replica(self, index):
        call("IndexReplicas_remove_replica", self._h, index._h)
        self.__dict__["_count"] -= 1
        self._resized()

    removeIndex = remove_replica

    def at(self, i):
        return self._one(api.IndexReplicas_at(self._h, i))

    def count(self):
        return self.__dict__.get("_count", 0)


IndexProxy = IndexReplicas

# The other classes that a file or a description may be of.  They have no constructor in the C API.
_OTHERS = {
    "IndexProductResidualQuantizer": IndexFlatCodes,
    "IndexProductLocalSearchQuantizer": IndexFlatCodes,
    "IndexLocalSearchQuantizerFastScan": IndexFlatCodes,
    "IndexResidualQuantizerFastScan": IndexFlatCodes,
    "IndexProductLocalSearchQuantizerFastScan": IndexFlatCodes,
    "IndexProductResidualQuantizerFastScan": IndexFlatCodes,
    "IndexIVFLocalSearchQuantizerFastScan": IndexIVF,
    "IndexIVFResidualQuantizerFastScan": IndexIVF,
    "IndexIVFProductLocalSearchQuantizerFastScan": IndexIVF,
    "IndexIVFProductResidualQuantizerFastScan": IndexIVF,
    "IndexIVFProductLocalSearchQuantizer": IndexIVF, "IndexIVFProductResidualQuantizer": IndexIVF,
    "ResidualCoarseQuantizer": Index, "Index2Layer": IndexFlatCodes, "IndexLattice": IndexFlatCodes,
    "IndexIVFFlatDedup": IndexIVFFlat,
    "IndexIVFSpectralHash": IndexIVF, "IndexIVFIndependentQuantizer": Index,
    "MultiIndexQuantizer": Index, "IndexRefinePanorama": IndexRefine,
    "IndexHNSW2Level": IndexHNSW,
    "IndexHNSWCagra": IndexHNSW, "IndexNSGPQ": Index, "IndexNSGSQ": Index,
    "IndexNNDescentFlat": Index, "IndexRowwiseMinMax": Index, "IndexRowwiseMinMaxFP16": Index,
}


def _abstract(name, base):
    def __init__(self, *args, **kwargs):
        raise NotImplementedError(f"faiss.{name}: FAISS's C API has no constructor for it; "
                                  "index_factory makes indexes of most classes")

    register(type(name, (base,), {"__init__": __init__,
                                  "__doc__": "A class without a constructor in FAISS's C API."}))


for _name, _base in _OTHERS.items():
    _abstract(_name, _base)

# --- functions ---


def try_extract_index_ivf(index):
    """The IVF index in an index, or None."""
    while index is not None:
        if isinstance(index, IndexIVF):
            return index
        if isinstance(index, (IndexIDMap, IndexPreTransform)):
            index = index.index
        elif isinstance(index, IndexRefine):
            index = index.base_index
        else:
            return None
    return None


def extract_index_ivf(index):
    """The IVF index in an index."""
    found = try_extract_index_ivf(index)
    if found is None:
        raise RuntimeError("could not extract an IVF index from this index")
    return found


ivflib_extract_index_ivf = extract_index_ivf
assert Object and c_params and range_result
