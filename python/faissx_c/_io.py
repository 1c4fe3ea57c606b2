# SPDX-License-Identifier: Apache-2.0
"""Reading, writing and copying indexes, and finding the class of one."""
import io
import os
import weakref

import numpy as np

from . import _format, _streams
from ._api import api, call, faiss_refused, fourcc, is_remote, make
from ._arrays import VECTORS, Pointer, _Vector, copy_array_to_vector, rev_swig_ptr, vector_to_array
from ._arrays import swig_ptr

IO_FLAG_SKIP_STORAGE = 1
IO_FLAG_READ_ONLY = 2
IO_FLAG_ONDISK_SAME_DIR = 4
IO_FLAG_SKIP_IVF_DATA = 8
IO_FLAG_SKIP_PRECOMPUTE_TABLE = 16
IO_FLAG_PQ_SKIP_SDC_TABLE = 32
IO_FLAG_MMAP = IO_FLAG_SKIP_IVF_DATA | 0x646F0000
IO_FLAG_MMAP_IFC = 1 << 9

INDEX_CLASSES = {}  # name -> class, filled by the modules that define them

# The classes that the C API can tell by itself, the most derived first.
_CASTS = ("IndexIDMap2", "IndexIDMap", "IndexIVFScalarQuantizer", "IndexIVFFlat", "IndexIVF",
          "IndexFlat1D", "IndexFlatL2", "IndexFlatIP", "IndexFlat", "IndexScalarQuantizer",
          "IndexLSH", "IndexPreTransform", "IndexRefineFlat", "IndexShards", "IndexReplicas")


def _fourcc(h, binary):
    """The first four bytes of an index's file; fewer if FAISS cannot write it."""
    if is_remote(h):
        try:
            return fourcc(h)
        except NotImplementedError:  # an older server
            pass
        except RuntimeError as e:
            if not faiss_refused(e):
                raise
            return b""
    writer = api.write_index_binary if binary else api.write_index
    return _streams.first_bytes(lambda f: writer(h, f), 4)


def _name_of(h, binary):
    name = _format.class_of(_fourcc(h, binary))
    if name == "IndexFlatL2" and api.IndexFlat1D_cast(h):
        return "IndexFlat1D"
    if name or binary:
        return name or "IndexBinary"
    for cast in _CASTS:
        if getattr(api, cast + "_cast")(h):
            return cast
    return "Index"


def wrap(h, owner=None, name=None, binary=False):
    """Returns the Python object of an index: of the class with this name, or else of the one that
    its file would name."""
    name = name or _name_of(h, binary)
    cls = INDEX_CLASSES.get(name) or INDEX_CLASSES["IndexBinary" if binary else "Index"]
    if name == "IndexRefine" and api.IndexRefineFlat_cast(h):
        cls = INDEX_CLASSES["IndexRefineFlat"]
    return cls._wrap(h, owner)


def wrap_part(whole, h, binary=False):
    """Returns the Python object of h, an index that belongs to `whole`: the same one for as long as
    the program has it."""
    taken = whole.__dict__.get("_taken", lambda: None)()
    if taken is None or taken._h != h:
        taken = wrap(h, whole, None, binary)
        whole.__dict__["_taken"] = weakref.ref(taken)
    return taken


# --- streams of Python ---


class IOWriter:
    """Takes the bytes of an index.  Derived classes define _write(bytes)."""

    name = ""

    def __call__(self, pointer, size, n):
        data = rev_swig_ptr(pointer, size * n * 1) if isinstance(pointer, Pointer) else pointer
        self._write(np.asarray(data).view("uint8")[:size * n].tobytes())
        return n

    def write_bytes(self, b):
        self._write(bytes(b))
        return len(b)


class VectorIOWriter(IOWriter):
    """Collects the bytes in `data`."""

    def __init__(self):
        self.data = VECTORS["UInt8Vector"]()

    def _write(self, b):
        self.data._a = np.concatenate([self.data._a, np.frombuffer(b, "uint8")])


class FileIOWriter(IOWriter):
    """Writes to a file."""

    def __init__(self, name):
        self.name = name
        try:
            self._f = open(name, "wb")
        except OSError as e:
            raise RuntimeError(f"could not open {name} for writing: {e.strerror}") from None

    def _write(self, b):
        self._f.write(b)
        self._f.flush()


class PyCallbackIOWriter(IOWriter):
    """Calls a function with the bytes, at most bs at a time."""

    def __init__(self, callback, bs=1024 * 1024):
        self._callback, self._bs = callback, bs

    def _write(self, b):
        for i in range(0, len(b), self._bs):
            self._callback(b[i:i + self._bs])


class BufferedIOWriter(IOWriter):
    """Passes bytes on to another writer."""

    def __init__(self, writer, bsz=1024 * 1024):
        self._writer, self._bs, self._kept = writer, bsz, b""

    def _write(self, b):
        kept = memoryview(self._kept + b)
        while len(kept) >= self._bs:
            self._writer._write(bytes(kept[:self._bs]))
            kept = kept[self._bs:]
        self._kept = bytes(kept)

    def __del__(self):
        if self._kept:
            self._writer._write(self._kept)


class IOReader:
    """Gives the bytes of an index.  Derived classes define _read(n), which may return fewer."""

    name = ""
    _ahead = 0  # so many bytes may be read before FAISS asks for them; _unread() gets those back

    def _all(self):
        """The rest, and a function that gives bytes back that were not used."""
        parts = []
        while True:
            b = self._read(1 << 20)
            if not b:
                break
            parts.append(b)
        data = b"".join(parts)
        return data

    def _unread(self, b):
        self._rest = b + self._rest

    _rest = b""

    def _take(self):
        rest, self._rest = self._rest, b""
        return rest + self._all()

    def read_bytes(self, n):
        out = bytearray()
        if self._rest:
            out += self._rest[:n]
            self._rest = self._rest[n:]
        while len(out) < n:
            b = self._read(n - len(out))
            if not b:
                break
            out += b
        return bytes(out)

    def __call__(self, pointer, size, n):
        b = self.read_bytes(size * n)
        target = rev_swig_ptr(pointer, len(b) // pointer.dtype.itemsize).view("uint8")
        target[:len(b)] = np.frombuffer(b, "uint8")
        return len(b) // size


class VectorIOReader(IOReader):
    """Reads from `data`."""

    _ahead = 1 << 20

    def __init__(self):
        self.data, self._at = VECTORS["UInt8Vector"](), 0

    def _read(self, n):
        b = self.data._a[self._at:self._at + n].tobytes()
        self._at += len(b)
        return b


class FileIOReader(IOReader):
    """Reads from a file."""

    _ahead = 1 << 20

    def __init__(self, name):
        self.name = name
        try:
            self._f = open(name, "rb")
        except OSError as e:
            raise RuntimeError(f"could not open {name} for reading: {e.strerror}") from None

    def _read(self, n):
        return self._f.read(n)


class PyCallbackIOReader(IOReader):
    """Reads what a function returns, which is called with the number of bytes wanted.

    If it is the read() of a file that can be positioned, more is read than FAISS asks for, and the
    file is set back.  Others, such as that of a socket, might wait for ever for such bytes: they
    are asked for each byte, which is slow; a BufferedIOReader helps.
    """

    def __init__(self, callback, bs=1024 * 1024):
        self._callback, self._bs = callback, bs
        self._file = getattr(callback, "__self__", None)
        if isinstance(self._file, io.IOBase) and callback.__name__ == "read" and \
                self._file.seekable():
            self._ahead = bs
        else:
            self._file = None

    def _unread(self, b):
        if self._file and b:
            self._file.seek(-len(b), io.SEEK_CUR)
        else:
            super()._unread(b)

    def _read(self, n):
        return self._callback(min(n, self._bs))


class BufferedIOReader(IOReader):
    """Reads from another reader, in large pieces, as long as there are any."""

    def __init__(self, reader, bsz=1024 * 1024):
        self._reader, self._ahead = reader, bsz

    def _read(self, n):
        return self._reader.read_bytes(n)


# --- indexes ---


def _serialize(h, binary=False):
    name = "write_index_binary" if binary else "write_index"
    return _streams.written(lambda f: call(name, h, f))


def serialize_index(index, io_flags=0):
    """Returns the bytes of an index's file as an array."""
    _no_flags("serialize_index", io_flags)
    return _serialize(index._h)


def serialize_index_binary(index):
    """Returns the bytes of a binary index's file as an array."""
    return _serialize(index._h, True)


def _no_flags(what, io_flags):
    if io_flags:
        raise NotImplementedError(
            f"faiss.{what}: io_flags: FAISS's C API writes without flags")


def _deserialize(data, io_flags, binary=False):
    """Returns the index whose file has these bytes, and how many of them it took."""
    name = "read_index_binary" if binary else "read_index"
    data = np.ascontiguousarray(data)
    h, used = _streams.reading(data, lambda f: _read_at(name, f, io_flags))
    return wrap(h, None, _format.class_of(data[:4].tobytes()), binary), used


def _read_at(name, f, io_flags):
    return make(name, f, io_flags)


def deserialize_index(data, io_flags=0):
    """Returns the index whose file has the bytes of an array."""
    return _deserialize(data, io_flags)[0]


def deserialize_index_binary(data):
    """Returns the binary index whose file has the bytes of an array."""
    return _deserialize(data, 0, True)[0]


def _is_published(name):
    """Whether a file's name is that of an index on the server."""
    name = os.fspath(name)
    prefixes = [p.partition("=")[0] for p in os.environ.get("FAISSX_PATH_MAP", "").split(",")]
    return name.startswith(("faissx://", *filter(None, prefixes)))


def _write(index, to, io_flags, binary):
    kind = "write_index_binary" if binary else "write_index"
    _no_flags(kind, io_flags)
    if isinstance(to, (str, os.PathLike)):
        call(kind + "_fname", index._h, os.fsencode(to))
        if _is_published(to):
            index.__dict__["_published"] = True
    elif isinstance(to, IOWriter):
        to._write(_serialize(index._h, binary).tobytes())
    else:
        raise TypeError(f"faiss.{kind}: expected a file's name or an IOWriter, "
                        f"got {type(to).__name__}")


def write_index(index, to, io_flags=0):
    """Writes an index to a file, given by its name, or to an IOWriter."""
    _write(index, to, io_flags, False)


def write_index_binary(index, to, io_flags=0):
    """As write_index, for a binary index."""
    _write(index, to, io_flags, True)


def _read(of, io_flags, binary):
    kind = "read_index_binary" if binary else "read_index"
    if isinstance(of, (str, os.PathLike)):
        h = make(kind + "_fname", os.fsencode(of), io_flags)
        published = _is_published(of)  # a file of the same name may be another index
        index = wrap(h, None, None if published else _name_of_file(of), binary)
        if published:
            index.__dict__["_published"] = True
        return index
    if isinstance(of, IOReader):
        code = of.read_bytes(4)
        of._unread(code)
        h, unread = _streams.reading_on_demand(
            of.read_bytes, lambda f: _read_at(kind, f, io_flags), of._ahead)
        of._unread(unread)
        return wrap(h, None, _format.class_of(code), binary)
    if hasattr(of, "data") and isinstance(of.data, _Vector):
        return _deserialize(of.data._a, io_flags, binary)[0]
    raise TypeError(f"faiss.{kind}: expected a file's name or an IOReader, got {type(of).__name__}")


def _name_of_file(name):
    try:
        with open(name, "rb") as f:
            return _format.class_of(f.read(4))
    except (OSError, ValueError):
        return None


def read_index(of, io_flags=0):
    """Reads an index from a file, given by its name, or from an IOReader."""
    return _read(of, io_flags, False)


def read_index_binary(of, io_flags=0):
    """As read_index, for a binary index."""
    return _read(of, io_flags, True)


def clone_index(index):
    """Returns a copy of an index."""
    copy = type(index)._wrap(make("clone_index", index._h))
    if "_cp" in index.__dict__:
        copy.__dict__["_cp"] = index.cp
    return copy


def clone_binary_index(index):
    """Returns a copy of a binary index."""
    return type(index)._wrap(make("clone_index_binary", index._h))


def downcast_index(index):
    """Returns the index as an object of its own class: here every object has it already."""
    return index


downcast_IndexBinary = downcast_VectorTransform = downcast_index
downcast_InvertedLists = downcast_AdditiveQuantizer = downcast_Quantizer = downcast_index

assert swig_ptr and vector_to_array and copy_array_to_vector
