# SPDX-License-Identifier: Apache-2.0
"""The classes of indexes that are made of other indexes."""
import ctypes

import numpy as np

from . import _fields, _format, _io
from ._api import api, call, make
from ._classes import register
from ._index import Index, lent_vector
from ._objects import changes, handle
from ._transforms import VectorTransform


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
        return _io.wrap_part(self, h) if h else None


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
        known = self.__dict__.get("_transforms")
        if known is None:
            known = _transforms_of(self)
            if self.is_trained:  # its training would change them
                self.__dict__["_transforms"] = known
        return Chain(known)

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
        if self.own_fields and transform.thisown:  # it was read: it frees its transforms
            transform._adopt(h, self)
        else:
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
        return self._one(call("IndexShards_at", self._h, i))

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
        return self._one(call("IndexReplicas_at", self._h, i))

    def count(self):
        return self.__dict__.get("_count", 0)


IndexProxy = IndexReplicas
