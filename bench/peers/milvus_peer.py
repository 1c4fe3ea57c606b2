# SPDX-License-Identifier: Apache-2.0
"""Milvus Lite's server, from the wheels milvus-lite and pymilvus, over gRPC on loopback."""
import logging
import os
import sys

from peer import EF_CONSTRUCTION, M, Peer, free_port


class Milvus(Peer):
    name = "milvus-lite"
    threads = "its default: 10 threads of one Python process"
    promises = ("an insert is in a log when it is acknowledged, written to the operating system; no transactions; "
                "a search sees what was acknowledged (consistency Strong); the index is built when rows are flushed")
    durable = ("os",)

    def version(self):
        from importlib.metadata import version
        return "Milvus Lite %s, pymilvus %s" % (version("milvus-lite"), version("pymilvus"))

    def start(self):
        self.port = free_port()
        self.run([os.path.join(os.path.dirname(sys.executable), "milvus-lite"), "server", "--data-dir",
                  os.path.join(self.folder, "data"), "--host", "127.0.0.1", "--port", str(self.port)])
        names = self.until(lambda: self.client().list_collections())
        for name in names:
            self.client().load_collection(name)

    def connection(self):
        return {"port": self.port}

    def client(self):
        return client(self.port)

    def create(self, name, d, hnsw=True):
        c = self.client()
        if c.has_collection(name):
            c.drop_collection(name)
        pymilvus = prepare()
        schema = c.create_schema(auto_id=False)
        schema.add_field("id", pymilvus.DataType.INT64, is_primary=True)
        schema.add_field("v", pymilvus.DataType.FLOAT_VECTOR, dim=d)
        c.create_collection(name, schema=schema)
        c.create_index(name, self.index(c, hnsw))
        c.load_collection(name)

    def index(self, c, hnsw):
        params = c.prepare_index_params()
        params.add_index("v", index_type="HNSW" if hnsw else "FLAT", metric_type="L2",
                         params={"M": M, "efConstruction": EF_CONSTRUCTION} if hnsw else {})
        return params

    def load(self, name, x, hnsw=True):
        self.create(name, x.shape[1], hnsw)
        c = self.client()
        connection = connect(self.port, name)
        for at in range(0, len(x), 5000):
            connection.insert(name, at, x[at:at + 5000])
        c.flush(name)
        c.release_collection(name)
        c.load_collection(name)

    def load_exact(self, name, x):
        self.load(name, x, hnsw=False)


def prepare():
    logging.disable(logging.CRITICAL)
    import pymilvus
    return pymilvus


def client(port):
    # Its server disconnects clients that ping it while they wait for their turn.
    return prepare().MilvusClient("http://127.0.0.1:%d" % port, grpc_options={
        "grpc.keepalive_permit_without_calls": False, "grpc.keepalive_time_ms": 3600000})


def connect(port, name, ef=None, exact=False, durable="os"):
    return Connection(port, name, ef)


class Connection:
    def __init__(self, port, name, ef):
        self.c, self.name = client(port), name
        self.effort(ef)

    def effort(self, ef):
        self.params = {"params": {"ef": ef} if ef else {}}

    def search(self, q, k):
        found = self.c.search(self.name, data=[q], limit=k, search_params=self.params, anns_field="v",
                              consistency_level="Strong")
        return [hit["id"] for hit in found[0]]

    def insert(self, name, first, x):
        self.c.insert(name, [{"id": first + i, "v": row} for i, row in enumerate(x)])


PEER = Milvus
