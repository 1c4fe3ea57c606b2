# SPDX-License-Identifier: Apache-2.0
"""GPUs: those of the server's host if remote.  A FAISS without GPU support has none."""
import ctypes

from . import _io
from ._api import api, call, make
from ._index import Index
from ._objects import Object, add_properties, handle


def get_num_gpus():
    """Returns the number of GPUs: 0 if FAISS was built without support for them."""
    n = ctypes.c_int()
    try:
        call("get_num_gpus", ctypes.addressof(n))
    except NotImplementedError:
        return 0
    return n.value


def _registered(cls):
    add_properties(cls, cls.__name__)
    return cls


@_registered
class GpuResourcesProvider(Object):
    """What GPU indexes share."""

    _free = "GpuResourcesProvider_free"


@_registered
class StandardGpuResources(GpuResourcesProvider):
    """Memory and streams of a GPU."""

    _free = "StandardGpuResources_free"

    def __init__(self):
        self._adopt(make("StandardGpuResources_new"))

    def noTempMemory(self):
        call("StandardGpuResources_noTempMemory", self._h)

    def setTempMemory(self, size):
        call("StandardGpuResources_setTempMemory", self._h, size)

    def setPinnedMemory(self, size):
        call("StandardGpuResources_setPinnedMemory", self._h, size)

    def setDefaultNullStreamAllDevices(self):
        call("StandardGpuResources_setDefaultNullStreamAllDevices", self._h)


@_registered
class GpuClonerOptions(Object):
    """How an index is copied to a GPU."""

    _free = "GpuClonerOptions_free"

    def __init__(self):
        self._adopt(make("GpuClonerOptions_new"))


@_registered
class GpuMultipleClonerOptions(GpuClonerOptions):
    """How an index is copied to several GPUs."""

    _free = "GpuMultipleClonerOptions_free"

    def __init__(self):
        self._adopt(make("GpuMultipleClonerOptions_new"))


class GpuIndex(Index):
    """An index on a GPU."""


_io.INDEX_CLASSES["GpuIndex"] = GpuIndex


def _on_gpu(h, *keep):
    index = GpuIndex._wrap(h)
    index._keep(*keep)
    return index


def index_cpu_to_gpu(provider, device, index, options=None):
    """Returns a copy of an index on a GPU."""
    h = handle(index, Index, "faiss.index_cpu_to_gpu")
    r = handle(provider, GpuResourcesProvider, "faiss.index_cpu_to_gpu")
    if options is None:
        return _on_gpu(make("index_cpu_to_gpu", r, device, h), provider)
    return _on_gpu(make("index_cpu_to_gpu_with_options", r, device, h, options._h), provider)


def index_cpu_to_gpu_multiple(providers, devices, index, options=None):
    """Returns a copy of an index on several GPUs."""
    providers = list(getattr(providers, "_v", providers))
    devices = list(getattr(devices, "_a", devices))
    handles = (ctypes.c_void_p * len(providers))(*[p._h for p in providers])
    numbers = (ctypes.c_int * len(devices))(*[int(d) for d in devices])
    return _on_gpu(make("index_cpu_to_gpu_multiple_with_options", ctypes.addressof(handles),
                        len(providers), ctypes.addressof(numbers), len(devices), index._h,
                        options._h if options is not None else None), *providers)


def index_cpu_to_gpu_multiple_py(resources, index, co=None, gpus=None):
    """Returns a copy of an index on the GPUs of several resources."""
    return index_cpu_to_gpu_multiple(resources, gpus or range(len(resources)), index, co)


def index_cpu_to_gpus_list(index, co=None, gpus=None, ngpu=-1):
    """Returns a copy of an index on the given GPUs, or on the first ngpu."""
    if gpus is None:
        gpus = range(ngpu if ngpu != -1 else get_num_gpus())
    return index_cpu_to_gpu_multiple_py([StandardGpuResources() for _ in gpus], index, co, gpus)


def index_cpu_to_all_gpus(index, co=None, ngpu=-1):
    """Returns a copy of an index on all GPUs, or on the first ngpu."""
    return index_cpu_to_gpus_list(index, co=co, ngpu=ngpu)


def index_gpu_to_cpu(index):
    """Returns a copy of an index that is on a GPU."""
    return _io.wrap(make("index_gpu_to_cpu", index._h))


def gpu_sync_all_devices():
    call("gpu_sync_all_devices")


def gpu_profiler_start():
    call("gpu_profiler_start")


def gpu_profiler_stop():
    call("gpu_profiler_stop")


assert api
