# SPDX-License-Identifier: Apache-2.0
"""The work of FAISSx's own Python client on a server.  A worker (see bench.h), from outside: what the
program waits for, with all that the client does itself.  Usage: faissx_client.py ENDPOINT"""
import logging
import multiprocessing
import sys
import time

import numpy as np
import faissx.client as fx

D, VECTORS, PROCESSES, SECONDS = 128, 10000, 16, 3
logging.disable(logging.CRITICAL)
rng = np.random.RandomState(1)
vectors = rng.random_sample((VECTORS, D)).astype("float32")
queries = rng.random_sample((100, D)).astype("float32")


def configure():
    fx.configure(server=sys.argv[1], timeout=60)


def timed(times, work):
    """Reports nothing but the median, in seconds."""
    all_times = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        all_times.append(time.perf_counter() - start)
    return sorted(all_times)[times // 2]


def load(pipe, name):
    """One of several processes: searches for some seconds each time it is told to."""
    configure()
    client = fx.get_client()
    one = queries[:1]
    client.search(name, one, 10)
    pipe.send(0)
    while pipe.recv():
        end, count = time.perf_counter() + SECONDS, 0
        while time.perf_counter() < end:
            client.search(name, one, 10)
            count += 1
        pipe.send(count)


def main():
    configure()
    index = fx.IndexFlatL2(D)
    index.add(vectors)
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for _ in range(PROCESSES):
        here, there = context.Pipe()
        processes.append(context.Process(target=load, args=(there, index.name), daemon=True))
        processes[-1].start()
        pipes.append(here)
    for pipe in pipes:
        pipe.recv()
    print(".", flush=True)
    for line in sys.stdin:
        if line.startswith("q"):
            break
        values = {
            "search_seconds": timed(5, lambda: index.search(queries[:1], 10)),
            "search100_seconds": timed(5, lambda: index.search(queries, 10)),
            "add_seconds": timed(1, lambda: fx.IndexFlatL2(D).add(vectors)),
            "reconstruct_seconds": timed(20, lambda: index.reconstruct(7)),
        }
        start = time.perf_counter()
        for pipe in pipes:
            pipe.send(1)
        found = sum(pipe.recv() for pipe in pipes)
        values["processes_per_second"] = found / (time.perf_counter() - start)
        for name, value in values.items():
            print("%s\t%.9g" % (name, value))
        print(".", flush=True)
    for pipe in pipes:
        pipe.send(0)


if __name__ == "__main__":
    main()
