# SPDX-License-Identifier: Apache-2.0
"""A user of FAISS in Python, as bench/client.c is one in C.  A worker (see bench.h).

    module.py search INDEX [CALLS [NQ]]
    module.py add VECTORS
"""
import sys
import time

import faiss
import numpy as np

D, K, NQUERIES = 128, 10, 10000


def turns():
    """Says that it is ready, and waits for the next turn."""
    while True:
        print(".", flush=True)
        if sys.stdin.readline()[:1] in ("", "q"):
            return
        yield


def search(name, calls=200, nq=1):
    calls, nq = int(calls), int(nq)
    index = faiss.read_index(name)
    queries = np.random.RandomState(1).rand(NQUERIES, D).astype("float32")
    index.search(queries[:nq], K)
    for _ in turns():
        ns = []
        for i in range(calls):
            x = queries[i * nq % (NQUERIES - nq + 1):][:nq]
            start = time.perf_counter_ns()
            index.search(x, K)
            ns.append(time.perf_counter_ns() - start)
        print("p50", np.median(ns) / 1e3, sep="\t")


def add(vectors):
    n = int(vectors)
    x = np.random.RandomState(1).rand(n, D).astype("float32")
    for _ in turns():
        best = []
        for _ in range(3):
            index = faiss.index_factory(D, "Flat")
            start = time.perf_counter()
            index.add(x)
            best.append(time.perf_counter() - start)
            assert index.ntotal == n
            del index
        print("seconds", min(best), sep="\t")


{"search": search, "add": add}[sys.argv[1]](*sys.argv[2:])
