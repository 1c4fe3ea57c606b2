# SPDX-License-Identifier: Apache-2.0
"""Chroma's server, from the wheel chromadb, over HTTP on loopback."""
import logging
import os
import sys

from peer import EF_CONSTRUCTION, M, Peer, free_port

QUIET = dict(anonymized_telemetry=False)


class Chroma(Peer):
    name = "chroma"
    exact = False
    threads = "its default: a thread for each core"
    promises = ("an insert is in SQLite's database, synced to disk, when it is acknowledged; no transactions; a "
                "search sees what was acknowledged, and brings the index up to date first; the index is in memory "
                "and written to disk after each 1000 inserts")

    def version(self):
        import chromadb
        return "Chroma " + chromadb.__version__

    def start(self):
        self.port = free_port()
        self.run([os.path.join(os.path.dirname(sys.executable), "chroma"), "run", "--path",
                  os.path.join(self.folder, "data"), "--host", "127.0.0.1", "--port", str(self.port)],
                 env=dict(os.environ, ANONYMIZED_TELEMETRY="False"))
        self.until(lambda: self.client().heartbeat())

    def connection(self):
        return {"port": self.port}

    def client(self):
        return client(self.port)

    def create(self, name, d, hnsw=True):
        c = self.client()
        try:
            c.delete_collection(name)
        except Exception:  # there is none
            pass
        c.create_collection(name, embedding_function=None, configuration={"hnsw": {
            "space": "l2", "max_neighbors": M, "ef_construction": EF_CONSTRUCTION}})

    def load(self, name, x):
        self.create(name, x.shape[1])
        connection = connect(self.port, name)
        for at in range(0, len(x), 2000):
            connection.insert(name, at, x[at:at + 2000])
        while connection.collection.count() != len(x):
            pass

    def effort(self, name, ef):
        self.client().get_collection(name, embedding_function=None).modify(configuration={"hnsw": {"ef_search": ef}})


def prepare():
    import chromadb
    logging.disable(logging.CRITICAL)
    return chromadb


def client(port):
    chromadb = prepare()
    return chromadb.HttpClient(host="127.0.0.1", port=port, settings=chromadb.config.Settings(**QUIET))


def connect(port, name, ef=None, exact=False, durable="always"):
    return Connection(port, name)


class Connection:
    def __init__(self, port, name):
        self.collection = client(port).get_collection(name, embedding_function=None)

    def effort(self, ef):
        """It is a setting of the index: Chroma.effort()."""

    def search(self, q, k):
        return [int(i) for i in self.collection.query(query_embeddings=[q], n_results=k, include=[])["ids"][0]]

    def insert(self, name, first, x):
        self.collection.add(ids=[str(first + i) for i in range(len(x))], embeddings=list(x))


PEER = Chroma
