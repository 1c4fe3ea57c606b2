# SPDX-License-Identifier: Apache-2.0
"""Quantizers by themselves.  The C API has them only within indexes: each is an index without
vectors, which encodes and decodes."""
import numpy as np

from ._arrays import Pointer, rev_swig_ptr
from ._classes import (IndexLocalSearchQuantizer, IndexPQ, IndexResidualQuantizer,
                       IndexScalarQuantizer)


class Quantizer:
    """Encodes vectors."""

    thisown = True
    _part = None  # the name of the quantizer in the index

    def train(self, x):
        """Trains the quantizer with the rows of x."""
        self._index.train(x)

    @property
    def d(self):
        return self._index.d

    @property
    def code_size(self):
        return self._index.sa_code_size()

    def compute_codes(self, x):
        """Returns the codes of the rows of x."""
        return self._index.sa_encode(x)

    def decode(self, c):
        """Returns the vectors of codes."""
        return self._index.sa_decode(c)

    def __setattr__(self, name, value):
        if name[:1] != "_":
            raise NotImplementedError(f"faiss.{type(self).__name__}.{name}: FAISS's C API cannot "
                                      "set it")
        object.__setattr__(self, name, value)

    def __getattr__(self, name):
        if name[:1] == "_":
            raise AttributeError(name)
        return getattr(getattr(self._index, self._part), name)


class ScalarQuantizer(Quantizer):
    """Keeps each component in a few bits."""

    (QT_8bit, QT_4bit, QT_8bit_uniform, QT_4bit_uniform, QT_fp16, QT_8bit_direct, QT_6bit, QT_bf16,
     QT_8bit_direct_signed, QT_0bit, QT_1bit_tqmse, QT_2bit_tqmse, QT_3bit_tqmse, QT_4bit_tqmse,
     QT_8bit_tqmse, QT_2bit_tq, QT_3bit_tq, QT_4bit_tq, QT_5bit_tq, QT_1bit_eden, QT_2bit_eden,
     QT_3bit_eden, QT_4bit_eden, QT_5bit_eden, QT_6bit_eden, QT_7bit_eden, QT_8bit_eden,
     QT_count) = range(28)
    RS_minmax, RS_meanstd, RS_quantiles, RS_optim = range(4)
    _part = "sq"

    def __init__(self, d, qtype):
        self._index = IndexScalarQuantizer(d, qtype)


class ProductQuantizer(Quantizer):
    """Keeps the numbers of the nearest centroids of parts of a vector."""

    _part = "pq"

    def __init__(self, d, M, nbits):
        self._index = IndexPQ(d, M, nbits)


class ResidualQuantizer(Quantizer):
    """Keeps the numbers of centroids whose sum is near a vector."""

    _part = "rq"

    def __init__(self, d, M, nbits):
        self._index = IndexResidualQuantizer(d, M, nbits)


class LocalSearchQuantizer(Quantizer):
    """As ResidualQuantizer, with another search for the centroids."""

    _part = "lsq"

    def __init__(self, d, M, nbits):
        self._index = IndexLocalSearchQuantizer(d, M, nbits)


def imbalance_factor(n, k, assign):
    """Returns how uneven the sizes of k clusters of n vectors are: 1 if they are equal."""
    numbers = rev_swig_ptr(assign, n) if isinstance(assign, Pointer) else np.asarray(assign)
    sizes = np.bincount(numbers, minlength=k).astype("float64")
    return float(k * (sizes ** 2).sum() / sizes.sum() ** 2)


def get_mem_usage_kb():
    """Returns the memory of this process, in KiB."""
    with open("/proc/self/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
