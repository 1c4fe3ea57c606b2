# SPDX-License-Identifier: Apache-2.0
"""The classes of indexes that keep codes or graphs, and how classes are made known.

Where the C API has no constructor, faiss_index_factory makes an index of the class.
"""
import ctypes

from . import _io
from ._api import call, make
from ._arrays import VECTORS, pointer, swig_ptr, vector
from ._index import Index, lent_vector
from ._objects import add_properties

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
