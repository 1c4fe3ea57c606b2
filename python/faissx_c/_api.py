# SPDX-License-Identifier: Apache-2.0
"""The functions of FAISS's C API as ctypes functions, made from the generated table on first use.

`api.Index_add` is faiss_Index_add; arrays and handles are passed as integers.  Error codes are
returned: `call` and `make` check them.  Functions that return none raise the error themselves if
their server is lost.
"""
import ctypes
import functools
import operator

from ._library import load
from ._signatures import CLASSES, FUNCTIONS

library = load()

_TYPES = {
    "void": None,
    "err": ctypes.c_int,
    "int": ctypes.c_int,
    "int32_t": ctypes.c_int32,
    "unsigned int": ctypes.c_uint,
    "char": ctypes.c_byte,
    "uint8_t": ctypes.c_uint8,
    "long": ctypes.c_long,
    "int64_t": ctypes.c_int64,
    "idx_t": ctypes.c_int64,
    "size_t": ctypes.c_size_t,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "string": ctypes.c_char_p,
}

# From faissx.h.
E_FAISS, E_MISSING, E_UNSUPPORTED, E_ARGUMENT = 1, 2, 10, 11


def _checker(name):
    """Checks the calls of a function without an error code.  Where it returns 0, or nothing, this
    may stand for a failure."""
    cast = name.endswith("_cast")

    def check(result, _function, _args):
        if not result:
            code = _last_call()
            # Where the FAISS in use lacks a class, no object is of it.
            if code and not (cast and code == E_MISSING):
                raise error(name)
        return result
    return check


class _Api:
    """Binds a function when it is first asked for."""

    def __getattr__(self, name):
        try:
            returns, params, _ = FUNCTIONS[name]
        except KeyError:
            raise AttributeError(f"FAISS's C API has no faiss_{name}") from None
        function = getattr(library, "faiss_" + name)
        function.restype = _TYPES.get(returns[1], ctypes.c_void_p)
        function.argtypes = [_TYPES.get(p[1], ctypes.c_void_p) for p in params]
        if returns[1] != "err" and name != "get_last_error" and not name.endswith("_free"):
            function.errcheck = _checker(name)
        setattr(self, name, function)
        return function


api = _Api()

library.faissx_last_error_code.restype = ctypes.c_int
library.faissx_is_remote.restype = ctypes.c_int
library.faissx_is_remote.argtypes = [ctypes.c_void_p]
library.faissx_configure.restype = ctypes.c_int
library.faissx_configure.argtypes = [ctypes.c_char_p] * 3
library.faissx_version.restype = ctypes.c_char_p
library.faissx_index_fourcc.restype = ctypes.c_int
library.faissx_index_fourcc.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
# Takes no time for which another thread would want Python's lock.
_last_call = ctypes.PyDLL(None, handle=library._handle).faissx_last_call
_last_call.restype = ctypes.c_int
_last_call.argtypes = []


def error(name):
    """Returns the exception for the thread's last failed call, of the function `name`."""
    text = (api.get_last_error() or b"").decode("utf-8", "replace")
    code = library.faissx_last_error_code()
    if code in (E_MISSING, E_UNSUPPORTED):
        e = NotImplementedError(text or f"faiss_{name} is not available")
    else:
        e = RuntimeError(text or f"faiss_{name} failed")
    e.refused = code in (0, E_FAISS, E_MISSING, E_UNSUPPORTED, E_ARGUMENT)
    return e


_SIZES = {"int": 32, "int32_t": 32, "long": 64, "int64_t": 64, "idx_t": 64}
_LIMITS = {kind: (-2 ** (bits - 1), 2 ** (bits - 1) - 1) for kind, bits in _SIZES.items()}
_LIMITS.update({"unsigned int": (0, 2 ** 32 - 1), "size_t": (0, 2 ** 64 - 1)})


@functools.lru_cache(maxsize=None)
def _integers(name):
    return [(i, p[0]) + _LIMITS[p[1]] for i, p in enumerate(FUNCTIONS[name][1]) if p[1] in _LIMITS]


def _check(name, args):
    """Raises an error for an integer that does not fit into its type: ctypes cuts it off."""
    for i, parameter, least, most in _integers(name):
        if not least <= operator.index(args[i]) <= most:
            raise OverflowError(f"faiss_{name}: {parameter} is {args[i]}, must be from {least} to "
                                f"{most}")


def call(name, *args):
    """Calls a function; raises an error if it returns an error code other than 0."""
    _check(name, args)
    result = getattr(api, name)(*args)
    if result and FUNCTIONS[name][0][1] == "err":
        raise error(name)
    return result


def make(name, *args):
    """Calls a function that gives an object through a pointer, and returns its handle.  `args` are
    the other arguments."""
    params = FUNCTIONS[name][1]
    out = ctypes.c_void_p()
    args = list(args)
    args.insert([p[1] for p in params].index("out_handle"), ctypes.addressof(out))
    _check(name, args)
    if getattr(api, name)(*args):
        raise error(name)
    if not out.value:
        raise error(name)
    return out.value


def lent(name, handle, *types):
    """Calls a function that lends memory: returns a pointer of each of `types`, then the count if
    the function has one."""
    params = FUNCTIONS[name][1][1:]
    values = []
    types = list(types)
    for p in params:
        values.append(ctypes.c_size_t() if p[1] == "count" else ctypes.POINTER(types.pop(0))())
    getattr(api, name)(handle, *[ctypes.addressof(v) for v in values])
    return [v.value if isinstance(v, ctypes.c_size_t) else v for v in values]


def is_remote(handle):
    """Whether an object belongs to a server."""
    return bool(library.faissx_is_remote(handle))


def fourcc(handle):
    """The four letters with which the file of an index on a server begins."""
    letters = ctypes.create_string_buffer(5)
    if library.faissx_index_fourcc(handle, letters):
        raise error("index_fourcc")
    return letters.raw[:4]


def faiss_refused(e):
    """Whether a RuntimeError tells that FAISS cannot do something, rather than that a server or an
    object is lost."""
    return getattr(e, "refused", True)


def configure(server=None, api_key=None, tenant_id=None):
    """Uses another server, or none, for objects that are created from now on."""
    texts = [None if s is None else s.encode() for s in (server, api_key, tenant_id)]
    if library.faissx_configure(*texts):
        raise error("configure")


def ancestors(name):
    """Yields a class of the table and its bases."""
    while name:
        yield name
        name = CLASSES[name]
