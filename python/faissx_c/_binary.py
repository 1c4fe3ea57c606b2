# SPDX-License-Identifier: Apache-2.0
"""Indexes of binary vectors."""
import ctypes
import struct
import weakref

import numpy as np

from . import _fields, _io
from ._api import api, call, error, make
from ._arrays import VECTORS, address, assigned, codes, result, table
from ._ivf import DirectMap, _Map
from ._objects import Object, add_properties, changes, handle, take_part
from ._index import _one_for_each
from ._selectors import c_params, range_result, selector_of


def index_binary_factory(d, description, own_invlists=True):
    """Makes a binary index from its description."""
    return _io.wrap(make("index_binary_factory", int(d), description.encode()), binary=True)


def _register(cls):
    add_properties(cls, cls.__name__)
    _io.INDEX_CLASSES[cls.__name__] = cls
    return cls


@_register
class IndexBinary(Object):
    """An index of binary vectors."""

    _free = "IndexBinary_free"
    _binary = True

    def __init__(self, *args):
        raise AttributeError("No constructor defined - class is abstract")

    @property
    def code_size(self):
        return self.d // 8

    def __setattr__(self, name, value):
        if name[0] == "_" or name in ("thisown", "referenced_objects") or \
                hasattr(type(self), name) or name in self.__dict__:
            if self._copy_of and name[0] != "_":
                self._changed(name)
            object.__setattr__(self, name, value)
        else:
            _fields.set_field(self, name, value)

    def __getattr__(self, name):
        return _fields.get_field(self, name)

    def _resized(self):
        pass

    @changes
    def add(self, x):
        """Adds the rows of x."""
        x, n = table(x, self.code_size, codes)
        call("IndexBinary_add", self._h, n, address(x))

    @changes
    def add_with_ids(self, x, ids):
        """Adds the rows of x under the given ids."""
        x, n = table(x, self.code_size, codes)
        ids = _one_for_each(ids, n)
        call("IndexBinary_add_with_ids", self._h, n, address(x), address(ids))

    @changes
    def train(self, x):
        """Trains the index with the rows of x."""
        x, n = table(x, self.code_size, codes)
        call("IndexBinary_train", self._h, n, address(x))

    @changes
    def reset(self):
        call("IndexBinary_reset", self._h)

    def reconstruct(self, key):
        """Returns the vector with this id."""
        x = np.empty(self.code_size, "uint8")
        call("IndexBinary_reconstruct", self._h, key, address(x))
        return x

    def reconstruct_n(self, n0=0, ni=-1, x=None):
        """Returns ni vectors from id n0 on, by default all."""
        if ni == -1:
            ni = self.ntotal - n0
        x = result(x, (ni, self.code_size), "uint8")
        call("IndexBinary_reconstruct_n", self._h, n0, ni, address(x))
        return x

    def search(self, x, k, *, params=None):
        """Returns the distances and labels of the k nearest neighbours of each row of x."""
        x, n = table(x, self.code_size, codes)
        D, I = _found_arrays(n, k)
        if params is None:
            if api.IndexBinary_search(self._h, n, address(x), k, address(D), address(I)):
                raise error("IndexBinary_search")
        else:
            with c_params(params, self) as p:
                call("IndexBinary_search_with_params", self._h, n, address(x), k, p, address(D),
                     address(I))
        return D, I

    def assign(self, x, k, labels=None):
        """Returns the labels of the k nearest neighbours of each row of x."""
        x, n = table(x, self.code_size, codes)
        labels = result(labels, (n, k), "int64")
        call("IndexBinary_assign", self._h, n, address(x), address(labels), k)
        return labels

    def range_search(self, x, thresh, *, params=None):
        """Returns all neighbours within a distance: lims, D, I."""
        x, n = table(x, self.code_size, codes)
        if params is not None:
            raise NotImplementedError("faiss.IndexBinary.range_search: params: FAISS's C API has "
                                      "no range search with parameters")
        return range_result("IndexBinary_range_search", self._h, n, address(x), int(thresh))

    @changes
    def remove_ids(self, x):
        """Removes vectors; returns how many."""
        removed, selector = ctypes.c_size_t(), selector_of(x)
        call("IndexBinary_remove_ids", self._h, selector._h, ctypes.addressof(removed))
        return removed.value

    def __getstate__(self):
        return {"this": _io.serialize_index_binary(self).tobytes()}

    def __setstate__(self, state):
        self._steal(_io.deserialize_index_binary(np.frombuffer(state["this"], "uint8")))


def _found_arrays(n, k):
    assert k > 0, f"k is {k}, and must be positive"
    return np.empty((n, k), "int32"), np.empty((n, k), "int64")


class _FromDescription:
    def _describe(self, d, description):
        self._steal(index_binary_factory(d, description))


@_register
class IndexBinaryFlat(_FromDescription, IndexBinary):
    """A binary index that compares with all vectors."""

    def __init__(self, d):
        # As a file, since index_binary_factory is not in FAISS before 1.9.0.
        if d % 8:
            raise RuntimeError(f"Error: 'd % 8 == 0' failed: {d} is not a multiple of 8")
        data = b"IBxF" + struct.pack("<iiqBiQ", d, d // 8, 0, 1, 1, 0)
        self._steal(_io.deserialize_index_binary(np.frombuffer(data, "uint8")))

    @property
    def xb(self):
        v = VECTORS["UInt8Vector"]._of(self.reconstruct_n() if self.ntotal else
                                       np.empty(0, "uint8"))
        return v._lock("faiss.IndexBinaryFlat.xb: this is a copy")


@_register
class IndexBinaryIVF(_FromDescription, IndexBinary):
    """A binary index with inverted lists."""

    def __init__(self, quantizer, d, nlist, own_invlists=True):
        h = handle(quantizer, IndexBinary, "faiss.IndexBinaryIVF")
        if quantizer.d != d:
            raise RuntimeError(f"Error: 'd == quantizer->d' failed: the quantizer has "
                               f"{quantizer.d} dimensions, the index {d}")
        self._describe(d, f"BIVF{nlist}")
        if type(quantizer).__name__ != "IndexBinaryFlat" or quantizer.ntotal:
            from ._compose import binary_ivf
            data = binary_ivf(quantizer, d, nlist, self)
            self._steal(_io.deserialize_index_binary(np.frombuffer(data, "uint8")))
        assert h
        self._take_quantizer(quantizer)

    def _take_quantizer(self, quantizer):
        """Lets the Python object of a quantizer stand for the one that this index has."""
        try:
            part = self._quantizer_handle()
        except NotImplementedError:  # before FAISS 1.12 nothing can be done to it here
            return
        take_part(self, quantizer, part)
        self.__dict__["_taken"] = weakref.ref(quantizer)

    def _quantizer_handle(self):
        h = api.IndexBinaryIVF_quantizer(self._h)
        if not h:  # FAISS 1.10
            raise NotImplementedError("faiss.IndexBinaryIVF.quantizer: this FAISS does not find it")
        return h

    def _replaced(self):
        """The index has another object in C, and so has its quantizer's Python object."""
        quantizer = self.__dict__.get("_taken", lambda: None)()
        if quantizer is not None:
            self._take_quantizer(quantizer)

    @property
    def quantizer(self):
        return _io.wrap_part(self, self._quantizer_handle(), binary=True)

    @changes
    def make_direct_map(self, new_maintain_direct_map=True):
        call("IndexBinaryIVF_make_direct_map", self._h, int(new_maintain_direct_map))

    @changes
    def set_direct_map_type(self, kind):
        call("IndexBinaryIVF_set_direct_map", self._h, int(kind))

    @property
    def direct_map(self):
        return _Map(self)

    def _map_type(self):
        return _fields.get_field(self, "direct_map").type

    @changes
    def merge_from(self, other, add_id=0):
        call("IndexBinaryIVF_merge_from", self._h, other._h, add_id)

    def get_list_size(self, i):
        return call("IndexBinaryIVF_get_list_size", self._h, i)

    def imbalance_factor(self):
        return api.IndexBinaryIVF_imbalance_factor(self._h)

    def print_stats(self):
        api.IndexBinaryIVF_print_stats(self._h)

    def search_preassigned(self, x, k, Iq, Dq):
        """As search(), with the inverted lists to be searched for each row of x."""
        x, n = table(x, self.code_size, codes)
        D, I = _found_arrays(n, k)
        Iq, Dq = assigned(Iq, Dq, (n, self.nprobe), "int32")
        call("IndexBinaryIVF_search_preassigned", self._h, n, address(x), k, address(Iq),
             address(Dq), address(D), address(I), 0, None)
        return D, I


def _described(name, doc, describe):
    def __init__(self, *args):
        self._describe(args[0], describe(*args))

    return _register(type(name, (_FromDescription, IndexBinary),
                          {"__init__": __init__, "__doc__": doc}))


IndexBinaryHNSW = _described("IndexBinaryHNSW", "A graph over binary vectors.",
                             lambda d, M=32: f"BHNSW{M}")
IndexBinaryHash = _described("IndexBinaryHash", "A hash table of binary vectors.",
                             lambda d, b: f"BHash{b}")
IndexBinaryMultiHash = _described("IndexBinaryMultiHash", "Hash tables of binary vectors.",
                                  lambda d, nhash, b: f"BHash{nhash}x{b}")


def _abstract(name):
    def __init__(self, *args, **kwargs):
        raise NotImplementedError(f"faiss.{name}: FAISS's C API has no constructor for it")

    return _register(type(name, (IndexBinary,),
                          {"__init__": __init__,
                           "__doc__": "A class without a constructor in FAISS's C API."}))


IndexBinaryFromFloat = _abstract("IndexBinaryFromFloat")
IndexBinaryIDMap = _abstract("IndexBinaryIDMap")
IndexBinaryIDMap2 = _abstract("IndexBinaryIDMap2")
IndexBinaryHNSWCagra = _abstract("IndexBinaryHNSWCagra")
assert DirectMap
