# SPDX-License-Identifier: Apache-2.0
"""SQLite with the extension sqlite-vec, from the wheel of that name: in the program's own process, on a file
that processes share.  It has no HNSW index."""
import os
try:
    import pysqlite3 as sqlite3  # Python's own may have been built without extensions
except ImportError:
    import sqlite3

import numpy as np

from peer import Peer


class SqliteVec(Peer):
    name = "sqlite-vec"
    hnsw = False
    parameters = "exact only"
    threads = "one in each process"
    promises = ("in process, on a shared file; an insert is on disk when it returns (synchronous=FULL) or at the "
                "operating system (NORMAL, with a write-ahead log); transactions, isolation by snapshots")
    durable = ("always", "os")

    def version(self):
        import sqlite_vec
        return "SQLite %s, sqlite-vec %s" % (sqlite3.sqlite_version, sqlite_vec.__version__)

    def connection(self):
        return {"folder": self.folder}

    def create(self, name, d, hnsw=False):
        c = Connection(self.folder, name, "always").c
        c.execute("DROP TABLE IF EXISTS " + name)
        c.execute("CREATE VIRTUAL TABLE %s USING vec0(id INTEGER PRIMARY KEY, v FLOAT[%d])" % (name, d))

    def load_exact(self, name, x):
        self.create(name, x.shape[1])
        Connection(self.folder, name, "always").insert(name, 0, x)


def prepare():
    import sqlite_vec
    return sqlite_vec


def connect(folder, name, ef=None, exact=True, durable="always"):
    return Connection(folder, name, durable)


class Connection:
    def __init__(self, folder, name, durable):
        self.c = sqlite3.connect(os.path.join(folder, "data.db"), isolation_level=None, timeout=60)
        self.c.enable_load_extension(True)
        prepare().load(self.c)
        self.c.execute("PRAGMA journal_mode=WAL")
        self.c.execute("PRAGMA synchronous=" + ("FULL" if durable == "always" else "NORMAL"))
        self.query = "SELECT id FROM %s WHERE v MATCH ? AND k = ?" % name

    def search(self, q, k):
        return [row[0] for row in self.c.execute(self.query, (q.tobytes(), k))]

    def insert(self, name, first, x):
        x = np.ascontiguousarray(x)
        self.c.execute("BEGIN")
        self.c.executemany("INSERT INTO %s VALUES (?, ?)" % name,
                           ((first + i, row.tobytes()) for i, row in enumerate(x)))
        self.c.execute("COMMIT")


PEER = SqliteVec
