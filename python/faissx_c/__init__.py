# SPDX-License-Identifier: Apache-2.0
"""FAISS for Python over libfaissx_c: the names of FAISS's own module, and a server if one is named.

    FAISSX_SERVER=tcp://HOST:45678 python program.py

It is also importable as `faiss`, by programs that `faissx run` or `python -m faissx_c` runs.
docs/python.md says what is there and what is not.
"""
import re as _re
import sys as _sys

try:
    import numpy as _numpy
except ModuleNotFoundError as _e:
    if _e.name != "numpy":
        raise
    raise ModuleNotFoundError(
        f"faissx_c needs NumPy, which {_sys.executable or 'this Python'} does not have: install the "
        f"package python3-numpy (Debian, Ubuntu) or run '{_sys.executable or 'python3'} -m pip "
        "install numpy'", name="numpy") from None

from . import _api, _missing
from ._api import api as _c
from ._api import configure, is_remote
from ._arrays import (AlignedTable_to_array, Float16, Float32, Int8, UInt8, VECTORS,
                      array_to_AlignedTable, copy_array_to_AlignedTable, copy_array_to_vector,
                      memcpy, rev_swig_ptr, swig_ptr, vector_float_to_array, vector_to_array)
from ._constants import *  # noqa: F401,F403
from ._io import (IO_FLAG_MMAP, IO_FLAG_MMAP_IFC, IO_FLAG_ONDISK_SAME_DIR,
                  IO_FLAG_PQ_SKIP_SDC_TABLE, IO_FLAG_READ_ONLY, IO_FLAG_SKIP_IVF_DATA,
                  IO_FLAG_SKIP_PRECOMPUTE_TABLE, IO_FLAG_SKIP_STORAGE, INDEX_CLASSES,
                  BufferedIOReader, BufferedIOWriter, FileIOReader, FileIOWriter, IOReader,
                  IOWriter, PyCallbackIOReader, PyCallbackIOWriter, VectorIOReader, VectorIOWriter,
                  clone_binary_index, clone_index, deserialize_index, deserialize_index_binary,
                  downcast_AdditiveQuantizer, downcast_index, downcast_IndexBinary,
                  downcast_InvertedLists, downcast_Quantizer, downcast_VectorTransform, read_index,
                  read_index_binary, serialize_index, serialize_index_binary, write_index,
                  write_index_binary)
from ._classes import index_factory
from ._ivf import DirectMap
from ._around import IndexProxy
from ._others import extract_index_ivf, try_extract_index_ivf
from ._binary import index_binary_factory
from . import _compose  # gives classes their constructors
from ._quantizers import (LocalSearchQuantizer, ProductQuantizer, Quantizer, ResidualQuantizer,
                          ScalarQuantizer, get_mem_usage_kb, imbalance_factor)
from ._transforms import TRANSFORM_CLASSES, read_VectorTransform, write_VectorTransform
from ._selectors import *  # noqa: F401,F403
from ._selectors import (IDSelector, IDSelectorAll, IDSelectorAnd, IDSelectorArray,
                         IDSelectorBatch, IDSelectorBitmap, IDSelectorNot, IDSelectorOr,
                         IDSelectorRange, IDSelectorXOr, RangeSearchResult, SearchParameters)
from ._clustering import (Clustering, ClusteringInitMethod_AFK_MC2,
                          ClusteringInitMethod_KMEANS_PLUS_PLUS, ClusteringInitMethod_RANDOM,
                          ClusteringParameters, Kmeans, kmeans_clustering)
from ._gpu import (GpuClonerOptions, GpuIndex, GpuMultipleClonerOptions, GpuResourcesProvider,
                   StandardGpuResources, get_num_gpus, gpu_profiler_start, gpu_profiler_stop,
                   gpu_sync_all_devices, index_cpu_to_all_gpus, index_cpu_to_gpu,
                   index_cpu_to_gpu_multiple, index_cpu_to_gpu_multiple_py,
                   index_cpu_to_gpus_list, index_gpu_to_cpu)
from ._parameters import GpuParameterSpace, IndexIVFStats, ParameterRange, ParameterSpace, cvar
from ._search import (ResultHeap, eval_intersection, fvec_inner_products_ny, fvec_L2sqr_ny,
                      fvec_norm_L2sqr, fvec_norms_L2, fvec_norms_L2sqr, fvec_renorm_L2, kmax, kmin,
                      knn, knn_hamming, merge_knn_results, normalize_L2, omp_get_max_threads,
                      omp_get_num_threads, omp_set_num_threads, pairwise_distances, pairwise_L2sqr,
                      ranklist_intersection_size, search_with_parameters)
from ._random import lrand, rand, rand_perm, rand_smooth_vectors, randint, randn

globals().update(INDEX_CLASSES)
globals().update(TRANSFORM_CLASSES)
globals().update(VECTORS)
idx_t = int


def get_version():
    """Returns the version of the FAISS that does the work."""
    try:
        version = (_c.get_version() or b"").decode()
        why = "" if version else str(_api.error("get_version"))
    except NotImplementedError as e:
        version, why = "", str(e)
    if not version:  # FAISS before 1.9.0; the error names its release
        found = _re.search(r"\(FAISS (\d+\.\d+\.\d+)\)", why)
        version = found.group(1) if found else ""
    return version


def swig_version():
    """FAISS's module is made by SWIG; this one is not."""
    return 0


def get_compile_options():
    """Returns how FAISS was built, which the C API does not tell."""
    return "GENERIC "


def __getattr__(name):
    if name == "__version__":
        return get_version()
    if name in ("FAISS_VERSION_MAJOR", "FAISS_VERSION_MINOR", "FAISS_VERSION_PATCH"):
        parts = get_version().split(".")
        return int(parts[("MAJOR", "MINOR", "PATCH").index(name[14:])])
    raise _missing.error(name)


__all__ = sorted(n for n in globals() if n[0] != "_" and n not in ("configure", "is_remote"))
assert _api and _compose and _numpy
