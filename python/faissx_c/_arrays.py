# SPDX-License-Identifier: Apache-2.0
"""Arrays: their addresses, the checks that FAISS's module makes, and vectors of numbers."""
import ctypes
import sys
import warnings

import numpy as np

Float32, Float16, UInt8, Int8 = 0, 1, 2, 3  # faiss.NumericType


# An array object begins with the head of every object and the address of its data; that is part of
# NumPy's C interface.  Reading it there takes 0.2 us, and 1.4 us through __array_interface__.
WORD = ctypes.c_size_t.from_address
HEAD = object.__basicsize__


def _slow_address(a):
    return a.__array_interface__["data"][0]


def address(a):
    """Returns the address of an array's data."""
    return WORD(id(a) + HEAD).value


FAST = sys.implementation.name == "cpython" and all(
    address(a) == _slow_address(a) for a in (np.zeros(3), np.zeros((2, 5), "int8")[1:]))
if not FAST:
    address = _slow_address  # noqa: F811


# Given as objects, which NumPy need not look up by their names in each call.
_FLOAT32, _INT64 = np.dtype("float32"), np.dtype("int64")
_contiguous = np.ascontiguousarray


def f32(x):
    """Returns x as a contiguous array of float32, which is x itself if it is one."""
    return _contiguous(x, _FLOAT32)


def i64(x):
    """Returns x as a contiguous array of int64."""
    return _contiguous(x, _INT64)


def codes(x):
    """Returns x, of uint8, as a contiguous array."""
    if x.dtype != "uint8":
        raise TypeError(f"Input argument codes must be ndarray of dtype uint8, but found {x.dtype}")
    return np.ascontiguousarray(x)


def table(x, width, convert=f32):
    """Returns x converted, and how many rows it has; it must have `width` columns."""
    rows, columns = x.shape
    assert columns == width, f"{columns} columns, expected {width}"
    return convert(x), rows


def assigned(lists, distances, shape, dtype):
    """Returns the inverted lists that are to be searched for each query, and the distances to
    their centroids, 0 if they are not given."""
    if distances is None:
        distances = np.zeros(shape, dtype)
    for what in (lists, distances):
        assert what.shape == shape, f"an array of {what.shape} for queries and lists, not {shape}"
    return i64(lists), np.ascontiguousarray(distances, dtype)


def result(given, shape, dtype):
    """Returns the array that results are to be written to: `given`, after checks, or a new one."""
    if given is None:
        return np.empty(shape, dtype=dtype)
    assert given.shape == shape
    if given.dtype != dtype:
        raise ValueError(f"the array for results must be of {np.dtype(dtype)}, not {given.dtype}")
    if not given.flags.c_contiguous:
        raise ValueError("array is not C-contiguous")
    return given


class Pointer:
    """The address of numbers of one type, as swig_ptr() returns it.  Keeps the array alive."""

    def __init__(self, address, dtype, owner=None):
        self.address, self.dtype, self.owner = address, np.dtype(dtype), owner

    def __int__(self):
        return self.address

    def __bool__(self):
        return self.address != 0

    def __getstate__(self):
        """For copy and pickle: the numbers might be gone before the copy."""
        raise TypeError("a pointer cannot be copied or pickled")

    def __eq__(self, other):
        return isinstance(other, Pointer) and other.address == self.address

    __hash__ = None


_POINTED = {np.dtype(t) for t in (
    "float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "uint32",
    "int64", "uint64", "bool")}


def swig_ptr(a):
    """Returns the address of an array, for functions that take a pointer."""
    if isinstance(a, (bytes, bytearray)):
        a = np.frombuffer(a, dtype="uint8")
    if not isinstance(a, np.ndarray):
        raise ValueError("input not a numpy array")
    if not a.flags.c_contiguous:
        raise ValueError("array is not C-contiguous")
    if a.dtype not in _POINTED:
        raise ValueError("did not recognize array type")
    return Pointer(address(a), a.dtype, a)


def rev_swig_ptr(pointer, n):
    """Returns an array of n numbers at an address, without copying."""
    if not isinstance(pointer, Pointer):
        raise ValueError("type of pointer not recognized")
    if n == 0:
        return np.empty(0, pointer.dtype)
    memory = (ctypes.c_char * (n * pointer.dtype.itemsize)).from_address(pointer.address)
    memory.owner = pointer.owner
    a = np.frombuffer(memory, pointer.dtype)
    a.flags.writeable = _writeable(pointer)
    return a


def _writeable(pointer):
    return getattr(getattr(pointer.owner, "flags", None), "writeable", True)


def pointer(p, dtype, what, n=0):
    """Returns the address of numbers of a type, for a function that does not know how many there
    are: p is a pointer to such numbers, or an array of at least n of them."""
    given = type(p).__name__
    if isinstance(p, (Pointer, np.ndarray)):
        if p.dtype == dtype:
            if isinstance(p, Pointer):
                return p.address
            if p.flags.c_contiguous and p.size >= n:
                return address(p)
            given = f"an array of {p.size} that is " + ("too small" if p.flags.c_contiguous else
                                                        "not C-contiguous")
        else:
            given += f" of {p.dtype}"
    raise TypeError(f"{what}: expected a pointer to {dtype} or an array of it, got {given}")


def take(pointer, n, dtype, shape=None):
    """Returns a copy of n numbers that a C pointer points to."""
    if not n:
        return np.empty(shape or 0, dtype)
    source = ctypes.cast(pointer, ctypes.c_void_p).value
    a = np.empty(shape or n, dtype)
    ctypes.memmove(address(a), source, a.nbytes)
    return a


class _Vector:
    """A vector of numbers, like std::vector.  One that was taken from an object is a copy."""

    dtype = np.dtype("float32")

    def __init__(self, *args):
        n = args[0] if args and isinstance(args[0], int) else 0
        self._a = np.zeros(n, self.dtype)

    @classmethod
    def _of(cls, a):
        v = cls()
        v._a = np.ascontiguousarray(a, cls.dtype).reshape(-1)
        return v

    def size(self):
        return self._a.size

    def __len__(self):
        return self._a.size

    def at(self, i):
        return self._a[i].item()

    __getitem__ = at

    _read_only = None  # why it cannot be written to

    def _write(self):
        if self._read_only:
            raise NotImplementedError(self._read_only)

    def _lock(self, why):
        """Lets nobody write to it.  Returns it."""
        self._read_only = why
        self._a = self._a.view()
        self._a.flags.writeable = False
        return self

    def set(self, i, value):
        self._write()
        self._a[i] = value

    def push_back(self, value):
        self._write()
        self._a = np.append(self._a, np.asarray([value], self.dtype))

    def clear(self):
        self._write()
        self._a = np.zeros(0, self.dtype)

    def resize(self, n):
        self._write()
        a = np.zeros(n, self.dtype)
        k = min(n, self._a.size)
        a[:k] = self._a[:k]
        self._a = a

    def data(self):
        return swig_ptr(self._a)

    def swap(self, other):
        self._write()
        other._write()
        self._a, other._a = other._a, self._a


class _VectorVector:
    """A vector of vectors of numbers."""

    kind = None

    def __init__(self, n=0):
        self._v = [self.kind() for _ in range(n)]

    def size(self):
        return len(self._v)

    def at(self, i):
        return self._v[i]

    def push_back(self, v):
        self._v.append(v)

    def resize(self, n):
        self._v = (self._v + [self.kind() for _ in range(n)])[:n]


_NAMES = ("Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32",
          "UInt64")
_OLD_NAMES = {"Float": "Float32", "Double": "Float64", "Char": "Int8", "Int": "Int32",
              "Long": "Int64", "LongLong": "Int64", "Byte": "UInt8", "Uint64": "UInt64"}
VECTORS = {}
for _name in _NAMES:
    _c = type(_name + "Vector", (_Vector,), {"dtype": np.dtype(_name.lower())})
    VECTORS[_c.__name__] = _c
    _m = type("MaybeOwnedVector" + _name, (_c,), {"is_owned": True})
    VECTORS[_m.__name__] = _m
    _v = type(_name + "VectorVector", (_VectorVector,), {"kind": _c})
    VECTORS[_v.__name__] = _v


def _renamed(old, new):
    base = VECTORS[new]

    def __new__(cls, *args):
        warnings.warn(f"The class faiss.{old} is deprecated in favour of faiss.{new}!",
                      DeprecationWarning, stacklevel=2)
        return base.__new__(cls)

    VECTORS[old] = type(old, (base,), {"__new__": __new__})


for _old, _new in _OLD_NAMES.items():
    _renamed(_old + "Vector", _new + "Vector")
    if _old in ("Float", "Long", "Byte"):
        _renamed(_old + "VectorVector", _new + "VectorVector")


def vector(a):
    """Returns the vector with the numbers of an array."""
    return VECTORS[{"f": "Float", "i": "Int", "u": "UInt"}[a.dtype.kind]
                   + f"{a.dtype.itemsize * 8}Vector"]._of(a)


def vector_to_array(v):
    """Returns the numbers of a vector as an array."""
    assert isinstance(v, _Vector), f"{type(v).__name__} is not a vector of numbers"
    return v._a.copy()


vector_float_to_array = vector_to_array


def copy_array_to_vector(a, v):
    """Replaces the content of a vector by that of an array."""
    (n,) = a.shape
    assert isinstance(v, _Vector), f"{type(v).__name__} is not a vector of numbers"
    assert v.dtype == a.dtype, \
        f"cannot copy a {a.dtype} array to a {type(v).__name__} (should be {v.dtype})"
    v._write()
    v._a = a.copy()


def AlignedTable_to_array(v):
    """Returns the numbers of an aligned table as an array."""
    return v._a.copy()


class _AlignedTable(_Vector):
    def itemsize(self):
        return self.dtype.itemsize

    def get(self):
        return self.data()


for _name in ("UInt8", "UInt16", "Float32"):
    _c = type("AlignedTable" + _name.replace("UInt", "Uint").replace("Float", "Float"),
              (_AlignedTable,), {"dtype": np.dtype(_name.lower())})
    VECTORS[_c.__name__] = _c


def copy_array_to_AlignedTable(a, v):
    """Replaces the content of an aligned table by that of an array."""
    (n,) = a.shape
    assert v.itemsize() == a.itemsize
    v._a = a.view(v.dtype).copy()


def array_to_AlignedTable(a):
    """Returns an aligned table with the numbers of an array."""
    assert a.dtype in ("uint16", "uint8")
    v = VECTORS["AlignedTableUint16" if a.dtype == "uint16" else "AlignedTableUint8"](a.size)
    copy_array_to_AlignedTable(a, v)
    return v


def memcpy(destination, source, n):
    """Copies n bytes between addresses, which may be arrays as well."""
    to, of = (p if isinstance(p, Pointer) else swig_ptr(p) for p in (destination, source))
    if not _writeable(to):
        raise NotImplementedError("faiss.memcpy: the destination is a copy of what an object has")
    ctypes.memmove(int(to), int(of), n)


assert sys.byteorder == "little"
