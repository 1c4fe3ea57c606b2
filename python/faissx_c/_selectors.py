# SPDX-License-Identifier: Apache-2.0
"""Selectors of ids, search parameters and results of range searches.

They live in the program.  Search parameters are plain Python objects; the objects of the C API are
made of them for one call.
"""
import contextlib
import ctypes

import numpy as np

from ._api import FUNCTIONS, api, call, error, lent, make
from ._arrays import Pointer, address, i64, pointer, rev_swig_ptr, take
from ._objects import Object

# --- selectors ---


class IDSelector(Object):
    """A set of ids."""

    _free = "IDSelector_free"

    @contextlib.contextmanager
    def native(self):
        """The handle for a call."""
        yield self._h

    def is_member(self, id):
        """Whether the set has this id."""
        return bool(call("IDSelector_is_member", self._h, id))

    def members(self, ids):
        """Which of an array of ids it has."""
        member, h = api.IDSelector_is_member, self._h
        return np.fromiter((member(h, i) for i in ids.tolist()), bool, len(ids))


def _ids(args, dtype="int64"):
    """The ids of a constructor: an array, or their number and a pointer."""
    if len(args) == 1:
        return np.ascontiguousarray(args[0], dtype=dtype)
    n, given = args
    at = pointer(given, dtype, "faiss.IDSelector", n)
    return rev_swig_ptr(Pointer(at, dtype, given), n)


class IDSelectorRange(IDSelector):
    """The ids from imin to imax - 1."""

    def __init__(self, imin, imax, assume_sorted=False):
        self.__dict__.update(imin=imin, imax=imax, assume_sorted=assume_sorted)
        self._adopt(make("IDSelectorRange_new", imin, imax))

    def members(self, ids):
        return (ids >= self.imin) & (ids < self.imax)


class IDSelectorBatch(IDSelector):
    """The ids of an array."""

    def __init__(self, *args):
        ids = _ids(args)
        self._set = ids.copy()
        self._adopt(make("IDSelectorBatch_new", ids.size, address(ids)))

    def members(self, ids):
        return np.isin(ids, self._set)


def selector_of(ids):
    """Returns a selector: `ids` itself, or that of an array."""
    if isinstance(ids, IDSelector):
        return ids
    assert ids.ndim == 1, f"ids: an array of {ids.ndim} dimensions, expected 1"
    return IDSelectorBatch(ids)


class IDSelectorArray(IDSelectorBatch):
    """The ids of an array.  The same as IDSelectorBatch here."""

    @property
    def n(self):
        return self._set.size


class IDSelectorBitmap(IDSelector):
    """The ids whose bits are set."""

    def __init__(self, *args):
        if len(args) == 1 and getattr(args[0], "dtype", None) != np.uint8:
            raise TypeError("faiss.IDSelectorBitmap: expected an array of uint8 with eight ids in "
                            "each number; numpy.packbits(mask, bitorder='little') makes one")
        bits = _ids(args, "uint8")
        self.__dict__["n"] = bits.size
        self._set = bits.copy()
        self._adopt(make("IDSelectorBitmap_new", bits.size, address(self._set)))


class IDSelectorAll(IDSelectorRange):
    """All ids."""

    def __init__(self):
        super().__init__(-2**63, 2**63 - 1)


class IDSelectorNot(IDSelector):
    """The ids that another selector does not have."""

    def __init__(self, sel):
        self._keep(sel)
        self.__dict__["sel"] = sel
        self._adopt(make("IDSelectorNot_new", sel._h))

    def members(self, ids):
        return ~self.sel.members(ids)


def _pair(name, doc):
    class Pair(IDSelector):
        __doc__ = doc

        def __init__(self, lhs, rhs):
            self._keep(lhs, rhs)
            self.__dict__.update(lhs=lhs, rhs=rhs)
            self._adopt(make(name + "_new", lhs._h, rhs._h))

    Pair.__name__ = Pair.__qualname__ = name
    return Pair


IDSelectorAnd = _pair("IDSelectorAnd", "The ids that both selectors have.")
IDSelectorOr = _pair("IDSelectorOr", "The ids that one of two selectors has, or both.")
IDSelectorXOr = _pair("IDSelectorXOr", "The ids that exactly one of two selectors has.")

# --- search parameters ---


class SearchParameters:
    """Parameters of one search."""

    thisown = True
    _defaults = {"sel": None}
    _native = "SearchParameters"

    def __init__(self, **args):
        for base in reversed(type(self).__mro__):
            self.__dict__.update(getattr(base, "_defaults", {}))
        for name, value in args.items():
            assert hasattr(self, name)
            setattr(self, name, value)

    def _make(self, selector):
        """Makes the object of the C API: returns its handle and the function that frees it."""
        return make("SearchParameters_new", selector), api.SearchParameters_free

    def _unsupported(self):
        """The name of a parameter that is set and that the C API cannot pass, or None."""
        native = type(self)._native
        if native is None:
            return type(self).__name__
        for name, value in self.__dict__.items():
            if name != "sel" and name[0] != "_" and not _has(native, name) and \
                    value != _default(type(self), name):
                return name
        return None


def _default(cls, name):
    for base in cls.__mro__:
        if name in getattr(base, "_defaults", {}):
            return base._defaults[name]
    return None


def _has(native, name):
    return f"{native}_set_{name}" in FUNCTIONS


class _Set(SearchParameters):
    """Parameters whose class in the C API has a constructor and setters."""

    def _make(self, selector):
        if selector:
            first = [getattr(self, p) for p in self._first]
            h = make(f"{self._native}_new_with", selector, *first)
        else:
            h = make(f"{self._native}_new")
        free = getattr(api, self._native + "_free")
        try:
            for name, value in self.__dict__.items():
                if _has(self._native, name) and (value != _default(type(self), name) or
                                                 name in self._first):
                    call(f"{self._native}_set_{name}", h, value)
        except BaseException:
            free(h)
            raise
        return h, free


class SearchParametersIVF(_Set):
    """Parameters of a search in an IVF index."""

    _native = "SearchParametersIVF"
    _first = ("nprobe", "max_codes")
    _defaults = {"nprobe": 1, "max_codes": 0, "quantizer_params": None, "max_lists_num": 0,
                 "max_empty_result_buckets": 0, "ensure_topk_full": False,
                 "inverted_list_context": None}


class SearchParametersHNSW(_Set):
    """Parameters of a search in an HNSW index."""

    _native = "SearchParametersHNSW"
    _first = ("efSearch",)
    _defaults = {"efSearch": 16, "check_relative_distance": True, "bounded_queue": True}


def _without(name, base, **defaults):
    """Parameters that the C API cannot pass: a search with them fails, with their name."""
    return type(name, (base,), {"_native": None, "_defaults": defaults,
                                "__doc__": "Parameters that FAISS's C API cannot pass."})


IVFSearchParameters = SearchParametersIVF
IVFPQSearchParameters = _without("IVFPQSearchParameters", SearchParametersIVF,
                                 scan_table_threshold=0, polysemous_ht=0)
SearchParametersPQ = _without("SearchParametersPQ", SearchParameters, search_type=0,
                              polysemous_ht=0)
SearchParametersPreTransform = _without("SearchParametersPreTransform", SearchParameters,
                                        index_params=None)
SearchParametersIDMap = _without("SearchParametersIDMap", SearchParameters)
IndexRefineSearchParameters = _without("IndexRefineSearchParameters", SearchParameters, k_factor=1,
                                       base_index_params=None)
RaBitQSearchParameters = _without("RaBitQSearchParameters", SearchParameters, qb=0, centered=False)
IVFRaBitQSearchParameters = _without("IVFRaBitQSearchParameters", SearchParametersIVF, qb=0,
                                     centered=False)
SearchParametersResidualCoarseQuantizer = _without("SearchParametersResidualCoarseQuantizer",
                                                   SearchParameters, beam_factor=4.0)
SearchParametersNSG = _without("SearchParametersNSG", SearchParameters, search_L=16)


@contextlib.contextmanager
def c_params(params, index):
    """The handle of search parameters, for one call."""
    if not isinstance(params, SearchParameters):
        raise TypeError(f"params: expected faiss.SearchParameters, got {type(params).__name__}")
    name = params._unsupported()
    if name:
        raise NotImplementedError(f"search parameter {name}: FAISS's C API cannot pass it")
    sel = params.sel
    if sel is not None and not isinstance(sel, IDSelector):
        raise TypeError(f"sel: expected a faiss.IDSelector, got {type(sel).__name__}")
    h, free = params._make(sel._h if sel is not None else None)
    try:
        yield h
    finally:
        free(h)


# --- range searches ---


class RangeSearchResult(Object):
    """The result of a range search."""

    _free = "RangeSearchResult_free"

    def __init__(self, nq):
        self._adopt(make("RangeSearchResult_new", nq))

    @property
    def nq(self):
        return api.RangeSearchResult_nq(self._h)

    def _lims(self):
        return lent("RangeSearchResult_lims", self._h, ctypes.c_size_t)[0]

    @property
    def lims(self):
        return _pointer(self._lims(), "uint64", self)

    @property
    def labels(self):
        return _pointer(self._found()[0], "int64", self)

    @property
    def distances(self):
        return _pointer(self._found()[1], "float32", self)

    def _found(self):
        return lent("RangeSearchResult_labels", self._h, ctypes.c_int64, ctypes.c_float)

    def arrays(self):
        """Copies of lims, distances and labels."""
        n = self.nq
        lims = take(self._lims(), n + 1, "uint64")
        labels, distances = self._found()
        total = int(lims[n])
        return lims, take(distances, total, "float32"), take(labels, total, "int64")


def _pointer(p, dtype, owner):
    return Pointer(ctypes.cast(p, ctypes.c_void_p).value or 0, dtype, owner)


def range_result(function, h, n, x, radius):
    """Makes a range search; returns lims, distances and labels."""
    r = RangeSearchResult(n)
    if getattr(api, function)(h, n, x, radius, r._h):
        raise error(function)
    return r.arrays()


assert call and i64
