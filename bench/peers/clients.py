# SPDX-License-Identifier: Apache-2.0
"""The clients of one system: N processes, each with a connection of its own, in a closed loop.

    clients.py DESCRIPTOR

is started by the driver, which sends it commands through the socket DESCRIPTOR.  It imports the
system's library once and forks the clients, so that 64 of them are there soon and share the library's
memory.  The library is used in forked processes only."""
import importlib
import multiprocessing
import os
import subprocess
import socket
import sys
import time
import traceback
from multiprocessing.connection import Connection

import numpy as np


def client(pipe, module, queries):
    """One client: does what it is told until it is told nothing more."""
    connection = None
    while True:
        command = pipe.recv()
        if command is None:
            os._exit(0)
        what, args = command
        try:
            if what == "connect":
                getattr(connection, "close", lambda: None)()
                connection = None
                connection = module.connect(**args)
                result = None
            elif what == "call":
                result = getattr(connection, args[0])(*args[1:])
            elif what == "labels":
                result = np.array([pad(connection.search(q, args[0]), args[0]) for q in queries[:args[1]]])
            else:
                result = loop(connection, queries, *args)
        except BaseException as e:
            traceback.print_exc()
            result = RuntimeError("%s: %s" % (type(e).__name__, str(e)[:200]))
        pipe.send(result)


def pad(ids, k):
    """The ids, and -1 where some are missing."""
    return (list(map(int, ids)) + [-1] * k)[:k]


def loop(connection, queries, first, k, start, seconds):
    """Searches from start, a time, for some seconds.  Returns microseconds of each call."""
    us, i = [], first
    search, clock = connection.search, time.perf_counter
    time.sleep(max(0, start - time.monotonic()))
    end = start + seconds
    while True:
        t = clock()
        ids = search(queries[i % len(queries)], k)
        us.append((clock() - t) * 1e6)
        i += 1
        if len(ids) != k:
            raise RuntimeError("a search found %d of %d" % (len(ids), k))
        if time.monotonic() >= end:
            return np.array(us, "f4"), time.monotonic() - start


def serve(descriptor):
    driver = Connection(descriptor)
    name, queries, fork = driver.recv()
    module = importlib.import_module(name)
    if fork:
        getattr(module, "prepare", lambda: None)()
    context = multiprocessing.get_context("fork" if fork else "spawn")
    pipes = []
    while True:
        try:
            command = driver.recv()
        except (EOFError, OSError):
            command = None
        if command is None:
            for pipe in pipes:
                pipe.send(None)
            os._exit(0)
        what, count, args = command
        while len(pipes) < count:
            here, there = context.Pipe()
            context.Process(target=start_client, args=(there, name, queries), daemon=True).start()
            there.close()
            pipes.append(here)
        for pipe in pipes[count:]:
            pipe.send(None)
        del pipes[count:]
        for i, pipe in enumerate(pipes):
            pipe.send((what, (i * 37,) + args if what == "loop" else args))
        answers = [pipe.recv() for pipe in pipes]
        try:
            driver.send(answers)
        except OSError:  # the driver has given up waiting
            pass


def start_client(pipe, name, queries):
    client(pipe, importlib.import_module(name), queries)


class Clients:
    """The driver's end."""

    def __init__(self, module, queries, fork=True, environment=None):
        here, there = socket.socketpair()
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(there.fileno())],
                                        pass_fds=[there.fileno()], env=dict(os.environ, **(environment or {})))
        there.close()
        self.socket = Connection(here.detach())
        self.socket.send((module, queries, fork))
        self.count = 0

    def ask(self, what, args, count=None):
        """Sends all clients a command; starts or ends some first, to have count of them."""
        self.count = self.count if count is None else count
        self.socket.send((what, self.count, args))
        if not self.socket.poll(600):
            raise RuntimeError("the clients do not answer")
        try:
            answers = self.socket.recv()
        except EOFError:
            raise RuntimeError("the clients' process has ended") from None
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def end(self):
        self.socket.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
