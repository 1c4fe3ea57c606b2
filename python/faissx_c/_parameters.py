# SPDX-License-Identifier: Apache-2.0
"""Parameters of indexes by name, and statistics."""
import ctypes

from ._api import api, call, lent, make
from ._arrays import take, vector
from ._binary import IndexBinary
from ._objects import Object


class ParameterRange(Object):
    """A parameter's name and values."""

    @property
    def name(self):
        return api.ParameterRange_name(self._h).decode()

    @property
    def values(self):
        pointer, n = lent("ParameterRange_values", self._h, ctypes.c_double)
        return vector(take(pointer, n, "float64"))


def _no_copy(index):
    if index._copy_of:
        index._changed("set_index_parameter")


class ParameterSpace(Object):
    """Sets parameters of indexes by name."""

    _free = "ParameterSpace_free"
    verbose = 1

    def __init__(self):
        self._adopt(make("ParameterSpace_new"))

    def n_combinations(self):
        return api.ParameterSpace_n_combinations(self._h)

    def combination_name(self, cno):
        buffer = ctypes.create_string_buffer(1000)
        call("ParameterSpace_combination_name", self._h, cno, ctypes.addressof(buffer), 1000)
        return buffer.value.decode()

    def add_range(self, name):
        h = make("ParameterSpace_add_range", self._h, name.encode())
        return ParameterRange._wrap(h, self)

    def display(self):
        api.ParameterSpace_display(self._h)

    def set_index_parameter(self, index, name, value):
        """Sets one parameter."""
        _no_copy(index)
        kind = "_binary" if isinstance(index, IndexBinary) else ""
        call("ParameterSpace_set_index_parameter" + kind, self._h, index._h, name.encode(), value)

    def set_index_parameters(self, index, description):
        """Sets parameters: 'nprobe=4,ht=20', or the number of a combination."""
        _no_copy(index)
        kind = "_binary" if isinstance(index, IndexBinary) else ""
        if isinstance(description, str):
            call("ParameterSpace_set_index_parameters" + kind, self._h, index._h,
                 description.encode())
        else:
            call(f"ParameterSpace_set_index_parameters_cno{kind}", self._h, index._h, description)

    def initialize(self, index):
        raise NotImplementedError("faiss.ParameterSpace.initialize: FAISS's C API has none; "
                                  "add_range adds a range, but cannot set its values")

    def explore(self, index, xq, crit):
        raise NotImplementedError("faiss.ParameterSpace.explore: FAISS's C API has none")


class GpuParameterSpace(ParameterSpace):
    """Sets parameters of indexes on GPUs by name."""


class IndexIVFStats(ctypes.Structure):
    """Statistics of searches in IVF indexes."""

    _fields_ = [("nq", ctypes.c_size_t), ("nlist", ctypes.c_size_t), ("ndis", ctypes.c_size_t),
                ("nheap_updates", ctypes.c_size_t), ("quantization_time", ctypes.c_double),
                ("search_time", ctypes.c_double)]

    def reset(self):
        call("IndexIVFStats_reset", ctypes.addressof(self))


def ivf_stats():
    """The statistics, brought up to date."""
    return IndexIVFStats.from_address(api.get_indexIVF_stats())


def _setting(name):
    return (getattr(api, "get_" + name), getattr(api, "set_" + name))


class Variables:
    """FAISS's global variables (faiss.cvar), as far as the C API has them."""

    _SETTINGS = ("distance_compute_blas_threshold", "distance_compute_blas_query_bs",
                 "distance_compute_blas_database_bs", "distance_compute_min_k_reservoir")

    def __getattr__(self, name):
        if name in self._SETTINGS:
            return _setting(name)[0]()
        if name == "indexIVF_stats":
            return ivf_stats()
        raise NotImplementedError(f"faiss.cvar.{name}: FAISS's C API has no such variable")

    def __setattr__(self, name, value):
        if name not in self._SETTINGS:
            raise NotImplementedError(f"faiss.cvar.{name}: FAISS's C API has no such variable")
        _setting(name)[1](value)


cvar = Variables()
