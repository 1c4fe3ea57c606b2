#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// A client of the catalogue (proto/wire.md): client.js ENDPOINT [API_KEY]
// It needs `npm install zeromq @msgpack/msgpack`.
const zmq = require("zeromq");
const { encode, decode } = require("@msgpack/msgpack");

const bytes = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
const copy = (frame, Type) => new Type(new Uint8Array(frame).buffer); // aligned

class Catalogue {
  constructor(endpoint) {
    this.socket = new zmq.Request(); // sends the empty frame itself
    this.socket.connect(endpoint);
    this.requests = 0;
  }

  // Returns the reply's keys and its arrays, as bytes.
  async ask(operation, keys = {}, ...arrays) {
    const header = encode({ operation, request_id: ++this.requests, ...keys });
    await this.socket.send([header, ...arrays.map(bytes)]);
    const [first, ...frames] = await this.socket.receive();
    const reply = decode(first);
    if (reply.status !== "ok") throw new Error(reply.message);
    return [reply, frames];
  }

  // The vectors, one after the other, are a Float32Array, and the ids a BigInt64Array.
  async add(name, x, ids) {
    await this.ask("index_add", { name, n: ids.length, x: 0, ids: 1 }, x, ids);
  }

  async search(name, x, n, k) {
    const [, [distances, labels]] = await this.ask("index_search", { name, n, k }, x);
    return [copy(distances, Float32Array), copy(labels, BigInt64Array)];
  }
}

async function main([endpoint, key]) {
  const n = 1000, d = 8, k = 4, queries = 3;
  const catalogue = new Catalogue(endpoint);
  if (key) await catalogue.ask("ping", { api_key: key }); // in the first, small message
  const x = Float32Array.from({ length: n * d }, (_, i) => ((i * i) % 8009) / 8009);
  const ids = BigInt64Array.from({ length: n }, (_, i) => BigInt(i + 5000));
  await catalogue.ask("index_create", { name: "example", d, description: "IDMap2,Flat" });
  await catalogue.add("example", x, ids);
  const some = x.subarray(0, queries * d);
  const [distances, labels] = await catalogue.search("example", some, queries, k);
  for (let q = 0; q < queries; q++) {
    const found = Array.from({ length: k }, (_, i) => q * k + i);
    console.log(q, found.map((i) => `${labels[i]}:${distances[i].toFixed(6)}`).join(" "));
  }
  await catalogue
    .search("example", x.subarray(0, queries * 4), queries, k) // the wrong dimension
    .catch((e) => console.log(e.message));
  await catalogue.ask("index_delete", { name: "example" });
  catalogue.socket.close();
}

main(process.argv.slice(2));
