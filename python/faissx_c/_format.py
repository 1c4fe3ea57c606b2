# SPDX-License-Identifier: Apache-2.0
"""FAISS's index files, as far as the names and fields of objects follow from them.

The C API tells neither the class of most indexes nor their parts (a product quantizer, the graph of
an HNSW index).  The bytes that faiss_write_index writes do: `parse` returns them as a tree of
`Node`.

A layout is a list of NAME=TYPE.  TYPE is a letter of `struct` (a number), [ and a letter (a
vector), < and a letter (a vector whose size counts words of four bytes), or @ and the name of
another layout.
"""
import struct

import numpy as np

_DTYPES = {"i": "int32", "q": "int64", "Q": "uint64", "B": "uint8", "f": "float32", "d": "float64"}

_PARTS = {
    "pq": ("ProductQuantizer", "d=Q M=Q nbits=Q centroids=[f"),
    "sq": ("ScalarQuantizer", "qtype=i rangestat=i rangestat_arg=f d=Q code_size=Q trained=[f"),
    "rq": ("ResidualQuantizer", "@aq train_type=i max_beam_size=i"),
    "lsq": ("LocalSearchQuantizer",
            "@aq K=Q train_iters=Q encode_ils_iters=Q train_ils_iters=Q icm_iters=Q p=f lambd=f "
            "chunk_size=Q random_seed=i nperts=Q update_codebooks_with_double=B"),
    "rabitq": ("RaBitQuantizer", "d=Q code_size=Q metric_type=i nb_bits=Q"),
    "rabitq1": ("RaBitQuantizer", "d=Q code_size=Q metric_type=i"),
    "eden": ("EDENQuantizer", "d=Q code_size=Q metric_type=i bits=Q scale_type=i"),
    "hnsw": ("HNSW",
             "assign_probas=[d cum_nneighbor_per_level=[i levels=[i offsets=[Q neighbors=[i "
             "entry_point=i max_level=i efConstruction=i efSearch=i upper_beam=i"),
    "nsg": ("NSG", "ntotal=i R=i L=i C=i search_L=i enterpoint=i is_built=B @graph"),
    "nnd": ("NNDescent", "ntotal=i d=i K=i S=i R=i L=i iter=i search_L=i random_seed=i "
                         "has_built=B final_graph=[i"),
    "linear": ("LinearTransform", "have_bias=B A=[f b=[f @vt_end"),
}

_VT = {
    "HRot": ("HadamardRotation", "seed=i @vt_end"),
    "rrot": ("RandomRotationMatrix", "have_bias=B A=[f b=[f @vt_end"),
    "LTra": ("LinearTransform", "have_bias=B A=[f b=[f @vt_end"),
    "Pcam": ("PCAMatrix", "eigen_power=f epsilon=f random_rotation=B balanced_bins=i mean=[f "
                          "eigenvalues=[f PCAMat=[f have_bias=B A=[f b=[f @vt_end"),
    "Viqm": ("ITQMatrix", "max_iter=i seed=i have_bias=B A=[f b=[f @vt_end"),
    "RmDT": ("RemapDimensionsTransform", "map=[i @vt_end"),
    "VNrm": ("NormalizationTransform", "norm=f @vt_end"),
    "VCnt": ("CenteringTransform", "mean=[f @vt_end"),
    "Viqt": ("ITQTransform", "mean=[f do_pca=B itq=@vt pca_then_itq=@vt @vt_end"),
}

_HNSW = "@hdr hnsw=@hnsw storage=@index"
_NSG = ("@hdr GK=i build_type=B nndescent_S=i nndescent_R=i nndescent_L=i nndescent_iter=i "
        "nsg=@nsg storage=@index")
_AQFS = ("implem=i bbs=i qbs=i M=Q nbits=Q ksub=Q code_size=Q ntotal2=Q M2=Q rescale_norm=i "
         "norm_scale=i max_train_points=Q codes=[B")
_IVFAQ = "by_residual=B use_precomputed_table=i invlists=@lists"
_IVFAQFS = ("by_residual=B implem=i bbs=i qbs=i M=Q nbits=Q ksub=Q code_size=Q qbs2=i M2=Q "
            "rescale_norm=i norm_scale=i max_train_points=Q invlists=@lists")
_BHNSW = "@bhdr hnsw=@hnsw storage=@index"

_INDEX = {
    "IxF2": ("IndexFlatL2", "@hdr codes=<B"),
    "IxFI": ("IndexFlatIP", "@hdr codes=<B"),
    "IxFl": ("IndexFlat", "@hdr codes=<B"),
    "IxFP": ("IndexFlatL2Panorama", "d=i n_levels=Q batch_size=Q ntotal=q is_trained=B codes=[B"),
    "IxFp": ("IndexFlatIPPanorama", "d=i n_levels=Q batch_size=Q ntotal=q is_trained=B codes=[B"),
    "IxHe": ("IndexLSH", "@hdr nbits=i rotate_data=B train_thresholds=B thresholds=[f "
                         "code_size_i=i rrot=@vt codes=[B"),
    "IxPq": ("IndexPQ", "@hdr pq=@pq codes=[B search_type=i encode_signs=B polysemous_ht=i"),
    "IxRq": ("IndexResidualQuantizer", "@hdr rq=@rq code_size=Q codes=[B"),
    "IxLS": ("IndexLocalSearchQuantizer", "@hdr lsq=@lsq code_size=Q codes=[B"),
    "IxPR": ("IndexProductResidualQuantizer", "@hdr prq=@paq"),
    "IxPL": ("IndexProductLocalSearchQuantizer", "@hdr plsq=@paq"),
    "ILfs": ("IndexLocalSearchQuantizerFastScan", "@hdr lsq=@lsq " + _AQFS),
    "IRfs": ("IndexResidualQuantizerFastScan", "@hdr rq=@rq " + _AQFS),
    "IPLf": ("IndexProductLocalSearchQuantizerFastScan", "@hdr plsq=@paq"),
    "IPRf": ("IndexProductResidualQuantizerFastScan", "@hdr prq=@paq"),
    "IVLf": ("IndexIVFLocalSearchQuantizerFastScan", "@ivf lsq=@lsq " + _IVFAQFS),
    "IVRf": ("IndexIVFResidualQuantizerFastScan", "@ivf rq=@rq " + _IVFAQFS),
    "NPLf": ("IndexIVFProductLocalSearchQuantizerFastScan", "@ivf plsq=@paq"),
    "NPRf": ("IndexIVFProductResidualQuantizerFastScan", "@ivf prq=@paq"),
    "ImRQ": ("ResidualCoarseQuantizer", "@hdr rq=@rq beam_factor=f"),
    "Ix2L": ("Index2Layer", "@hdr quantizer=@index nlist=Q quantizer_trains_alone=B pq=@pq "
                            "code_size_1=Q code_size_2=Q code_size=Q codes=[B"),
    "IxSQ": ("IndexScalarQuantizer", "@hdr sq=@sq codes=[B"),
    "IxLa": ("IndexLattice", "d=i nsq=i scale_nbit=i r2=i @hdr trained=[f"),
    "IwFd": ("IndexIVFFlatDedup", "@ivf instances=[q invlists=@lists"),
    "IwPn": ("IndexIVFFlatPanorama", "@ivf n_levels=i"),
    "IwP2": ("IndexIVFFlatPanorama", "@ivf n_levels=i batch_size=Q"),
    "IwFl": ("IndexIVFFlat", "@ivf invlists=@lists"),
    "IwSq": ("IndexIVFScalarQuantizer", "@ivf sq=@sq code_size=Q by_residual=B invlists=@lists"),
    "IwLS": ("IndexIVFLocalSearchQuantizer", "@ivf code_size=Q lsq=@lsq " + _IVFAQ),
    "IwRQ": ("IndexIVFResidualQuantizer", "@ivf code_size=Q rq=@rq " + _IVFAQ),
    "IwPL": ("IndexIVFProductLocalSearchQuantizer", "@ivf code_size=Q plsq=@paq"),
    "IwPR": ("IndexIVFProductResidualQuantizer", "@ivf code_size=Q prq=@paq"),
    "IwSh": ("IndexIVFSpectralHash", "@ivf vt=@vt nbit=i period=f threshold_type=i trained=[f "
                                     "invlists=@lists"),
    "IwPQ": ("IndexIVFPQ", "@ivf by_residual=B code_size=Q pq=@pq invlists=@lists"),
    "IwQR": ("IndexIVFPQR", "@ivf by_residual=B code_size=Q pq=@pq invlists=@lists refine_pq=@pq "
                            "refine_codes=[B k_factor=f"),
    "IwIQ": ("IndexIVFIndependentQuantizer", "@hdr quantizer=@index has_vt=B @opt_vt "
                                             "index_ivf=@index"),
    "IxPT": ("IndexPreTransform", "@hdr @chain index=@index"),
    "Imiq": ("MultiIndexQuantizer", "@hdr pq=@pq"),
    "IxRF": ("IndexRefine", "@hdr base_index=@index refine_index=@index k_factor=f"),
    "IxRP": ("IndexRefinePanorama", "@hdr base_index=@index refine_index=@index k_factor=f"),
    "IxMp": ("IndexIDMap", "@hdr index=@index id_map=[q"),
    "IxM2": ("IndexIDMap2", "@hdr index=@index id_map=[q"),
    "IHfP": ("IndexHNSWFlatPanorama", "@hdr num_panorama_levels=Q cum_sums=[f hnsw=@hnsw "
                                      "storage=@index"),
    "IHNf": ("IndexHNSWFlat", _HNSW),
    "IHNp": ("IndexHNSWPQ", _HNSW),
    "IHNs": ("IndexHNSWSQ", _HNSW),
    "IHN2": ("IndexHNSW2Level", _HNSW),
    "IHc2": ("IndexHNSWCagra", "@hdr"),
    "IH00": ("IndexHNSW", _HNSW),
    "INSf": ("IndexNSGFlat", _NSG),
    "INSp": ("IndexNSGPQ", _NSG),
    "INSs": ("IndexNSGSQ", _NSG),
    "INNf": ("IndexNNDescentFlat", "@hdr nndescent=@nnd storage=@index"),
    "IPfs": ("IndexPQFastScan", "@hdr pq=@pq implem=i bbs=i qbs=i ntotal2=Q M2=Q codes=[B"),
    "IwPf": ("IndexIVFPQFastScan", "@ivf by_residual=B code_size=Q bbs=i M2=Q implem=i qbs2=Q "
                                   "pq=@pq invlists=@lists"),
    "IRMf": ("IndexRowwiseMinMax", "@hdr index=@index"),
    "IRMh": ("IndexRowwiseMinMaxFP16", "@hdr index=@index"),
    "IxEe": ("IndexEDEN", "@hdr eden=@eden codes=[B center=[f"),
    "IwEe": ("IndexIVFEDEN", "@ivf eden=@eden code_size=Q by_residual=B invlists=@lists"),
    "Irfn": ("IndexRaBitQFastScan", "@hdr rabitq=@rabitq center=[f qb=B bbs=i ntotal2=Q M2=Q "
                                    "code_size=Q codes=[B"),
    "Ixrq": ("IndexRaBitQ", "@hdr rabitq=@rabitq1 codes=[B center=[f qb=B"),
    "Ixrr": ("IndexRaBitQ", "@hdr rabitq=@rabitq codes=[B center=[f qb=B"),
    "Iwrq": ("IndexIVFRaBitQ", "@ivf rabitq=@rabitq1 code_size=Q by_residual=B qb=B "
                               "invlists=@lists"),
    "Iwrr": ("IndexIVFRaBitQ", "@ivf rabitq=@rabitq code_size=Q by_residual=B qb=B "
                               "invlists=@lists"),
    "Iwrn": ("IndexIVFRaBitQFastScan", "@ivf rabitq=@rabitq by_residual=B code_size=Q bbs=i "
                                       "qbs2=Q M2=Q implem=i qb=B centered=B invlists=@lists"),
    "IBxF": ("IndexBinaryFlat", "@bhdr xb=[B"),
    "IBwF": ("IndexBinaryIVF", "@bhdr nlist=Q nprobe=Q quantizer=@index @map invlists=@lists"),
    "IBFf": ("IndexBinaryFromFloat", "@bhdr index=@index"),
    "IBHf": ("IndexBinaryHNSW", _BHNSW),
    "IBHc": ("IndexBinaryHNSWCagra", "@bhdr"),
    "IBMp": ("IndexBinaryIDMap", "@bhdr index=@index id_map=[q"),
    "IBM2": ("IndexBinaryIDMap2", "@bhdr index=@index id_map=[q"),
    "IBHh": ("IndexBinaryHash", "@bhdr b=i nflip=i"),
    "IBHm": ("IndexBinaryMultiHash", "@bhdr storage=@index b=i nhash=i nflip=i"),
}


class Unknown(Exception):
    """The bytes go on in a way that is not known here; what was read before is valid."""


class Node:
    """An object in a file: its class, where it begins and ends, and its fields.  A field is a
    Node, or (offset, letter, count or None) of a number or a vector."""

    def __init__(self, name, start):
        self.name, self.start, self.end, self.fields = name, start, None, {}


class _Reader:
    def __init__(self, data):
        self.data, self.at = memoryview(data).cast("B"), 0

    def number(self, letter):
        size = struct.calcsize("<" + letter)
        if self.at + size > len(self.data):
            raise Unknown
        (v,) = struct.unpack_from("<" + letter, self.data, self.at)
        self.at += size
        return v

    def field(self, node, name, kind):
        if kind[0] == "@":
            read = getattr(self, "_" + kind[1:], None)
            value = read(node) if read else self.part(kind[1:])
            if name:
                node.fields[name] = value
            return
        at = self.at
        if kind[0] in "[<":
            n = self.number("Q") * (4 if kind[0] == "<" else 1)
            node.fields[name] = (self.at, kind[1], n)
            self.at += n * struct.calcsize("<" + kind[1])
        else:
            self.number(kind)
            node.fields[name] = (at, kind, None)

    def layout(self, node, text):
        for item in text.split():
            name, _, kind = item.partition("=") if item[0] != "@" else ("", "", item)
            self.field(node, name, kind)

    def value(self, node, name):
        at, kind, _ = node.fields[name]
        return struct.unpack_from("<" + kind, self.data, at)[0]

    def part(self, name):
        node = Node(_PARTS[name][0], self.at)
        self.layout(node, _PARTS[name][1])
        node.end = self.at
        return node

    def named(self, table):
        node = Node("", self.at)
        code = bytes(self.data[self.at:self.at + 4]).decode("latin-1")
        self.at += 4
        if code not in table:
            raise Unknown
        node.name = table[code][0]
        return node, table[code][1]

    def _index(self, parent=None):
        if bytes(self.data[self.at:self.at + 4]) == b"null":
            self.at += 4
            return None
        node, text = self.named(_INDEX)
        try:
            self.layout(node, text)
        except Unknown:
            if parent is not None:
                raise
            return node
        node.end = self.at
        return node

    def _vt(self, parent):
        node, text = self.named(_VT)
        self.layout(node, text)
        node.end = self.at
        return node

    def _vt_end(self, node):
        self.layout(node, "d_in=i d_out=i is_trained=B")

    def _hdr(self, node):
        self.layout(node, "d=i ntotal=q dummy1=q dummy2=q is_trained=B metric_type=i")
        if self.value(node, "metric_type") > 1:
            self.field(node, "metric_arg", "f")

    def _bhdr(self, node):
        self.layout(node, "d=i code_size=i ntotal=q is_trained=B metric_type=i")

    def _ivf(self, node):
        self._hdr(node)
        self.layout(node, "nlist=Q nprobe=Q quantizer=@index @map")

    def _map(self, node):
        m = Node("DirectMap", self.at)
        self.layout(m, "type=B array=[q")
        if self.value(m, "type") == 2:
            n = self.number("Q")
            m.fields["hashtable"] = (self.at, "q", 2 * n)
            self.at += 16 * n
        m.end = self.at
        node.fields["direct_map"] = m

    def _aq(self, node):
        self.layout(node, "d=Q M=Q nbits=[Q is_trained=B codebooks=[f search_type=i norm_min=f "
                          "norm_max=f")
        kind = self.value(node, "search_type")
        if kind in (6, 7, 8, 9):  # the norms are quantized
            self.field(node, "qnorm", "<B")
        if kind in (8, 9):
            self.field(node, "norm_tabs", "[f")

    def _paq(self, parent):
        raise Unknown

    _graph = _paq

    def _opt_vt(self, node):
        if self.value(node, "has_vt"):
            node.fields["vt"] = self._vt(node)

    def _chain(self, node):
        node.chain = [self._vt(node) for _ in range(self.number("i"))]

    def _lists(self, parent):
        node = Node("InvertedLists", self.at)
        code = bytes(self.data[self.at:self.at + 4])
        self.at += 4
        if code != b"ilar":
            raise Unknown
        self.layout(node, "nlist=Q code_size=Q")
        kind = bytes(self.data[self.at:self.at + 4])
        self.at += 4
        self.field(node, "sizes", "[Q")
        at, _, n = node.fields.pop("sizes")
        given = np.frombuffer(self.data, "int64", n, at)
        nlist, size = (self.value(node, f) for f in ("nlist", "code_size"))
        sizes = np.zeros(nlist, "int64")
        if kind == b"full":
            sizes[:] = given
        else:
            sizes[given[::2]] = given[1::2]
        node.sizes = sizes
        node.offsets = self.at + np.concatenate([[0], np.cumsum(sizes * (size + 8))])
        self.at = int(node.offsets[-1])
        node.end = self.at
        return node


def parse(data):
    """Returns the Node of an index, float or binary, or of a vector transform.  Its fields may be
    incomplete: then its `end` is None.  Returns None for bytes of another kind."""
    reader = _Reader(data)
    code = bytes(reader.data[:4]).decode("latin-1")
    try:
        if code in _VT:
            return reader._vt(None)
        return reader._index()
    except (Unknown, struct.error, ValueError):
        return None


def class_of(code):
    """Returns the name of the class whose files begin with these four bytes, or None."""
    entry = _INDEX.get(bytes(code[:4]).decode("latin-1")) or \
        _VT.get(bytes(code[:4]).decode("latin-1"))
    return entry[0] if entry else None


def get(data, field):
    """Returns the value of a field that is no Node: a number or an array (a copy)."""
    at, kind, n = field
    if n is None:
        return struct.unpack_from("<" + kind, data, at)[0]
    return np.frombuffer(data, _DTYPES[kind], n, at).copy()


def put(data, field, value):
    """Returns the bytes with another number in a field."""
    at, kind, n = field
    data = bytearray(data)
    struct.pack_into("<" + kind, data, at, value)
    return data
