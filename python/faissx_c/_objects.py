# SPDX-License-Identifier: Apache-2.0
"""Objects of the C API: their handles, who frees them, and their properties.

An object that Python created is freed with its Python object.  One that belongs to another (a
quantizer of an IVF index that was read) is not, and keeps that one alive.
"""
import functools
import weakref

from ._api import CLASSES, FUNCTIONS, api, call

# Getters that return an int for a truth.
_TRUTHS = {
    "is_trained", "verbose", "own_fields", "own_indices", "threaded", "successive_ids",
    "spherical", "int_centroids", "update_index", "frozen_centroids", "have_bias",
    "is_orthonormal", "do_pca", "random_rotation", "rotate_data", "train_thresholds", "use_heap",
    "per_invlist_search", "storeTransposed", "useFloat16", "useFloat16CoarseQuantizer",
    "usePrecomputed", "shard",
}


class This:
    """The handle of an object, as FAISS's module has it: says whether Python frees the object."""

    def __init__(self, of):
        self._of = of

    def disown(self):
        """Python does not free the object any more: another object does."""
        self._of.thisown = False

    def own(self, value=None):
        """Returns whether Python frees the object; with a value, sets it."""
        old = self._of.thisown
        if value is None or not isinstance(value, bool):
            self._of.thisown = True
        else:
            self._of.thisown = value
        return old

    def acquire(self):
        self._of.thisown = True

    def __int__(self):
        return self._of._h

    def __eq__(self, other):
        return isinstance(other, This) and other._of._h == self._of._h

    __hash__ = None


class Object:
    """An object of the C API."""

    _free = None  # the function that frees it
    _h = None  # its handle
    _copy_of = None  # the part of another object of which it is a copy
    thisown = False

    @classmethod
    def _wrap(cls, handle, owner=None):
        """Returns the Python object of a handle.  owner: the object that it is a part of."""
        self = cls.__new__(cls)
        self._adopt(handle, owner)
        return self

    def _adopt(self, handle, owner=None):
        d = self.__dict__
        d["_h"] = handle
        d["thisown"] = owner is None
        if owner is not None:
            d["_owner"] = owner
            owner.__dict__.setdefault("_parts", weakref.WeakSet()).add(self)
            if owner._copy_of:
                d["_copy_of"] = owner._copy_of

    def _steal(self, other):
        """Takes over the handle of another object, which is left without.  What this one stood for
        is freed."""
        if self._h:
            self._retire()
        self._adopt(other._h, other.__dict__.get("_owner"))
        self.__dict__["thisown"] = other.thisown
        other.__dict__["thisown"] = False

    def _keep(self, *others):
        """Keeps other objects alive as long as this one."""
        self.__dict__.setdefault("referenced_objects", []).extend(others)

    def _changed(self, what):
        """Refuses to change a copy: the index that has the part would stay as it is."""
        raise NotImplementedError(
            f"faiss.{type(self).__name__}.{what}: FAISS's C API gives a copy of "
            f"{self._copy_of} only, which cannot be changed; faiss.ParameterSpace sets "
            "parameters of parts")

    def _use(self, *others):
        """Keeps other objects alive, whose handles this one's object in C points to."""
        self._keep(*others)
        for other in others:
            other.__dict__.setdefault("_users", weakref.WeakSet()).add(self)

    def _in_use(self):
        """Whether another object in C points to this one's."""
        return bool(self.__dict__.get("_users"))

    def _retire(self):
        """Returns another Python object for what this one stands for, before this one stands for
        something else.  The parts that the program has keep it alive, and so do those that point
        to it; it is freed if there are none."""
        old = type(self)._wrap(self._h)
        old.__dict__["thisown"] = self.thisown
        if "_owner" in self.__dict__:
            old.__dict__["_owner"] = self._owner
        for part in list(self.__dict__.get("_parts", ())):
            if part.__dict__.get("_owner") is self:
                part.__dict__["_owner"] = old
        for user in list(self.__dict__.get("_users", ())):
            user._keep(old)
        return old

    @property
    def this(self):
        return This(self)

    def __getstate__(self):
        """For copy and pickle, which would give one handle two owners."""
        raise TypeError(f"faiss.{type(self).__name__}: cannot be copied or pickled")

    def __setattr__(self, name, value):
        if name[:1] != "_" and name not in ("thisown", "referenced_objects") and \
                not hasattr(type(self), name):
            raise NotImplementedError(f"faiss.{type(self).__name__}.{name}: FAISS's C API cannot "
                                      "set it")
        object.__setattr__(self, name, value)

    def __del__(self):
        if self.thisown and self._h and self._free:
            try:
                getattr(api, self._free)(self._h)
            except Exception:  # the interpreter ends
                pass


def changes(method):
    """A decorator of methods that change the object: a copy refuses them."""
    @functools.wraps(method)
    def checked(self, *args, **kwargs):
        if self._copy_of:
            self._changed(method.__name__)
        return method(self, *args, **kwargs)
    return checked


def take_part(whole, part, h):
    """Lets the Python object `part` stand for h, a part of `whole`."""
    if part._h == h:
        return
    if set(part.__dict__.get("_users", ())) - {whole} and not part.ntotal:
        raise NotImplementedError(
            f"faiss.{type(whole).__name__}: it cannot share an empty quantizer that another index "
            "has, because FAISS's C API has no constructor for it: give it a quantizer of its own, "
            "or a trained one")
    part.__dict__.get("_users", weakref.WeakSet()).discard(whole)
    part._retire()
    part._adopt(h, whole)
    part.__dict__.setdefault("_users", weakref.WeakSet()).add(whole)


def handle(o, kind, what):
    """Returns the handle of an object, which must be of class `kind`."""
    if not isinstance(o, kind):
        raise TypeError(f"{what}: expected a faiss.{kind.__name__}, got {type(o).__name__}")
    return o._h


def _property(name, getter, setter):
    truth = name in _TRUTHS

    def get(self):
        value = getattr(api, getter)(self._h)
        if isinstance(value, bytes):
            return value.decode()
        return bool(value) if truth else value

    def put(self, value):
        call(setter, self._h, value)

    return property(get, put if setter else None)


def _scalar(value):
    return value[1] not in ("void", "err", "handle", "array", "opaque", "string")


def add_properties(cls, name):
    """Gives a Python class the properties that class `name` of the C API has: a function of the
    object alone that returns a number, and the function that sets it."""
    prefix = name + "_"
    for function, (returns, params, _) in FUNCTIONS.items():
        if not function.startswith(prefix) or len(params) != 1 or not _scalar(returns):
            continue
        attribute = function[len(prefix):]
        if params[0][0] != "obj" or attribute in cls.__dict__ or "_" + attribute in cls.__dict__:
            continue
        setter = f"{prefix}set_{attribute}"
        setattr(cls, attribute,
                _property(attribute, function, setter if setter in FUNCTIONS else None))


def with_properties(name=None):
    """A decorator: add_properties for a class of the same name."""
    def decorate(cls):
        add_properties(cls, name or cls.__name__)
        return cls
    return decorate


assert CLASSES
