# SPDX-License-Identifier: Apache-2.0
"""The classes of indexes that have no constructor in the C API, and functions of all classes."""
from ._around import IndexIDMap, IndexPreTransform, IndexRefine
from ._classes import IndexFlatCodes, IndexHNSW, register
from ._index import Index
from ._ivf import IndexIVF, IndexIVFFlat

# The other classes that a file or a description may be of.  They have no constructor in the C API.
_OTHERS = {
    "IndexProductResidualQuantizer": IndexFlatCodes,
    "IndexProductLocalSearchQuantizer": IndexFlatCodes,
    "IndexLocalSearchQuantizerFastScan": IndexFlatCodes,
    "IndexResidualQuantizerFastScan": IndexFlatCodes,
    "IndexProductLocalSearchQuantizerFastScan": IndexFlatCodes,
    "IndexProductResidualQuantizerFastScan": IndexFlatCodes,
    "IndexIVFLocalSearchQuantizerFastScan": IndexIVF,
    "IndexIVFResidualQuantizerFastScan": IndexIVF,
    "IndexIVFProductLocalSearchQuantizerFastScan": IndexIVF,
    "IndexIVFProductResidualQuantizerFastScan": IndexIVF,
    "IndexIVFProductLocalSearchQuantizer": IndexIVF, "IndexIVFProductResidualQuantizer": IndexIVF,
    "ResidualCoarseQuantizer": Index, "Index2Layer": IndexFlatCodes, "IndexLattice": IndexFlatCodes,
    "IndexIVFFlatDedup": IndexIVFFlat,
    "IndexIVFSpectralHash": IndexIVF, "IndexIVFIndependentQuantizer": Index,
    "MultiIndexQuantizer": Index, "IndexRefinePanorama": IndexRefine,
    "IndexHNSW2Level": IndexHNSW,
    "IndexHNSWCagra": IndexHNSW, "IndexNSGPQ": Index, "IndexNSGSQ": Index,
    "IndexNNDescentFlat": Index, "IndexRowwiseMinMax": Index, "IndexRowwiseMinMaxFP16": Index,
}


def _abstract(name, base):
    def __init__(self, *args, **kwargs):
        raise NotImplementedError(f"faiss.{name}: FAISS's C API has no constructor for it; "
                                  "index_factory makes indexes of most classes")

    register(type(name, (base,), {"__init__": __init__,
                                  "__doc__": "A class without a constructor in FAISS's C API."}))


for _name, _base in _OTHERS.items():
    _abstract(_name, _base)

# --- functions ---


def try_extract_index_ivf(index):
    """The IVF index in an index, or None."""
    while index is not None:
        if isinstance(index, IndexIVF):
            return index
        if isinstance(index, (IndexIDMap, IndexPreTransform)):
            index = index.index
        elif isinstance(index, IndexRefine):
            index = index.base_index
        else:
            return None
    return None


def extract_index_ivf(index):
    """The IVF index in an index."""
    found = try_extract_index_ivf(index)
    if found is None:
        raise RuntimeError("could not extract an IVF index from this index")
    return found
