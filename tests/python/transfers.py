# SPDX-License-Identifier: Apache-2.0
"""What is asked about a large index does not send it to the program, and what others do to it
meanwhile does no harm."""
import faiss
import numpy as np

import server

d = 4096
x = faiss.rand((1500, d), 1)


def requests_of(f, times=10):
    before = server.stat("requests")
    for _ in range(times):
        f()
    return server.stat("requests") - before


inner = faiss.IndexScalarQuantizer(d, faiss.ScalarQuantizer.QT_8bit)
inner.train(x[:20])
ids = faiss.IndexIDMap(inner)
ids.add_with_ids(x, np.arange(len(x)))  # 6 MB, which are sent in pieces that are asked for
copy = faiss.clone_index(ids)
assert type(copy.index) is faiss.IndexScalarQuantizer
n = requests_of(lambda: copy.index)
assert n <= 25, f"{n} requests to get an index ten times"
faiss.write_index(ids, "faissx://transfers")
opened = faiss.read_index("faissx://transfers")
assert type(opened) is faiss.IndexIDMap and type(opened.index) is faiss.IndexScalarQuantizer
assert opened.index.ntotal == 1500
n = requests_of(lambda: faiss.read_index("faissx://transfers"))
assert n <= 35, f"{n} requests to open an index ten times"

# An index has no attributes of other classes, which is known without looking.
flat = faiss.IndexFlatL2(d)
flat.add(x)
n = requests_of(lambda: hasattr(flat, "nprobe") or hasattr(flat, "quantizer") or
                hasattr(flat, "direct_map"))
assert n <= 1, f"{n} requests for attributes that are not there"

# Another program adds to an inverted list between the questions for its size and for its ids.
ivf = faiss.index_factory(8, "IVF2,Flat")
few = faiss.rand((200, 8), 2)
ivf.train(few)
ivf.add(few)
faiss.write_index(ivf, "faissx://lists")
mine, theirs = (faiss.read_index("faissx://lists") for _ in range(2))
list_size = faiss.IndexIVF.get_list_size


def overtaken(index, i):
    size = list_size(index, i)
    theirs.add(np.repeat(few, 50, axis=0))
    return size


before = list_size(mine, 0)
faiss.IndexIVF.get_list_size = overtaken
ids = mine.get_invlist_ids(0)
faiss.IndexIVF.get_list_size = list_size
assert len(ids) == before and set(ids) <= set(range(200)) and list_size(mine, 0) > before
print("nothing large was sent")
