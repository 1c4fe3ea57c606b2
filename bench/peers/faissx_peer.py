# SPDX-License-Identifier: Apache-2.0
"""This server, on a Unix socket, through the C API (with ctypes), through the Python module and through the
client of FAISSx.  The three are clients of one server, and search the same index."""
import ctypes
import os
import re
import subprocess
import sys

import numpy as np

from peer import EF_CONSTRUCTION, M, Peer

BUILD = os.environ.get("BUILD", "build")


class Faissx(Peer):
    name = "faissx-module"
    threads = "its default: a thread for each core"
    parameters = "HNSW%d,Flat, efConstruction=%d" % (M, EF_CONSTRUCTION)
    promises = ("an insert is on disk when it is acknowledged (--durability always) or is with the next snapshot "
                "(snapshot); each call is atomic; a search sees what was acknowledged, and never what is not on "
                "disk; the index is in memory")
    durable = ("always", "none")
    via = "module"

    def version(self):
        out = subprocess.run([os.path.join(BUILD, "faissx-server"), "--version"], capture_output=True, text=True)
        faiss = re.search(r"event=start .*faiss=(\S+)", self.log(1000))  # once an engine has started
        return "%s, FAISS %s" % (out.stdout.split("\n")[0], faiss.group(1) if faiss else "unknown")

    def start(self):
        self.serve("always")

    def serve(self, durable):
        self.durability = durable
        self.endpoint = "ipc://" + os.path.join(self.folder, "s")
        log = os.path.join(self.folder, "log")
        self.from_here = os.path.getsize(log) if os.path.exists(log) else 0
        self.run([os.path.join(BUILD, "faissx-server"), "run", "--bind", self.endpoint, "--library",
                  os.environ["FAISSX_PEERS_LIBRARY"], "--data-dir", os.path.join(self.folder, "data"),
                  "--durability", "always" if durable == "always" else "snapshot"])
        self.until(self.listening)

    def listening(self):
        with open(os.path.join(self.folder, "log")) as log:
            log.seek(self.from_here)
            if "event=listening" not in log.read():
                raise RuntimeError("it does not listen")

    def mode(self, durable):
        if durable != self.durability:
            self.stop()
            self.serve(durable)
        return durable

    def connection(self):
        return {"endpoint": self.endpoint, "via": self.via}

    def module(self, code, *arguments):
        """Runs a few lines in another process: the module's settings are those of a process."""
        code = ("import sys; import numpy as np; sys.path.insert(0, %r); import faissx_peer; "
                "faiss = faissx_peer.module(%r); index = lambda n: faiss.read_index('faissx://' + n)\n"
                % (os.path.dirname(__file__), self.endpoint)) + code
        done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip()[-300:])

    def create(self, name, d, hnsw=True):
        self.module("i = faiss.index_factory(int(sys.argv[2]), sys.argv[3])\n"
                    "if sys.argv[3] != 'Flat': faiss.ParameterSpace().set_index_parameter(i, 'efConstruction', %d)\n"
                    "faiss.write_index(i, 'faissx://' + sys.argv[1])" % EF_CONSTRUCTION,
                    name, d, "HNSW%d,Flat" % M if hnsw else "Flat")

    def fill(self, name, x):
        path = os.path.join(self.folder, "x.npy")
        np.save(path, x)
        self.module("x = np.load(sys.argv[2])\ni = index(sys.argv[1])\n"
                    "for at in range(0, len(x), 20000): i.add(x[at:at + 20000])", name, path)
        os.remove(path)

    def load(self, name, x):
        self.create(name, x.shape[1])
        self.fill(name, x)

    def load_exact(self, name, x):
        self.create(name, x.shape[1], hnsw=False)
        self.fill(name, x)

    def effort(self, name, ef):
        self.module("faiss.ParameterSpace().set_index_parameter(index(sys.argv[1]), 'efSearch', int(sys.argv[2]))",
                    name, ef)


class FaissxC(Faissx):
    name = "faissx-c"
    same_as = "faissx-module"
    via = "c"


class FaissxDialect(Faissx):
    name = "faissx-dialect"
    same_as = "faissx-module"
    via = "dialect"


def module(endpoint):
    os.environ["FAISSX_SERVER"] = endpoint
    os.environ["FAISSX_FAISS_LIBRARY"] = "/nonexistent"
    sys.path.insert(0, os.path.abspath(os.path.join(BUILD, "faissx/python")))
    import faissx_c
    return faissx_c


def connect(endpoint, via, name, ef=None, exact=False, durable="always"):
    return {"module": Module, "c": CApi, "dialect": Dialect}[via](endpoint, name)


class Client:
    def effort(self, ef):
        """It is a setting of the index: Faissx.effort()."""


class Module(Client):
    def __init__(self, endpoint, name):
        self.index = module(endpoint).read_index("faissx://" + name)

    def search(self, q, k):
        return self.index.search(q[None], k)[1][0].tolist()

    def insert(self, name, first, x):
        self.index.add(np.ascontiguousarray(x))


class CApi(Client):
    """The functions of faiss_c, called directly: what a program in C, Rust or Go does."""

    def __init__(self, endpoint, name):
        os.environ["FAISSX_SERVER"] = endpoint
        os.environ["FAISSX_FAISS_LIBRARY"] = "/nonexistent"
        self.lib = ctypes.CDLL(os.path.abspath(os.path.join(BUILD, "libfaissx_c.so")))
        self.lib.faiss_get_last_error.restype = ctypes.c_char_p
        self.index = ctypes.c_void_p()
        self.check(self.lib.faiss_read_index_fname(("faissx://" + name).encode(), 0, ctypes.byref(self.index)))
        self.distances, self.labels, self.k = (ctypes.c_float * 1000)(), (ctypes.c_int64 * 1000)(), 1000

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.lib.faiss_get_last_error().decode())

    def search(self, q, k):
        self.check(self.lib.faiss_Index_search(self.index, ctypes.c_int64(1), ctypes.c_void_p(q.ctypes.data),
                                               ctypes.c_int64(k), self.distances, self.labels))
        return self.labels[:k]

    def insert(self, name, first, x):
        x = np.ascontiguousarray(x)
        self.check(self.lib.faiss_Index_add(self.index, ctypes.c_int64(len(x)), ctypes.c_void_p(x.ctypes.data)))


class Dialect(Client):
    def __init__(self, endpoint, name):
        import logging
        import faissx.client as fx
        logging.disable(logging.CRITICAL)
        fx.configure(server=endpoint, timeout=120)
        self.client, self.name = fx.get_client(), name

    def search(self, q, k):
        return self.client.search(self.name, q[None], k)["results"][0]["indices"]

    def insert(self, name, first, x):
        self.client.add_vectors(self.name, np.ascontiguousarray(x))


PEERS = (Faissx, FaissxC, FaissxDialect)
