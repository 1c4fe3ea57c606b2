# SPDX-License-Identifier: Apache-2.0
"""Indexes of float vectors: what every class of them can do."""
import numpy as np

from . import _fields, _io
from ._api import api, call, error, lent, make
from ._arrays import Float32, _Vector, address, codes, i64, pointer, result, table, take
from ._objects import Object, changes, handle, with_properties
from ._selectors import SearchParameters, c_params, range_result, selector_of

import ctypes

_search, _add, _ntotal, _d = api.Index_search, api.Index_add, api.Index_ntotal, api.Index_d
_float32, _int64 = np.dtype("float32"), np.dtype("int64")
_empty = np.empty


# Their codes are in the order of the vectors, in one piece of the file.
_MERGED_BY_FILE = {"IndexFlat", "IndexFlatL2", "IndexFlatIP", "IndexPQ", "IndexScalarQuantizer",
                   "IndexLSH", "IndexResidualQuantizer", "IndexLocalSearchQuantizer",
                   "IndexRaBitQ"}


def _only_float32(numeric_type, what):
    if numeric_type != Float32:
        if numeric_type not in (1, 3):
            raise ValueError("numeric type must be either faiss.Float32, faiss.Float16, "
                             "or faiss.Int8")
        raise NotImplementedError(f"{what}: numeric_type: FAISS's C API takes float32 only")


@with_properties()
class Index(Object):
    """An index of float vectors."""

    _free = "Index_free"
    _dim = None

    def __init__(self, *args):
        raise AttributeError("No constructor defined - class is abstract")

    # d is asked for in every call, and changes in few.
    @property
    def d(self):
        d = self._dim
        if d is None:
            d = _d(self._h)
            if d:
                self.__dict__["_dim"] = d
        return d

    @d.setter
    def d(self, value):
        raise NotImplementedError("faiss.Index.d: FAISS's C API cannot set it")

    def _resized(self):
        self.__dict__["_dim"] = None

    def __setattr__(self, name, value):
        if name[0] == "_" or name in ("thisown", "referenced_objects") or \
                hasattr(type(self), name) or name in self.__dict__:
            if self._copy_of and name[0] != "_":
                self._changed(name)
            object.__setattr__(self, name, value)
        elif name == "this":
            raise NotImplementedError("faiss.Index.this: cannot be set")
        else:
            _fields.set_field(self, name, value)

    def __getattr__(self, name):
        return _fields.get_field(self, name)

    # --- contents ---

    @changes
    def train(self, x, *, numeric_type=Float32, xq_train=None):
        """Trains the index with the rows of x."""
        _only_float32(numeric_type, "faiss.Index.train")
        if xq_train is not None:
            raise NotImplementedError("faiss.Index.train: xq_train: FAISS's C API has no "
                                      "train_with_queries")
        x, n = table(x, self.d)
        if api.Index_train(self._h, n, address(x)):
            raise error("Index_train")

    def add(self, x, numeric_type=Float32):
        """Adds the rows of x, which get the numbers from ntotal on."""
        if self._copy_of:
            self._changed("add")
        if numeric_type != Float32:
            _only_float32(numeric_type, "faiss.Index.add")
        x, n = table(x, self._dim or self.d)
        if _add(self._h, n, address(x)):
            raise error("Index_add")

    @changes
    def add_with_ids(self, x, ids, numeric_type=Float32):
        """Adds the rows of x under the given ids."""
        _only_float32(numeric_type, "faiss.Index.add_with_ids")
        x, n = table(x, self.d)
        ids = _one_for_each(ids, n)
        if api.Index_add_with_ids(self._h, n, address(x), address(ids)):
            raise error("Index_add_with_ids")

    @changes
    def reset(self):
        """Removes all vectors."""
        call("Index_reset", self._h)

    @changes
    def remove_ids(self, x):
        """Removes vectors: those of a selector, or those with the ids of an array.  Returns how
        many."""
        removed = ctypes.c_size_t()
        with selector_of(x).native() as selector:
            try:
                call("Index_remove_ids", self._h, selector, ctypes.addressof(removed))
            except RuntimeError as e:
                if "IDSelectorArray" not in str(e):
                    raise
                raise NotImplementedError(
                    f"faiss.{type(self).__name__}.remove_ids: with a direct map of type Hashtable: "
                    "FAISS's C API has no IDSelectorArray") from None
        return removed.value

    @changes
    def merge_from(self, other, add_id=0):
        """Moves the vectors of another index into this one."""
        h = handle(other, Index, "faiss.Index.merge_from")
        if type(self).__name__ in _MERGED_BY_FILE and not add_id and self.thisown and \
                not self.__dict__.get("_published"):
            from ._compose import merged
            if other.__dict__.get("_published"):
                # What others add after its bytes were read would be lost.
                raise NotImplementedError(f"faiss.{type(self).__name__}.merge_from: FAISS's C API "
                                          "cannot merge from a published index")
            self.check_compatible_for_merge(other)
            merged(self, other)
            return
        try:
            call("Index_merge_from", self._h, h, add_id)
        except NotImplementedError:
            raise NotImplementedError(f"faiss.{type(self).__name__}.merge_from: FAISS's C API "
                                      "merges IVF indexes only") from None

    def check_compatible_for_merge(self, other):
        """Raises an error unless merge_from(other) is possible."""
        if type(other) is not type(self):
            raise RuntimeError("can only merge indexes of the same type")
        if other.d != self.d:
            raise RuntimeError("can only merge indexes of the same dimension")
        if hasattr(type(self), "nlist") and other.nlist != self.nlist:
            raise RuntimeError("Error: 'other->nlist == nlist' failed: can only merge indexes "
                               "with the same number of lists")
        if type(self).__name__ in _MERGED_BY_FILE or hasattr(type(self), "nlist"):
            if other.sa_code_size() != self.sa_code_size():
                raise RuntimeError("Error: 'other->code_size == code_size' failed: can only merge "
                                   "indexes with codes of the same size")

    # --- searches ---

    def search(self, x, k, *, params=None, D=None, I=None, numeric_type=Float32):
        """Returns the distances and labels of the k nearest neighbours of each row of x."""
        x, n = table(x, self._dim or self.d)
        if D is None and I is None and k > 0:
            D, I = _empty((n, k), _float32), _empty((n, k), _int64)
        else:
            D, I = found_arrays(n, k, D, I)
        if params is not None or numeric_type:
            self._search_with(n, x, k, params, D, I, numeric_type)
        elif _search(self._h, n, address(x), k, address(D), address(I)):
            raise error("Index_search")
        return D, I

    def _search_with(self, n, x, k, params, D, I, numeric_type):
        _only_float32(numeric_type, "faiss.Index.search")
        with c_params(params, self) as p:
            if api.Index_search_with_params(self._h, n, address(x), k, p, address(D), address(I)):
                raise error("Index_search_with_params")

    def assign(self, x, k, labels=None):
        """Returns the labels of the k nearest neighbours of each row of x."""
        x, n = table(x, self.d)
        labels = result(labels, (n, k), "int64")
        if api.Index_assign(self._h, n, address(x), address(labels), k):
            raise error("Index_assign")
        return labels

    def range_search(self, x, thresh, *, params=None):
        """Returns all neighbours within a distance: lims, D, I.  Those of row i are at
        lims[i]:lims[i + 1]."""
        x, n = table(x, self.d)
        thresh = float(thresh)
        selector = self._range_selector(params)
        found = range_result("Index_range_search", self._h, n, address(x), thresh)
        return found if selector is None else _select(found, selector)

    def _range_selector(self, params):
        """The selector of a range search.  The C API's has no parameters: a selector alone is
        applied to the results, which is the same where all candidates are compared."""
        if params is None:
            return None
        if type(params) is not SearchParameters or params.sel is None:
            raise NotImplementedError("faiss.Index.range_search: params: FAISS's C API has no "
                                      "range search with parameters")
        return params.sel

    def search_and_reconstruct(self, x, k, *, params=None, D=None, I=None, R=None):
        """As search(), and returns the vectors that were found, too."""
        d = self.d
        R = result(R, (len(x), k, d), "float32")
        D, I = self.search(x, k, params=params, D=D, I=I)
        self._fill(I.reshape(-1), R.reshape(-1, d))
        return D, I, R

    def _fill(self, keys, out):
        found = keys >= 0
        out.view("int32")[~found] = -1
        if found.any():
            out[found] = self._vectors(keys[found])

    def _vectors(self, keys):
        return self.reconstruct_batch(keys)

    # --- vectors ---

    def reconstruct(self, key, x=None):
        """Returns the vector with this id, as the index has it."""
        x = result(x, (self.d,), "float32")
        call("Index_reconstruct", self._h, key, address(x))
        return x

    def reconstruct_batch(self, key, x=None):
        """Returns the vectors with these ids."""
        key = i64(key)
        n = key.size
        key = _one_for_each(key, n)
        x = result(x, (n, self.d), "float32")
        if not n:
            return x
        try:
            call("Index_reconstruct_batch", self._h, n, address(key), address(x))
        except NotImplementedError:
            for i in range(n):
                self.reconstruct(int(key[i]), x[i])
        return x

    def reconstruct_n(self, n0=0, ni=-1, x=None):
        """Returns ni vectors from id n0 on, by default all."""
        if ni == -1:
            ni = self.ntotal - n0
        x = result(x, (ni, self.d), "float32")
        call("Index_reconstruct_n", self._h, n0, ni, address(x))
        return x

    def compute_residual(self, x, residual=None, key=None):
        """Writes x minus the vector with id `key` to residual; arrays or pointers."""
        what, d = "faiss.Index.compute_residual", self.d
        call("Index_compute_residual", self._h, pointer(x, "float32", what, d),
             pointer(residual, "float32", what, d), key)

    def compute_residual_n(self, n, x, residuals, keys):
        """As compute_residual, for n vectors."""
        what, size = "faiss.Index.compute_residual_n", n * self.d
        call("Index_compute_residual_n", self._h, n, pointer(x, "float32", what, size),
             pointer(residuals, "float32", what, size), pointer(keys, "int64", what, n))

    # --- as a codec ---

    def sa_code_size(self):
        """Returns the number of bytes of a code."""
        n = ctypes.c_size_t()
        call("Index_sa_code_size", self._h, ctypes.addressof(n))
        # In some releases this function of the C API does not set the number.
        return n.value or _fields.standalone_size(self)

    def sa_encode(self, x, codes=None):
        """Returns the codes of the rows of x."""
        x, n = table(x, self.d)
        out = result(codes, (n, self.sa_code_size()), "uint8")
        call("Index_sa_encode", self._h, n, address(x), address(out))
        return out

    def sa_decode(self, codes, x=None):
        """Returns the vectors of codes."""
        codes, n = table(codes, self.sa_code_size(), _codes)
        x = result(x, (n, self.d), "float32")
        call("Index_sa_decode", self._h, n, address(codes), address(x))
        return x

    # --- the object itself ---

    def get_distance_computer(self):
        raise NotImplementedError("faiss.Index.get_distance_computer: FAISS's C API has none")

    def __getstate__(self):
        return {"this": _io.serialize_index(self).tobytes()}

    def __setstate__(self, state):
        self._steal(_io.deserialize_index(np.frombuffer(state["this"], "uint8")))


_codes = codes


def _one_for_each(ids, n):
    """Returns the ids of n vectors as int64."""
    assert ids.shape == (n,), f"not same nb of vectors as ids: {n} and an array of {ids.shape}"
    return i64(ids)


def found_arrays(n, k, D=None, I=None):
    """Returns the arrays for k results of n queries, of which D and I may be given."""
    assert k > 0, f"k is {k}, and must be positive"
    shape = (n, k)
    return (_empty(shape, _float32) if D is None else result(D, shape, "float32"),
            _empty(shape, _int64) if I is None else result(I, shape, "int64"))


def _select(found, selector):
    """Of the results of a range search, those whose ids a selector accepts."""
    lims, D, I = found
    keep = selector.members(I)
    before = np.concatenate([[0], np.cumsum(keep)])
    return before[lims.astype("int64")].astype(lims.dtype), D[keep], I[keep]


def lent_vector(function, h, ctype, dtype, kind=None):
    """The content of a vector that the C API lends, as a copy."""
    from ._arrays import vector
    first, n = lent(function, h, ctype)
    v = vector(take(first, n, dtype))
    return v._lock(f"faiss_{function}: FAISS's C API only reads it")


assert make and _Vector
