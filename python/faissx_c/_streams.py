# SPDX-License-Identifier: Apache-2.0
"""Streams of the C library, for the functions of FAISS's C API that take a FILE *."""
import ctypes
import ctypes.util

import numpy as np

_c = ctypes.CDLL(None)
_c.open_memstream.restype = ctypes.c_void_p
_c.open_memstream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
_c.fmemopen.restype = ctypes.c_void_p
_c.fmemopen.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
_c.fclose.argtypes = [ctypes.c_void_p]
_c.fopen.restype = ctypes.c_void_p
_c.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
_c.free.argtypes = [ctypes.c_void_p]
_c.ftell.restype = ctypes.c_long
_c.ftell.argtypes = [ctypes.c_void_p]

_c.setvbuf.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
_IOFBF, _IONBF = 0, 2

_WRITE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_READ = _WRITE
_SEEK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64), ctypes.c_int)
_SEEK_CUR = 1


class _Functions(ctypes.Structure):
    _fields_ = [("read", ctypes.c_void_p), ("write", ctypes.c_void_p), ("seek", ctypes.c_void_p),
                ("close", ctypes.c_void_p)]


_c.fopencookie.restype = ctypes.c_void_p
_c.fopencookie.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _Functions]


def written(write):
    """Calls write(FILE *), and returns what it wrote as an array of bytes."""
    data, size = ctypes.c_void_p(), ctypes.c_size_t()
    f = _c.open_memstream(ctypes.addressof(data), ctypes.addressof(size))
    if not f:
        raise MemoryError("open_memstream")
    try:
        try:
            write(f)
        finally:
            _c.fclose(f)
        out = np.empty(size.value, "uint8")
        if size.value:
            ctypes.memmove(out.ctypes.data, data.value, size.value)
        return out
    finally:
        _c.free(data)


def reading(data, read):
    """Returns read(FILE *) for a stream with the bytes of an array, and how many were read."""
    data = np.ascontiguousarray(data, "uint8")
    f = _c.fmemopen(data.ctypes.data if data.size else None, max(data.size, 1), b"rb")
    if not f:
        raise MemoryError("fmemopen")
    try:
        return read(f), _c.ftell(f)
    finally:
        _c.fclose(f)


def reading_on_demand(read_bytes, read, ahead):
    """Returns read(FILE *) for a stream that asks read_bytes(n) for the bytes that are read, and
    those that it asked for and that were not read.  It asks for at most `ahead` bytes before they
    are wanted; 0: for none, but then it asks for one byte at a time, as the C library does where a
    stream has no buffer.  An exception of read_bytes ends the stream, and is raised again."""
    failed, last, given = [], b"", 0

    def give(_, target, size):
        nonlocal last, given
        try:
            last = bytes(read_bytes(size))[:size]
        except BaseException as e:  # it cannot pass through C
            failed.append(e)
            return -1
        ctypes.memmove(target, last, len(last))
        given += len(last)
        return len(last)

    def tell(_, offset, whence):
        if whence != _SEEK_CUR or offset[0]:
            return -1
        offset[0] = given
        return 0

    callbacks = _READ(give), _SEEK(tell)
    f = _c.fopencookie(None, b"rb", _Functions(
        read=ctypes.cast(callbacks[0], ctypes.c_void_p),
        seek=ctypes.cast(callbacks[1], ctypes.c_void_p)))
    if not f:
        raise MemoryError("fopencookie")
    buffer = ctypes.create_string_buffer(ahead) if ahead else None  # glibc's own has 4 KiB
    _c.setvbuf(f, buffer, _IOFBF if ahead else _IONBF, ahead)
    try:
        out = read(f)
        unread = given - _c.ftell(f)
        return out, last[len(last) - unread:]
    except RuntimeError:
        if failed:
            raise failed[0] from None
        raise
    finally:
        _c.fclose(f)


def first_bytes(write, n):
    """Calls write(FILE *), and returns the first bytes that it writes; the others are refused."""
    got = bytearray()

    def take(_, source, size):
        if len(got) < n:
            got.extend(ctypes.string_at(source, size)[:n])
        return size if len(got) < n else 0

    callback = _WRITE(take)
    f = _c.fopencookie(None, b"wb", _Functions(write=ctypes.cast(callback, ctypes.c_void_p)))
    if not f:
        raise MemoryError("fopencookie")
    try:
        write(f)
    except RuntimeError:
        pass
    finally:
        _c.fclose(f)
    return bytes(got)


def open_file(name, mode):
    """Opens a file of the C library; returns the FILE *."""
    f = _c.fopen(name.encode(), mode.encode())
    if not f:
        raise RuntimeError(f"Error: 'f' failed: could not open {name}")
    return f


def close_file(f):
    _c.fclose(f)
