# SPDX-License-Identifier: Apache-2.0
"""Qdrant's local mode, from the wheel qdrant-client: in the program's own process.  It has no HNSW index,
and a folder is one process's, so that there is one client."""
import logging
import os

from peer import Peer


class Qdrant(Peer):
    name = "qdrant-local"
    hnsw = False
    clients = 1
    exact_clients = 1
    limit = 180  # it syncs several times for each vector
    parameters = "exact only"
    threads = "the program's own, NumPy's default"
    promises = ("in process, one process only; an insert is committed in SQLite when it returns, each synced to disk; "
                "no transactions")
    durable = ("always",)

    def version(self):
        from importlib.metadata import version
        return "qdrant-client %s, local mode" % version("qdrant-client")

    def connection(self):
        return {"folder": self.folder}

    def create(self, name, d, hnsw=False):
        c, models = client(self.folder)
        if c.collection_exists(name):
            c.delete_collection(name)
        c.create_collection(name, vectors_config=models.VectorParams(size=d, distance=models.Distance.EUCLID))
        c.close()

    def load_exact(self, name, x):
        self.create(name, x.shape[1])
        connection = connect(self.folder, name)
        for at in range(0, len(x), 5000):
            connection.insert(name, at, x[at:at + 5000])
        connection.c.close()


def prepare():
    import qdrant_client
    return qdrant_client


def client(folder):
    import warnings
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    qdrant_client = prepare()
    return qdrant_client.QdrantClient(path=os.path.join(folder, "data")), qdrant_client.models


def connect(folder, name, ef=None, exact=True, durable="always"):
    return Connection(folder, name)


class Connection:
    def __init__(self, folder, name):
        (self.c, self.models), self.name = client(folder), name

    def search(self, q, k):
        return [p.id for p in self.c.query_points(self.name, query=q, limit=k, with_payload=False).points]

    def insert(self, name, first, x):
        self.c.upsert(name, self.models.Batch(ids=list(range(first, first + len(x))), vectors=x.tolist()))

    def close(self):
        self.c.close()


PEER = Qdrant
