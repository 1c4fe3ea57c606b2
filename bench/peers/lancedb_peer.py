# SPDX-License-Identifier: Apache-2.0
"""LanceDB, from the wheel lancedb: in the program's own process, on files that processes share."""
import os

import numpy as np

from peer import EF_CONSTRUCTION, M, Peer


class LanceDB(Peer):
    name = "lancedb"
    fork = False
    exact_clients = 16
    clients = 16  # each starts threads and caches of its own
    efforts = (20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512, 800)
    parameters = "IVF_HNSW_SQ, 1 partition, m=%d, ef_construction=%d, refined with twice as many" % (M, EF_CONSTRUCTION)
    threads = "the program's own: its default, a thread for each core in each process"
    promises = ("in process, on shared files; an insert is a new version in files, not synced; a search sees the "
                "version that its process has opened; new rows are searched exactly until the index is optimized")
    durable = ("os",)

    def version(self):
        import lancedb
        return "LanceDB " + lancedb.__version__

    def connection(self):
        return {"folder": self.folder}

    def create(self, name, d, hnsw=True):
        import lancedb
        import pyarrow as pa
        schema = pa.schema([("id", pa.int64()), ("v", pa.list_(pa.float32(), d))])
        lancedb.connect(self.folder).create_table(name, schema=schema, mode="overwrite")

    def load_exact(self, name, x):
        self.create(name, x.shape[1])
        connect(self.folder, name).insert(name, 0, x)

    def load(self, name, x):
        self.load_exact(name, x)
        table = connect(self.folder, name).table
        table.create_index("l2", vector_column_name="v", index_type="IVF_HNSW_SQ", num_partitions=1, m=M,
                           ef_construction=EF_CONSTRUCTION)


def prepare():
    return None  # its threads would not survive a fork


def connect(folder, name, ef=None, exact=False, durable="os"):
    return Connection(folder, name, ef, exact)


class Connection:
    def __init__(self, folder, name, ef, exact):
        import lancedb
        self.table = lancedb.connect(folder).open_table(name)
        self.ef, self.exact = ef, exact

    def effort(self, ef):
        self.ef = ef

    def search(self, q, k):
        query = self.table.search(q, vector_column_name="v").select(["id", "_distance"]).limit(k)
        if self.exact:
            query = query.bypass_vector_index()
        elif self.ef:
            query = query.ef(self.ef).refine_factor(2)
        return query.to_arrow()["id"].to_pylist()

    def insert(self, name, first, x):
        import pyarrow as pa
        v = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(x).ravel()), x.shape[1])
        self.table.add(pa.table({"id": np.arange(first, first + len(x)), "v": v}))


PEER = LanceDB
