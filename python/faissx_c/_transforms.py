# SPDX-License-Identifier: Apache-2.0
"""Vector transforms."""
import os
import tempfile

from . import _fields, _format, _io, _streams
from ._api import api, call, error, make
from ._arrays import address, pointer, table, vector
from ._objects import Object, add_properties

import numpy as np

TRANSFORM_CLASSES = {}


def _register(cls):
    add_properties(cls, cls.__name__)
    TRANSFORM_CLASSES[cls.__name__] = cls
    return cls


@_register
class VectorTransform(Object):
    """A transform of vectors."""

    _free = "VectorTransform_free"

    def __init__(self, *args):
        raise AttributeError("No constructor defined - class is abstract")

    def train(self, x):
        """Trains the transform with the rows of x."""
        x, n = table(x, self.d_in)
        call("VectorTransform_train", self._h, n, address(x))

    def apply(self, x):
        """Returns the rows of x, transformed."""
        x, n = table(x, self.d_in)
        self._trained("apply")
        y = np.empty((n, self.d_out), "float32")
        call("VectorTransform_apply_noalloc", self._h, n, address(x), address(y))
        return y

    apply_py = apply

    def apply_noalloc(self, n, x, xt):
        """Transforms n vectors from one address to another."""
        self._trained("apply_noalloc")
        what = f"faiss.{type(self).__name__}.apply_noalloc"
        call("VectorTransform_apply_noalloc", self._h, n,
             pointer(x, "float32", what, n * self.d_in),
             pointer(xt, "float32", what, n * self.d_out))

    def reverse_transform(self, x):
        """Returns the vectors of which the rows of x are the transforms, as far as possible."""
        x, n = table(x, self.d_out)
        self._trained("reverse_transform")
        self._reversible()
        y = np.empty((n, self.d_in), "float32")
        api.VectorTransform_reverse_transform(self._h, n, address(x), address(y))
        return y

    # The functions of the C API return no error code, and let FAISS's exceptions end the process.

    def _trained(self, what):
        if not self.is_trained:
            raise RuntimeError(f"Error: 'is_trained' failed: {what} of a transform that is not "
                               "trained yet")

    def _reversible(self):
        """Raises an error if there is no reverse transform."""


@_register
class LinearTransform(VectorTransform):
    """A linear transform."""

    def __init__(self, *args, **kwargs):
        raise NotImplementedError(f"faiss.{type(self).__name__}: FAISS's C API has no constructor "
                                  "for it")

    def _reversible(self):
        if not self.is_orthonormal:
            raise RuntimeError("Error: reverse transform not implemented for non-orthonormal "
                               "matrices")

    def transform_transpose(self, n, y, x):
        self._trained("transform_transpose")
        what = f"faiss.{type(self).__name__}.transform_transpose"
        call("LinearTransform_transform_transpose", self._h, n,
             pointer(y, "float32", what, n * self.d_out),
             pointer(x, "float32", what, n * self.d_in))

    def set_is_orthonormal(self):
        api.LinearTransform_set_is_orthonormal(self._h)


def _made(name, base, doc, function, *defaults):
    """A class whose constructor is a function of the C API.  defaults: those of the last
    arguments."""
    def __init__(self, *args):
        missing = n - len(args)
        self._adopt(make(function, *args, *defaults[len(defaults) - missing:] if missing else ()))

    from ._signatures import FUNCTIONS
    n = len(FUNCTIONS[function][1]) - 1
    return _register(type(name, (base,), {"__init__": __init__, "__doc__": doc}))


RandomRotationMatrix = _made("RandomRotationMatrix", LinearTransform, "A random rotation.",
                             "RandomRotationMatrix_new_with")
PCAMatrix = _made("PCAMatrix", LinearTransform, "Principal components.", "PCAMatrix_new_with",
                  0, 0, 0.0, False)
ITQMatrix = _made("ITQMatrix", LinearTransform, "Iterative quantization.", "ITQMatrix_new_with", 0)
OPQMatrix = _made("OPQMatrix", LinearTransform, "The rotation of an optimized product quantizer.",
                  "OPQMatrix_new_with", 0, 1, -1)
ITQTransform = _made("ITQTransform", VectorTransform, "Iterative quantization after PCA.",
                     "ITQTransform_new_with", 0, 0, False)


def _no_reverse(self):
    raise RuntimeError("Error: reverse transform not implemented")


def _norm_2(self, what):
    if what != "reverse_transform" and self.norm != 2:
        raise RuntimeError(f"Error: {what}: not implemented for norms other than 2")


ITQTransform._reversible = _no_reverse
RemapDimensionsTransform = _made("RemapDimensionsTransform", VectorTransform,
                                 "Components in another order.",
                                 "RemapDimensionsTransform_new_with", True)
NormalizationTransform = _made("NormalizationTransform", VectorTransform,
                               "Vectors of length 1.", "NormalizationTransform_new_with", 2.0)
NormalizationTransform._trained = _norm_2
CenteringTransform = _made("CenteringTransform", VectorTransform, "Vectors minus their mean.",
                           "CenteringTransform_new_with", 0)


def from_bytes(data, name):
    """Returns the transform whose file has these bytes."""
    with tempfile.NamedTemporaryFile(prefix="faissx-") as f:
        f.write(data.tobytes())
        f.flush()
        return _read(f.name, name)


def _read(path, name):
    cls = TRANSFORM_CLASSES.get(name, VectorTransform)
    return cls._wrap(make("read_VectorTransform_fname", os.fsencode(path)))


def read_VectorTransform(of):
    """Reads a transform from a file, given by its name, or from an IOReader."""
    if isinstance(of, _io.IOReader):
        data = np.frombuffer(of._take(), "uint8")
        node = _format.parse(data)
        if node is None:
            raise RuntimeError("these bytes are not of a VectorTransform")
        of._unread(data[node.end:].tobytes())
        return from_bytes(data[:node.end], node.name)
    try:
        with open(of, "rb") as f:
            name = _format.class_of(f.read(4))
    except OSError as e:
        raise RuntimeError(f"could not open {of} for reading: {e.strerror}") from None
    return _read(of, name)


def write_VectorTransform(transform, to):
    """Writes a transform to a file, given by its name, or to an IOWriter."""
    data = serialize(transform)
    if isinstance(to, _io.IOWriter):
        to._write(data.tobytes())
    else:
        try:
            with open(to, "wb") as f:
                f.write(data.tobytes())
        except OSError as e:
            raise RuntimeError(f"could not open {to} for writing: {e.strerror}") from None


def serialize(transform):
    """Returns the bytes of a transform's file: those that it has in the file of an
    IndexPreTransform."""
    flat = make("IndexFlatL2_new_with", transform.d_out)
    pre = make("IndexPreTransform_new_with_transform", transform._h, flat)
    try:
        data = _io._serialize(pre)
    finally:
        api.Index_free(pre)
        api.Index_free(flat)
    (node,) = _format.parse(data).chain
    return data[node.start:node.end]


def field(transform, name):
    """A field that the C API has no function for, from the transform's file."""
    data = serialize(transform)
    node = _format.parse(data)
    if node is None or name not in node.fields:
        raise AttributeError(f"'{type(transform).__name__}' object has no attribute '{name}'")
    value = _format.get(data, node.fields[name])
    if not isinstance(value, np.ndarray):
        return value
    return vector(value)._lock(f"faiss.{type(transform).__name__}.{name}: this is a copy")


_FIELDS = {"A", "b", "mean", "eigenvalues", "PCAMat", "map", "seed", "max_iter", "epsilon"}


def _getattr(self, name):
    if name in _FIELDS and self.__dict__.get("_h"):
        return field(self, name)
    raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


VectorTransform.__getattr__ = _getattr

assert _fields and _streams and error
