# SPDX-License-Identifier: Apache-2.0
"""Indexes without a constructor in the C API that are made of others: their file is put together
from those of their parts, and read.

The parts are copies.  What the program does with the objects that it gave does not change the index
any more, except where the C API returns the part (the quantizer of an IVF index).
"""
import struct

import numpy as np

from . import _fields, _format, _io
from ._arrays import VECTORS
from ._binary import IndexBinary, IndexBinaryFlat
from ._index import Index
from ._objects import handle


def _header(index, ntotal=None, is_trained=None, metric=None):
    metric = index.metric_type if metric is None else metric
    trained = index.is_trained if is_trained is None else is_trained
    data = struct.pack("<iqqqBi", index.d, index.ntotal if ntotal is None else ntotal, 1 << 20,
                       1 << 20, trained, metric)
    return data + (struct.pack("<f", 0) if metric > 1 else b"")


def _binary_header(d, ntotal, is_trained):
    return struct.pack("<iiqBi", d, d // 8, ntotal, is_trained, 1)


def _bytes(index):
    return _io._serialize(index._h, index._binary).tobytes()


def _make(self, data, *parts):
    """Reads the bytes as this object."""
    made = _io._deserialize(np.frombuffer(data, "uint8"), 0, self._binary)[0]
    if type(made).__name__ not in (type(self).__name__, "IndexRefineFlat"):
        raise NotImplementedError(f"faiss.{type(self).__name__}: FAISS's C API has no constructor "
                                  f"for it, and reads a {type(made).__name__}")
    self._steal(made)
    self._keep(*parts)


def _initializer(name, **more):
    cls = _io.INDEX_CLASSES[name]

    def decorate(init):
        cls.__init__ = init
        for k, v in more.items():
            setattr(cls, k, v)
        return init
    return decorate


def _refine(name, code):
    @_initializer(name)
    def _(self, base_index, refine_index):
        for o in (base_index, refine_index):
            handle(o, Index, f"faiss.{name}")
        _make(self, code + _header(base_index, is_trained=base_index.is_trained and
                                   refine_index.is_trained) +
              _bytes(base_index) + _bytes(refine_index) + struct.pack("<f", 1), base_index,
              refine_index)


_refine("IndexRefine", b"IxRF")
_refine("IndexRefinePanorama", b"IxRP")


def _refine_flat(base_index, xb):
    """The file of an IndexRefineFlat of an index that has vectors, and these."""
    flat = _io.INDEX_CLASSES["IndexFlat"](base_index.d, base_index.metric_type)
    flat.add(xb)
    return (b"IxRF" + _header(base_index) + _bytes(base_index) + _bytes(flat) +
            struct.pack("<f", 1))


def _row_wise(name, code):
    @_initializer(name)
    def _(self, index):
        handle(index, Index, f"faiss.{name}")
        _make(self, code + _header(index) + _bytes(index), index)


_row_wise("IndexRowwiseMinMax", b"IRMf")
_row_wise("IndexRowwiseMinMaxFP16", b"IRMh")


@_initializer("IndexIVFIndependentQuantizer")
def _(self, quantizer, index_ivf, vt=None):
    from ._transforms import serialize
    data = b"IwIQ" + _header(quantizer, index_ivf.ntotal, False, index_ivf.metric_type) + \
        _bytes(quantizer) + bytes([vt is not None])
    if vt is not None:
        data += serialize(vt).tobytes()
    data += _bytes(index_ivf)
    if type(index_ivf).__name__ == "IndexIVFPQ":
        data += struct.pack("<i", 0)
    _make(self, data, quantizer, index_ivf, vt)


@_initializer("IndexHNSW")
def _(self, storage, M=32):
    if isinstance(storage, int):
        raise NotImplementedError("faiss.IndexHNSW: without storage: FAISS's C API has no "
                                  "constructor for it")
    empty = _io.INDEX_CLASSES["IndexHNSWFlat"](storage.d, M, storage.metric_type)
    data = _bytes(empty)
    part = _format.parse(data).fields["storage"]
    assert part.end is not None
    _make(self, b"IH00" + data[4:part.start] + _bytes(storage) + data[part.end:], storage)


@_initializer("IndexIVFFlatDedup")
def _(self, quantizer, d, nlist, metric=1, own_invlists=True):
    inner = _io.INDEX_CLASSES["IndexIVFFlat"](quantizer, d, nlist, metric)
    data = _bytes(inner)
    lists = _format.parse(data).fields["invlists"]
    _make(self, b"IwFd" + data[4:lists.start] + struct.pack("<Q", 0) + data[lists.start:],
          quantizer)
    self._trains_itself()
    self._take_quantizer(quantizer)


def merged(self, other):
    """Moves the codes of another index of the same class, each vector's after the other."""
    data, more = (_bytes(i) for i in (self, other))
    fields = _format.parse(data).fields
    at, kind, n = fields["codes"]
    more_fields = _format.parse(more).fields
    more_at, _, more_n = more_fields["codes"]
    words = type(self).__name__ in ("IndexFlat", "IndexFlatL2", "IndexFlatIP")
    total, more_total = (_format.get(b, f["ntotal"]) for b, f in
                         ((data, fields), (more, more_fields)))
    if n * more_total != more_n * total or n != total * self.sa_code_size():
        raise RuntimeError(f"Error: {n} and {more_n} bytes of codes of {total} and {more_total} "
                           "vectors: can only merge indexes with codes of the same size")
    data = (data[:at - 8] + struct.pack("<Q", (n + more_n) // (4 if words else 1)) +
            data[at:at + n] + more[more_at:more_at + more_n] + data[at + n:])
    _fields.replace(self, _format.put(data, fields["ntotal"], total + more_total))
    other.reset()


# --- binary indexes ---


@_initializer("IndexBinaryFromFloat")
def _(self, index):
    handle(index, Index, "faiss.IndexBinaryFromFloat")
    _make(self, b"IBFf" + _binary_header(index.d, index.ntotal, index.is_trained) + _bytes(index),
          index)


def _binary_map(name, code):
    @_initializer(name, id_map=property(_id_map))
    def _(self, index):
        handle(index, IndexBinary, f"faiss.{name}")
        if index.ntotal:
            raise RuntimeError("Error: 'index->ntotal == 0' failed: index must be empty on input")
        _make(self, code + _binary_header(index.d, 0, index.is_trained) + _bytes(index) +
              struct.pack("<Q", 0), index)


def _id_map(self):
    data, node = _fields._snapshot(self)
    return VECTORS["Int64Vector"]._of(_format.get(data, node.fields["id_map"]))


_binary_map("IndexBinaryIDMap", b"IBMp")
_binary_map("IndexBinaryIDMap2", b"IBM2")


def binary_ivf(quantizer, d, nlist, empty):
    """The file of an IndexBinaryIVF with this quantizer; empty: one with another."""
    data = _bytes(empty)
    part = _format.parse(data).fields["quantizer"]
    return data[:part.start] + _bytes(quantizer) + data[part.end:]


assert IndexBinaryFlat
