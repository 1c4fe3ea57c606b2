#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of the catalogue (proto/wire.md): client.py ENDPOINT [API_KEY]"""
import sys
import msgpack
import numpy as np
import zmq


class Error(Exception):
    pass


class Catalogue:
    def __init__(self, endpoint, api_key=None):
        self.socket = zmq.Context.instance().socket(zmq.REQ)  # sends the empty frame itself
        self.socket.connect(endpoint)
        self.requests = 0
        if api_key:  # in the first message of the connection, which has to be small
            self.ask("ping", api_key=api_key)

    def ask(self, operation, *arrays, **keys):
        """Returns the reply's keys and its arrays, as bytes."""
        self.requests += 1
        header = {"operation": operation, "request_id": self.requests, **keys}
        self.socket.send_multipart([msgpack.packb(header), *arrays])
        reply, *frames = self.socket.recv_multipart()
        reply = msgpack.unpackb(reply)
        if reply["status"] != "ok":
            raise Error(reply["message"])
        return reply, frames

    def add(self, name, x, ids):
        x, ids = np.ascontiguousarray(x, "<f4"), np.ascontiguousarray(ids, "<i8")
        self.ask("index_add", x, ids, name=name, n=len(x), x=0, ids=1)

    def search(self, name, x, k, **params):
        x = np.ascontiguousarray(x, "<f4")
        _, (distances, labels) = self.ask("index_search", x, name=name, n=len(x), k=k, params=params)
        shape = (len(x), k)
        return np.frombuffer(distances, "<f4").reshape(shape), np.frombuffer(labels, "<i8").reshape(shape)


if __name__ == "__main__":
    catalogue = Catalogue(*sys.argv[1:])
    vectors = (np.arange(8000) ** 2 % 8009 / 8009).reshape(1000, 8)
    catalogue.ask("index_create", name="example", d=8, description="IDMap2,Flat")
    catalogue.add("example", vectors, np.arange(1000) + 5000)
    distances, labels = catalogue.search("example", vectors[:3], 4)
    for i in range(3):
        print(i, " ".join(f"{l}:{d:.6f}" for l, d in zip(labels[i], distances[i])))
    try:
        catalogue.search("example", vectors[:3, :4], 4)  # the wrong dimension
    except Error as e:
        print(e)
    catalogue.ask("index_delete", name="example")
