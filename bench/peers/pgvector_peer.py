# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL with pgvector, from the wheel pgserver, on a Unix socket."""
import os
import signal
import subprocess

import numpy as np

from peer import EF_CONSTRUCTION, M, Peer


class Pgvector(Peer):
    name = "pgvector"
    threads = "a process for each connection"
    promises = ("an insert is on disk when it is acknowledged (synchronous_commit=on) or may be lost in the last "
                "0.6 s (off); transactions, isolation by snapshots; a search sees every committed row; the index "
                "is on disk")
    durable = ("always", "none")

    def version(self):
        import pgserver
        out = subprocess.run([self.bin("postgres"), "--version"], capture_output=True, text=True).stdout.split()[-1]
        share = os.path.join(os.path.dirname(pgserver.__file__), "pginstall/share/postgresql/extension/vector.control")
        with open(share) as f:
            vector = [line.split("'")[1] for line in f if line.startswith("default_version")][0]
        return "PostgreSQL %s, pgvector %s" % (out, vector)

    def bin(self, name):
        import pgserver
        return os.path.join(os.path.dirname(pgserver.__file__), "pginstall/bin", name)

    def as_user(self):
        """PostgreSQL does not run as root."""
        if os.getuid() != 0:
            return {}
        os.chown(self.folder, 65534, 65534)
        return {"user": 65534, "group": 65534, "extra_groups": [], "cwd": self.folder}

    def start(self):
        data = os.path.join(self.folder, "data")
        if not os.path.exists(data):
            subprocess.run([self.bin("initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--encoding=utf8"],
                           check=True, capture_output=True, **self.as_user())
        self.run([self.bin("postgres"), "-D", data, "-k", self.folder, "-c", "listen_addresses=",
                  "-c", "max_connections=200", "-c", "shared_buffers=1GB", "-c", "maintenance_work_mem=1GB",
                  "-c", "jit=off", "-c", "max_wal_size=4GB"], **self.as_user())
        self.until(lambda: self.sql("CREATE EXTENSION IF NOT EXISTS vector"))

    def stop(self):
        self.end(signal.SIGINT)  # a fast shutdown: clients are disconnected

    def connection(self):
        return {"folder": self.folder}

    def sql(self, *statements):
        import psycopg
        with psycopg.connect(host=self.folder, user="postgres", dbname="postgres", autocommit=True) as c:
            for statement in statements:
                c.execute(statement)

    def create(self, name, d, hnsw=True):
        self.sql("DROP TABLE IF EXISTS " + name,
                 "CREATE TABLE %s (id bigint PRIMARY KEY, v vector(%d))" % (name, d),
                 "ALTER TABLE %s ALTER v SET STORAGE PLAIN" % name)
        if hnsw:
            self.index(name)

    def index(self, name):
        self.sql("CREATE INDEX ON %s USING hnsw (v vector_l2_ops) WITH (m=%d, ef_construction=%d)"
                 % (name, M, EF_CONSTRUCTION))

    def load(self, name, x):
        self.create(name, x.shape[1], hnsw=False)
        connection = connect(self.folder, name)
        connection.insert(name, 0, x)
        connection.c.close()
        self.index(name)
        self.sql("VACUUM ANALYZE " + name)


def prepare():
    import psycopg
    import pgvector.psycopg
    return psycopg, pgvector.psycopg


def connect(folder, name, ef=None, exact=False, durable="always"):
    return Connection(folder, name, ef, exact, durable)


class Connection:
    def __init__(self, folder, name, ef, exact, durable):
        psycopg, vector = prepare()
        self.c = psycopg.connect(host=folder, user="postgres", dbname="postgres", autocommit=True)
        self.c.prepare_threshold = 0
        if ef:
            self.effort(ef)
        if exact:
            self.c.execute("SET enable_indexscan = off")
        if durable != "always":
            self.c.execute("SET synchronous_commit = off")
        vector.register_vector(self.c)
        self.cursor = self.c.cursor(binary=True)
        self.query = "SELECT id FROM %s ORDER BY v <-> %%b::vector LIMIT %%s" % name

    def effort(self, ef):
        self.c.execute("SET hnsw.ef_search = %d" % ef)

    def search(self, q, k):
        return [row[0] for row in self.cursor.execute(self.query, (q, k)).fetchall()]

    def insert(self, name, first, x):
        if len(x) == 1:
            self.c.execute("INSERT INTO %s VALUES (%%s, %%b)" % name, (first, x[0]))
            return
        with self.c.cursor().copy("COPY %s FROM STDIN (FORMAT BINARY)" % name) as copy:
            copy.write(copy_of(first, np.ascontiguousarray(x)))


def copy_of(first, x):
    """PostgreSQL's binary form of rows (id, vector)."""
    n, d = x.shape
    rows = np.zeros(n, np.dtype([("fields", ">i2"), ("size", ">i4"), ("id", ">i8"), ("vsize", ">i4"), ("d", ">i2"),
                                 ("unused", ">i2"), ("v", ">f4", (d,))]))
    rows["fields"], rows["size"], rows["vsize"], rows["d"] = 2, 8, 4 + 4 * d, d
    rows["id"], rows["v"] = np.arange(first, first + n), x
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"


PEER = Pgvector
