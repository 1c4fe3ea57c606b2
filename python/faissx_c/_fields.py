# SPDX-License-Identifier: Apache-2.0
"""Fields of indexes that the C API has no function for: read from, and written to, the bytes of the
index's file.

Reading one takes as long as writing the index to memory; setting one as long as writing and reading
it.  What a file does not contain cannot be had in this way.
"""
import numpy as np

from . import _format, _io
from ._api import api, call, faiss_refused, make
from ._arrays import VECTORS, Pointer, swig_ptr, vector

# What faiss_ParameterSpace_set_index_parameter can set.
_PARAMETERS = {"efSearch", "efConstruction", "max_codes", "polysemous_ht", "nprobe", "k_factor"}
_PARAMETER_NAMES = {"polysemous_ht": "ht"}
_TRUTHS = {"is_trained", "by_residual", "encode_signs", "rotate_data", "train_thresholds",
           "random_rotation", "have_bias", "centered", "update_codebooks_with_double",
           "is_built", "has_built"}


def _snapshot(index):
    data = _io._serialize(index._h, index._binary)
    return data, _format.parse(data)


def _missing(index, name):
    return AttributeError(f"'{type(index).__name__}' object has no attribute '{name}'")


def get_field(index, name):
    """The value of a field that is no property: called when nothing else has the name."""
    if name[:1] == "_" or not index.__dict__.get("_h"):
        raise AttributeError(f"'{type(index).__name__}' object has no attribute '{name}'")
    set_here = index.__dict__.get("_parameters", {})
    if name in set_here:
        return set_here[name]
    names = type(index).__dict__.get("_fields_known") or _KNOWN.get(type(index).__name__)
    if names is not None and name not in names and name not in _DERIVED:
        raise _missing(index, name)
    try:
        data, node = _snapshot(index)
    except RuntimeError as e:
        if not faiss_refused(e):
            raise
        raise _missing(index, name) from None
    if node is None:
        raise _missing(index, name)
    return _value(index, data, node, (name,), _missing(index, name))


def _value(index, data, node, path, missing):
    name = path[-1]
    field = node.fields.get(name)
    if field is None:
        derived = _DERIVED.get(name)
        try:
            if derived:
                return derived(index, data, node)
        except (KeyError, AttributeError):
            pass
        raise missing
    if isinstance(field, _format.Node):
        return _part(index, data, field, path)
    value = _format.get(data, field)
    if isinstance(value, np.ndarray):
        v = vector(value) if name != "codes" else VECTORS["MaybeOwnedVectorUInt8"]._of(value)
        return v._lock(f"faiss.{type(index).__name__}.{'.'.join(path)}: this is a copy")
    return bool(value) if name in _TRUTHS else value


class Part:
    """A part of an index, as it was when it was asked for.  Setting a number of it changes the
    index."""

    def __init__(self, index, data, node, path):
        self.__dict__.update(_index=index, _data=data, _node=node, _path=path)

    def __getattr__(self, name):
        if name[:1] == "_":
            raise AttributeError(name)
        missing = AttributeError(f"'{self._node.name}' object has no attribute '{name}'")
        return _value(self._index, self._data, self._node, self._path + (name,), missing)

    def __setattr__(self, name, value):
        if name not in self._node.fields:
            raise NotImplementedError(f"faiss.{self._node.name}.{name}: FAISS's C API cannot set "
                                      "it")
        _set(self._index, self._path + (name,), value)
        data, node = _snapshot(self._index)
        for step in self._path:
            node = node.fields[step]
        self.__dict__.update(_data=data, _node=node)


class InvertedLists(Part):
    """The inverted lists of an IVF index, as they were when they were asked for."""

    def list_size(self, i):
        return int(self._node.sizes[i])

    def compute_ntotal(self):
        return int(self._node.sizes.sum())

    def _range(self, i):
        at, n = int(self._node.offsets[i]), int(self._node.sizes[i])
        return at, n, n * self.code_size

    def get_codes(self, i):
        at, _, size = self._range(i)
        return swig_ptr(self._data[at:at + size].copy())

    def get_ids(self, i):
        at, n, size = self._range(i)
        return swig_ptr(self._data[at + size:at + size + 8 * n].copy().view("int64"))

    def get_single_id(self, i, offset):
        at, _, size = self._range(i)
        return int(self._data[at + size + 8 * offset:][:8].view("int64")[0])

    def standalone_codes(self, keys):
        """The codes of the vectors with these ids, each after the number of its list."""
        width, n = 0, self.nlist - 1
        while n > 0:
            width, n = width + 1, n >> 8
        out = np.empty((len(keys), width + self.code_size), "uint8")
        wanted = {}
        for row, key in enumerate(keys.tolist()):
            wanted.setdefault(key, []).append(row)
        for i in range(self.nlist):
            at, n, size = self._range(i)
            ids = self._data[at + size:at + size + 8 * n].copy().view("int64")
            for j in np.nonzero(np.isin(ids, keys))[0]:
                code = self._data[at + j * self.code_size:at + (j + 1) * self.code_size]
                for row in wanted.pop(int(ids[j]), ()):
                    out[row, :width] = np.frombuffer(i.to_bytes(8, "little"), "uint8")[:width]
                    out[row, width:] = code
        if wanted:
            raise RuntimeError(f"Error: no vector has the id {next(iter(wanted))}")
        return out

    def release_codes(self, *_):
        pass

    release_ids = release_codes

    def imbalance_factor(self):
        sizes = self._node.sizes.astype("float64")
        total = sizes.sum()
        return float(len(sizes) * (sizes ** 2).sum() / total ** 2) if total else 1.0


class HNSW(Part):
    """The graph of an HNSW index."""

    def nb_neighbors(self, level):
        """How many neighbours a vector has in a level."""
        sums = self.cum_nneighbor_per_level
        return sums.at(level + 1) - sums.at(level)

    def cum_nb_neighbors(self, level):
        return self.cum_nneighbor_per_level.at(level)


def _part(index, data, node, path):
    if node.name == "HNSW":
        return HNSW(index, data, node, path)
    if node.name == "InvertedLists":
        return InvertedLists(index, data, node, path)
    if node.name.startswith("Index") or node.name in ("ResidualCoarseQuantizer",
                                                      "MultiIndexQuantizer"):
        copy = _io._deserialize(data[node.start:node.end], 0, node.name.startswith("IndexBinary"))
        copy[0]._keep(index)
        copy[0].__dict__["_copy_of"] = f"faiss.{type(index).__name__}.{'.'.join(path)}"
        return copy[0]
    cls = type(node.name, (Part,), {"__doc__": Part.__doc__})
    return cls(index, data, node, path)


# --- fields that follow from others ---


def _codes_per(data, node, name):
    return _format.get(data, node.fields[name])


def _code_size(index, data, node):
    f = node.fields
    if "pq" in f:
        return _pq_code_size(index, data, f["pq"])
    if node.name == "ProductQuantizer":
        return _pq_code_size(index, data, node)
    if "sq" in f:
        return _codes_per(data, f["sq"], "code_size")
    if "rabitq" in f:
        return _codes_per(data, f["rabitq"], "code_size")
    if node.name.startswith("Index") and not node.name.startswith("IndexBinary"):
        return index.sa_code_size()
    raise KeyError


def _pq_code_size(index, data, node):
    return (_codes_per(data, node, "M") * _codes_per(data, node, "nbits") + 7) // 8


_DERIVED = {
    "code_size": _code_size,
    "dsub": lambda i, data, n: _codes_per(data, n, "d") // _codes_per(data, n, "M"),
    "ksub": lambda i, data, n: 1 << _codes_per(data, n, "nbits"),
    "metric_arg": lambda i, data, n: 0.0,
    "nb_bits": lambda i, data, n: {"RaBitQuantizer": 1}[n.name],
}


_GROUPS = {"@ivf": {"direct_map", "quantizer", "nprobe", "nlist"}, "@map": {"direct_map"},
           "@opt_vt": {"vt"}}


def _known_fields():
    known = {}
    for name, text in list(_format._INDEX.values()):
        fields = known.setdefault(name, set())
        for item in text.split():
            fields.add(item.partition("=")[0])
            fields |= _GROUPS.get(item, set())
        fields |= {"metric_arg", "code_size"}
    return known


_KNOWN = _known_fields()

def standalone_size(index):
    """The number of bytes of a code of sa_encode(), from the index's file."""
    data, node = _snapshot(index)
    f = node.fields if node else {}
    lists = f.get("invlists")
    if lists is not None:
        width, n = 0, _codes_per(data, lists, "nlist") - 1
        while n > 0:
            width, n = width + 1, n >> 8
        return width + _codes_per(data, lists, "code_size")
    if node and node.name.startswith("IndexFlat"):
        return 4 * index.d
    for name in ("code_size", "code_size_i"):
        if name in f:
            return _codes_per(data, node, name)
    for part in ("pq", "sq", "rabitq"):
        if part in f:
            return _pq_code_size(index, data, f[part]) if part == "pq" else \
                _codes_per(data, f[part], "code_size")
    raise NotImplementedError(f"faiss.{type(index).__name__}.sa_code_size: this release of FAISS's "
                              "C API does not tell it")


# --- setting ---


def set_field(index, name, value):
    """Sets a field that is no property."""
    if index._copy_of:
        index._changed(name)
    if name in _PARAMETERS:
        try:
            return _set_parameter(index, name, value)
        except RuntimeError as e:
            if not faiss_refused(e):
                raise
    if name not in _KNOWN.get(type(index).__name__, ()):
        raise AttributeError(
            f"'{type(index).__name__}' object has no attribute '{name}', or FAISS's C API cannot "
            "set it.")
    _set(index, (name,), value)


def _set_parameter(index, name, value):
    space = make("ParameterSpace_new")
    try:
        kind = "ParameterSpace_set_index_parameter" + ("_binary" if index._binary else "")
        call(kind, space, index._h, _PARAMETER_NAMES.get(name, name).encode(), float(value))
    finally:
        api.ParameterSpace_free(space)
    index.__dict__.setdefault("_parameters", {})[name] = value


def _set(index, path, value):
    """Sets a number: by a parameter if there is one, else by reading the index again."""
    if index._copy_of:
        index._changed(".".join(path))
    name = path[-1]
    if path[0] in ("hnsw",) and name in _PARAMETERS:
        _set_parameter(index, name, value)
        index.__dict__["_parameters"].pop(name)
        return
    data, node = _snapshot(index)
    for step in path[:-1]:
        node = node.fields[step]
    field = node.fields.get(name) if node else None
    if not isinstance(field, tuple) or field[2] is not None:
        raise NotImplementedError(
            f"faiss.{type(index).__name__}.{'.'.join(path)}: FAISS's C API cannot set it")
    try:
        replace(index, _format.put(data, field, value))
    except NotImplementedError:
        raise
    except RuntimeError as e:  # FAISS does not read every index that it has written
        if not faiss_refused(e):
            raise
        raise NotImplementedError(
            f"faiss.{type(index).__name__}.{'.'.join(path)}: FAISS's C API cannot set it, and "
            f"FAISS does not read the index with it from a file: {e}") from None


def is_lossy(index):
    """Whether FAISS crashes with such an index if it was read from a file (it does not set
    IndexIVFFastScan::fine_quantizer)."""
    name = type(index).__name__
    return name.startswith("IndexIVF") and name.endswith("FastScan") and "RaBitQ" not in name


def _replaceable(index):
    """Raises an error if others would still use the old object, or if something would be lost that
    a file does not have."""
    name, own = f"faiss.{type(index).__name__}", index.__dict__
    if index._in_use() or "_index" in own or "_count" in own:
        raise NotImplementedError(f"{name}: FAISS's C API cannot set a field of, or merge into, an "
                                  "index that is a part of another one, or is made of others")
    quantizer = own.get("_quantizer") or own.get("_taken", lambda: None)()
    if quantizer is not None and set(quantizer.__dict__.get("_users", ())) - {index}:
        raise NotImplementedError(f"{name}: FAISS's C API cannot set a field of an index whose "
                                  "quantizer another index has, too")
    if hasattr(type(index), "quantizer_trains_alone") and index.quantizer_trains_alone and \
            not index.is_trained:
        raise NotImplementedError(f"{name}: FAISS's C API cannot set a field before the training "
                                  "of an index that trains its quantizer by itself")


def replace(index, data):
    """Lets an index have the content of these bytes.  Objects that are parts of the old one stay
    valid, and do not belong to the new one."""
    if is_lossy(index):
        raise NotImplementedError(f"faiss.{type(index).__name__}: FAISS does not read all of such "
                                  "an index from a file")
    if index.__dict__.get("_published"):
        raise NotImplementedError(f"faiss.{type(index).__name__}: FAISS's C API cannot set a field "
                                  "of a published index")
    if not index.thisown:
        raise NotImplementedError(f"faiss.{type(index).__name__}: a field of an index that belongs "
                                  "to another one cannot be set")
    _replaceable(index)
    new = _io._deserialize(np.frombuffer(data, "uint8"), 0, index._binary)[0]
    old = index._retire()  # no other object points to it: _replaceable()
    new.__dict__["thisown"] = False
    index.__dict__["_h"] = new._h
    if hasattr(type(index), "_replaced"):
        index._replaced()
    for name, value in index.__dict__.get("_parameters", {}).items():
        _set_parameter(index, name, value)
    del old  # its quantizer was still in use until now


assert Pointer
